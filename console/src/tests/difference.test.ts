// What the audit log shows of a change.

import { expect, test } from 'vitest';
import { difference } from '../pages/audit/difference';

test('only fields that differ are shown, with both values', () => {
  expect(difference({ a: 1, b: 'x', c: [1] }, { a: 1, b: 'y', c: [1] })).toEqual([
    { field: 'b', before: 'x', after: 'y' },
  ]);
});

test('what was made or deleted has one side', () => {
  expect(difference(null, { a: 1 })).toEqual([{ field: 'a', before: null, after: '1' }]);
  expect(difference({ a: { b: 2 } }, null)).toEqual([
    { field: 'a', before: '{"b":2}', after: null },
  ]);
});

test('values that are no objects are shown as they are', () => {
  expect(difference('x', 'y')).toEqual([{ field: '', before: 'x', after: 'y' }]);
  expect(difference(null, undefined)).toEqual([]);
});
