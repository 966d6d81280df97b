// What a refusal says to a form, and CSV that carries no formula.

import { expect, test } from 'vitest';
import { fieldOf, isPassing } from '../api/errors';
import { nearest } from '../i18n/language';
import { csvOf } from '../ui/csv';

const refused = (message: string, status = 400) => ({ code: 'x', message, requestId: '', status });

test('a refusal stands beside the field that it names', () => {
  expect(fieldOf(refused('`daily_limit`: use 0 or more'))).toEqual({
    name: 'daily_limit',
    reason: 'use 0 or more',
  });
  expect(fieldOf(refused('`limits[0].amount`: too large'))?.name).toBe('limits');
  expect(fieldOf(refused('`name` is required'))?.name).toBe('name');
  expect(fieldOf(refused('the body must be a JSON object'))).toBeNull();
  expect(fieldOf({ ...refused('email: use one like a@b'), param: 'email' })).toEqual({
    name: 'email',
    reason: 'use one like a@b',
  });
  const taken = 'there is a user with the id: ann';
  expect(fieldOf({ ...refused(taken, 409), param: 'id' })).toEqual({ name: 'id', reason: taken });
  expect(fieldOf({ ...refused('x'), param: 'limits[0].amount' })?.name).toBe('limits');
});

test('only what may pass is tried again', () => {
  expect([0, 429, 500, 503].every((status) => isPassing(refused('', status)))).toBe(true);
  expect([400, 401, 403, 404, 409, 422].some((status) => isPassing(refused('', status)))).toBe(
    false,
  );
});

test('a name that is a formula reaches a spreadsheet as text', () => {
  expect(csvOf(['a'], [['=1+1'], ['@x'], ['-1.5'], ['say "hi", you'], [null], [3]])).toBe(
    'a\r\n\'=1+1\r\n\'@x\r\n-1.5\r\n"say ""hi"", you"\r\n\r\n3\r\n',
  );
  expect(csvOf(['a'], [['\uff1d1+1'], ['\n=1']])).toBe('a\r\n\'\uff1d1+1\r\n"\'\n=1"\r\n');
});

test('a browser gets the nearest of our languages', () => {
  expect(nearest(['fr', 'zh-HK'])).toBe('zh-TW');
  expect(nearest(['zh-Hant-TW'])).toBe('zh-TW');
  expect(nearest(['zh'])).toBe('zh-CN');
  expect(nearest(['de'])).toBe('en');
});
