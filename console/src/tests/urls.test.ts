// The one maker of URLs.

import { expect, test } from 'vitest';
import { apiUrl, localPath, PAGES, pageUrl } from '../api/urls';

test('what stands in a path can not become another path', () => {
  expect(apiUrl('/api/keys/{key}', { key: '../users?x=1#y' })).toBe(
    '/api/keys/..%2Fusers%3Fx%3D1%23y',
  );
});

test('a path without its value is a mistake and no call', () => {
  expect(() => apiUrl('/api/keys/{key}')).toThrow('/api/keys/{key} needs key');
  expect(() => apiUrl('/api/keys/{key}', { key: '' })).toThrow();
});

test('a query leaves out what is not set and repeats what is many', () => {
  const query = { limit: 25, q: '', cursor: null, kind: ['a', 'b'], on: false };
  expect(apiUrl('/api/keys', {}, query)).toBe('/api/keys?limit=25&kind=a&kind=b&on=false');
  expect(pageUrl('usage', { key_id: 'a b' })).toBe('/console/usage?key_id=a+b');
});

test('no two pages share an address', () => {
  const paths = Object.values(PAGES);
  expect(new Set(paths).size).toBe(paths.length);
});

test('one is never led to another site', () => {
  for (const bad of [
    null,
    '',
    'https://evil.test',
    '//evil.test',
    '/\\evil.test',
    'javascript:1',
  ]) {
    expect(localPath(bad), String(bad)).toBe('/');
  }
  expect(localPath('/console/keys?q=1')).toBe('/console/keys?q=1');
});
