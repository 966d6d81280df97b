// Limits as a form holds them, and as the API takes and answers them.

import { plainPoints } from './points';

export const SPANS = ['minute', 'hour', 'day', 'month', 'total'] as const;
export const DIMENSIONS = ['requests', 'tokens', 'points'] as const;
export const PERS = ['route', 'token'] as const;
export type Span = (typeof SPANS)[number];
export type Dimension = (typeof DIMENSIONS)[number];
export type Per = (typeof PERS)[number];

/** One row of the form. The amount stays a text, so that points keep all their digits. */
export interface LimitRow {
  dimension: Dimension;
  span: Span;
  amount: string | null;
  per: Per;
  zone?: string;
}

interface Shown {
  readonly dimension: string;
  readonly span: string;
  readonly amount: number | null;
  readonly amount_micros?: string;
  readonly zone: string;
  readonly per?: string;
}

export const NEW_LIMIT: LimitRow = {
  dimension: 'requests',
  span: 'minute',
  amount: null,
  per: 'route',
};

export function rowOf(shown: Shown): LimitRow {
  return {
    dimension: DIMENSIONS.find((one) => one === shown.dimension) ?? 'requests',
    span: SPANS.find((one) => one === shown.span) ?? 'minute',
    amount: amountOf(shown),
    per: PERS.find((one) => one === shown.per) ?? 'route',
    zone: shown.zone,
  };
}

function amountOf(shown: Shown): string | null {
  if (shown.amount === null) return null;
  return shown.amount_micros === undefined
    ? String(shown.amount)
    : plainPoints(shown.amount_micros);
}

/** A token's or key's limit. Points go as a text, exactly as they were typed. */
export function limitOf(row: LimitRow) {
  const isPoints = row.dimension === 'points';
  return {
    dimension: row.dimension,
    span: row.span,
    amount: isPoints ? textOf(row.amount) : numberOf(row.amount),
    ...zoneOf(row),
  };
}

/** A route's limit: of requests only. */
export function routeLimitOf(row: LimitRow) {
  return { span: row.span, amount: numberOf(row.amount), per: row.per, ...zoneOf(row) };
}

function zoneOf(row: LimitRow): { zone?: string } {
  return row.zone ? { zone: row.zone } : {};
}

function textOf(amount: string | number | null | undefined): string | null {
  return amount === null || amount === undefined || amount === '' ? null : String(amount);
}

function numberOf(amount: string | number | null | undefined): number | null {
  const text = textOf(amount);
  return text === null ? null : Number(text);
}
