// What the page asks, as it stands in the address: which days, in which steps, of whom.

export const NAMES = ['days', 'by', 'team', 'token', 'route', 'model'] as const;
export const DAYS_OFFERED = [1, 7, 28, 62, 90, 365] as const;
/** The server draws no more hours than those of so many days. */
export const BY_HOUR_DAYS_MAX = 62;
const DAYS_DEFAULT = 7;
const DAYS_MAX = 3660;
const HEATMAP_DAYS_LEAST = 28;

export interface Asked {
  readonly days: number;
  readonly by: 'hour' | 'day';
  readonly team?: string;
  readonly token?: string;
  readonly route?: string;
  readonly model?: string;
}

/** An address that somebody typed wrongly asks what is usual, not for an error. */
export function readAsked(search: URLSearchParams): Asked {
  const days = daysOf(search.get('days'));
  const given = (name: 'team' | 'token' | 'route' | 'model') => {
    const value = search.get(name);
    return value ? { [name]: value } : {};
  };
  return {
    days,
    by: stepOf(search.get('by'), days),
    ...given('team'),
    ...given('token'),
    ...given('route'),
    ...given('model'),
  };
}

function daysOf(text: string | null): number {
  const days = /^\d{1,4}$/.test(text ?? '') ? Number(text) : 0;
  return days >= 1 && days <= DAYS_MAX ? days : DAYS_DEFAULT;
}

function stepOf(text: string | null, days: number): 'hour' | 'day' {
  if (days > BY_HOUR_DAYS_MAX) return 'day';
  if (text === 'hour' || text === 'day') return text;
  return days === 1 ? 'hour' : 'day';
}

/** Who is asked about, without the time. */
export function filterOf(asked: Asked): Omit<Asked, 'days' | 'by'> {
  const kept = Object.entries(asked).filter(([name]) => name !== 'days' && name !== 'by');
  return Object.fromEntries(kept);
}

/** The hours of a week mean little of fewer than four weeks. */
export function heatmapDays(asked: Asked): number {
  return Math.max(asked.days, HEATMAP_DAYS_LEAST);
}
