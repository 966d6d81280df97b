// What runs out, balances and budgets as one list, the soonest first.

import type { Schemas } from '../../api/client';

export interface End {
  readonly key: string;
  readonly kind: 'balance' | 'budget';
  /** Of a budget: how often it begins anew. */
  readonly span: string;
  readonly subjectKind: string;
  readonly subject: string;
  readonly leftMicros: string;
  readonly spentMicros: string;
  readonly daysLeft: number;
  readonly emptyAt: string | null;
  /** Whether a budget lasts to the end of its window. A balance has no window. */
  readonly lasts: boolean;
}

/** Only what has an end in sight. */
export function endsOf(forecast: Schemas['Forecast']): readonly End[] {
  const balances = forecast.balances.flatMap((one) =>
    one.days_left === null ? [] : [endOfBalance(one, one.days_left)],
  );
  const budgets = forecast.budgets.flatMap((one) =>
    one.days_left === null ? [] : [endOfBudget(one, one.days_left)],
  );
  return [...balances, ...budgets].sort((one, other) => one.daysLeft - other.daysLeft);
}

function endOfBalance(one: Schemas['BalanceEnd'], daysLeft: number): End {
  return {
    key: `balance ${one.user_id}`,
    kind: 'balance',
    span: '',
    subjectKind: 'user',
    subject: one.user_id,
    leftMicros: one.available_micros,
    spentMicros: one.spent_micros,
    daysLeft,
    emptyAt: one.empty_at,
    lasts: false,
  };
}

function endOfBudget(one: Schemas['BudgetEnd'], daysLeft: number): End {
  return {
    key: `budget ${one.budget_id}`,
    kind: 'budget',
    span: one.span,
    subjectKind: one.subject_kind,
    subject: one.subject_id,
    leftMicros: (BigInt(one.amount_micros) - BigInt(one.spent_micros)).toString(),
    spentMicros: one.spent_micros,
    daysLeft,
    emptyAt: one.empty_at,
    lasts: one.lasts,
  };
}
