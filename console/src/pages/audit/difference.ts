// What a change changed: the fields whose values differ, of two recorded states.

export interface Changed {
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** Field by field for objects; for anything else the values themselves, under no name. */
export function difference(before: unknown, after: unknown): readonly Changed[] {
  if (!isRecord(before) && !isRecord(after)) {
    return same(before, after) ? [] : [{ field: '', before: said(before), after: said(after) }];
  }
  const old: Record<string, unknown> = isRecord(before) ? before : {};
  const now: Record<string, unknown> = isRecord(after) ? after : {};
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return names
    .filter((name) => !same(old[name], now[name]))
    .map((field) => ({ field, before: said(old[field]), after: said(now[field]) }));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

function said(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
