// The command that a new token is tried with.

import { expect, test } from 'vitest';
import { curlOf, NO_ROUTE, pathFor } from '../pages/tokens/snippet';

const route = { path: '/api/test', scope: 'read', host: null, methods: null, is_active: true };

test('the path is one that the token opens', () => {
  const other = { ...route, path: '/other', scope: null };
  expect(pathFor(['read'], [route, other])).toBe('/api/test');
  expect(pathFor(['*'], [route])).toBe('/api/test');
  expect(pathFor([], [route, other])).toBe('/other');
});

test('no path is made up from a route that would refuse the call', () => {
  expect(pathFor(['write'], [route])).toBe(NO_ROUTE);
  expect(pathFor(['read'], [{ ...route, is_active: false }])).toBe(NO_ROUTE);
  expect(pathFor(['read'], [{ ...route, methods: ['POST'] }])).toBe(NO_ROUTE);
  expect(pathFor(['read'], [{ ...route, host: 'a.example' }])).toBe(NO_ROUTE);
});

test('a path can not become another command in the shell', () => {
  expect(curlOf('http://x', '/a/b', 'ntk_1')).toBe('curl http://x/a/b \\\n  -H "X-API-Key: ntk_1"');
  expect(curlOf('http://x', "/a;'b", 'ntk_1')).toContain("curl 'http://x/a;'\\''b'");
});
