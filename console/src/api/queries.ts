// The server's answers in components: cached, shared, asked again while the server is away.

import { QueryClient, useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { useCallback } from 'react';
import { type Answer, api, type CallOptions, type PathOf } from './client';
import { errorOf, isPassing, type Result, valueOf } from './errors';

export const AGAIN_AFTER_MS = 5_000;

export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        retry: (count, thrown) => count < 1 && isPassing(errorOf(thrown)),
        retryDelay: 500,
        refetchInterval: (query) =>
          query.state.error && isPassing(errorOf(query.state.error)) ? AGAIN_AFTER_MS : false,
      },
    },
  });
}

export interface ReadOptions extends Pick<CallOptions, 'path' | 'query'> {
  readonly enabled?: boolean;
  /** Ask again and again, for what changes while one looks. */
  readonly everyMs?: number;
}

/** What a GET of the contract answers. */
export function useRead<P extends PathOf<'get'>>(
  path: P,
  options: ReadOptions = {},
): UseQueryResult<Answer<P, 'get'>> {
  const { enabled = true, everyMs, ...call } = options;
  return useQuery({
    queryKey: [path, call.path ?? {}, call.query ?? {}],
    queryFn: async ({ signal }) => valueOf(await api.get(path, { ...call, signal })),
    enabled,
    ...(everyMs ? { refetchInterval: everyMs } : {}),
  });
}

/** Tells the cache that what these paths answered may have changed. */
export function useRefresh(): (...paths: PathOf<'get'>[]) => Promise<void> {
  const client = useQueryClient();
  return useCallback(
    async (...paths) => {
      await client.invalidateQueries({
        predicate: (query) => paths.some((path) => query.queryKey[0] === path),
      });
    },
    [client],
  );
}

/** A list as the API answers it. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly next: string | null;
}

/** Where a table's rows come from. */
export interface ListSource<T> {
  /** The most rows that it answers at once, where that is less than others do. */
  readonly sizeMax?: number;
  readonly path: PathOf<'get'>;
  readonly values: Readonly<Record<string, string | number>>;
  readonly load: (query: CallOptions['query'], signal?: AbortSignal) => Promise<Result<Page<T>>>;
}

type ItemOf<P extends PathOf<'get'>> =
  Answer<P, 'get'> extends { items: readonly (infer T)[] } ? T : never;

/** The list behind a path, its rows typed by the contract; `query` goes with every call. */
export function listOf<P extends PathOf<'get'>>(
  path: P,
  options: Pick<CallOptions, 'path' | 'query'> = {},
): ListSource<ItemOf<P>> {
  const values = options.path ?? {};
  return {
    path,
    values,
    load: async (query, signal) =>
      (await api.get(path, {
        path: values,
        query: { ...options.query, ...query },
        ...(signal ? { signal } : {}),
      })) as Result<Page<ItemOf<P>>>, // every list of the API has this shape
  };
}
