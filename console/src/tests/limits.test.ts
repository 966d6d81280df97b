// Limits between the form and the API.

import { expect, test } from 'vitest';
import { limitOf, NEW_LIMIT, routeLimitOf, rowOf } from '../ui/limits';

test('points keep every digit on their way into the form and back', () => {
  const shown = { dimension: 'points', span: 'day', amount: 9007199254.740993, zone: 'UTC' };
  const row = rowOf({ ...shown, amount_micros: '9007199254740993' });
  expect(row.amount).toBe('9007199254.740993');
  expect(limitOf(row)).toEqual({
    dimension: 'points',
    span: 'day',
    amount: '9007199254.740993',
    zone: 'UTC',
  });
});

test('an empty amount only counts, and zero is an amount', () => {
  expect(limitOf({ ...NEW_LIMIT, amount: null }).amount).toBeNull();
  expect(limitOf({ ...NEW_LIMIT, amount: '' }).amount).toBeNull();
  expect(limitOf({ ...NEW_LIMIT, amount: '0' }).amount).toBe(0);
});

test('a route’s limit says for whom, and nothing that the API would refuse', () => {
  expect(routeLimitOf({ ...NEW_LIMIT, amount: '60', per: 'token' })).toEqual({
    span: 'minute',
    amount: 60,
    per: 'token',
  });
});
