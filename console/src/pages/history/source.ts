// The history as a list: the seed's API counts pages, tables follow cursors.

import { api, type CallOptions, type Schemas } from '../../api/client';
import type { ListSource } from '../../api/queries';

export type Used = Schemas['Used'];
/** The most that the API answers at once. */
export const PAGE_MAX = 200;

/** What of a table's question the API takes, in its own words. */
export function questionOf(query: CallOptions['query'] = {}): Record<string, string | number> {
  const { limit, cursor, from, to, model } = query;
  const given = Object.entries({ from, to, model }).filter(([, value]) => value);
  return {
    ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])),
    page: Number(cursor ?? 1),
    page_size: Math.min(Number(limit ?? PAGE_MAX), PAGE_MAX),
  };
}

/** The next page's number as a cursor; null on the last one. */
export function nextOf(history: Pick<Schemas['History'], 'total' | 'page' | 'page_size'>) {
  return history.page * history.page_size < history.total ? String(history.page + 1) : null;
}

export const historySource: ListSource<Used> = {
  path: '/api/user/points/history',
  values: {},
  sizeMax: PAGE_MAX,
  load: async (query, signal) => {
    const result = await api.get('/api/user/points/history', {
      query: questionOf(query),
      ...(signal ? { signal } : {}),
    });
    if (!result.ok) return result;
    const { items, total } = result.value;
    return { ok: true, value: { items, total, next: nextOf(result.value) } };
  },
};
