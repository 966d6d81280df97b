// What runs out first, of balances and budgets together.

import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { endsOf } from '../pages/usage/ends';

const BALANCE = {
  ...{ user_id: 'ann', name: 'Ann', available: 1, available_micros: '1000000' },
  ...{ spent: 2, spent_micros: '2000000', days_left: 9.5, empty_at: '2026-03-01T00:00:00Z' },
};
const BUDGET = {
  ...{ budget_id: '1', subject_kind: 'team', subject_id: 't1', span: 'month' },
  ...{ amount: 3, amount_micros: '3000000', spent: 4, spent_micros: '4000000' },
  ...{ days_left: 0, lasts: false, empty_at: '2026-02-11T00:00:00Z' },
};

function forecast(balances: readonly object[], budgets: readonly object[]): Schemas['Forecast'] {
  const frame = { zone: 'UTC', from: '', to: '', is_complete: true };
  // The tests' rows bear the fields that are read.
  return { ...frame, balances, budgets } as unknown as Schemas['Forecast'];
}

test('what ends soonest comes first, whichever it is', () => {
  const ends = endsOf(forecast([BALANCE, { ...BALANCE, user_id: 'bob', days_left: 1 }], [BUDGET]));
  expect(ends.map((one) => one.subject)).toEqual(['t1', 'bob', 'ann']);
});

test('what has no end in sight is left out', () => {
  const endless = { ...BALANCE, days_left: null, empty_at: null };
  expect(endsOf(forecast([endless], [{ ...BUDGET, days_left: null }]))).toEqual([]);
});

test('what is left of an overspent budget is below zero, to the last digit', () => {
  const [end] = endsOf(forecast([], [{ ...BUDGET, spent_micros: '9007199254740993000000' }]));
  expect(end?.leftMicros).toBe('-9007199254740990000000');
});
