// A route's headers between the form and the API: a secret goes in, and is kept without being seen.

import { expect, test } from 'vitest';
import { headersOf, rowsOf } from '../pages/routes/headers';

const before = { add: { 'x-secret': null, 'x-team': 'a' }, remove: ['cookie'], rename: { a: 'b' } };

test('what is not touched goes back as it came, the withheld value as null', () => {
  expect(headersOf(rowsOf(before), before)).toEqual(before);
});

test('a typed value takes the place of a withheld one', () => {
  const rows = [{ deed: 'add' as const, name: 'X-Secret', value: 'new' }];
  expect(headersOf(rows, before).add).toEqual({ 'X-Secret': 'new' });
});

test('only a value that was withheld can be kept', () => {
  const rows = [
    { deed: 'add' as const, name: 'x-team', value: '' },
    { deed: 'add' as const, name: 'x-new', value: '' },
  ];
  expect(headersOf(rows, before).add).toEqual({ 'x-team': '', 'x-new': '' });
  expect(headersOf(rows).add).toEqual({ 'x-team': '', 'x-new': '' });
});

test('a header with a name that objects know is a header like any other', () => {
  const rows = [{ deed: 'add' as const, name: 'constructor', value: '' }];
  expect(headersOf(rows, before).add['constructor']).toBe('');
});
