// How many notices are new to somebody in this browser.

import { expect, test } from 'vitest';
import { countNew } from '../pages/notices/seen';

test('whoever never looked has all of them new', () => {
  expect(countNew(['12', '9'], null)).toBe(2);
});

test('what is kept is compared as a number, however many digits it has', () => {
  expect(countNew(['10', '9', '8'], '9')).toBe(1);
  expect(countNew(['9007199254740993'], '9007199254740992')).toBe(1);
});

test('what somebody else wrote into the browser is no reason to fail', () => {
  expect(countNew(['1'], 'nonsense')).toBe(1);
});
