// Routes and tokens as KV has them, kept for a few seconds in this isolate. When KV fails, or holds
// something unreadable, what was read before serves for a while; then nobody is let through.

import { RouteTable } from './decide';
import { ROUTES_KEY, Unreadable, readRoutes, readToken, tokenKey } from './layout';
import type { Token } from './layout';

export const TOKENS_MAX = 10_000;
const UNKNOWN_MS_MAX = 5_000;
const KV_CACHE_S = 30; // the least that KV takes: its own cache in each data centre

/** Neither KV nor what is remembered of it can answer. */
export class Unavailable extends Error {}

interface Remembered<T> {
  readonly value: T;
  readonly readMs: number;
}

export interface Source {
  get(key: string, options: { cacheTtl: number }): Promise<string | null>;
}

export class Kept {
  private table: Remembered<RouteTable> | null = null;
  private readonly tokens = new Map<string, Remembered<Token | null>>();

  constructor(
    private readonly cacheMs: number,
    private readonly staleMs: number,
    private readonly nowMs: () => number,
  ) {}

  async routes(kv: Source): Promise<RouteTable> {
    const known = this.table;
    if (known !== null && this.nowMs() - known.readMs < this.cacheMs) return known.value;
    try {
      const text = await kv.get(ROUTES_KEY, { cacheTtl: KV_CACHE_S });
      if (text === null) throw new Unreadable('nothing was published');
      const value = new RouteTable(readRoutes(text));
      this.table = { value, readMs: this.nowMs() };
      return value;
    } catch (error) {
      return this.rather(known, ROUTES_KEY, error);
    }
  }

  /** null: there is no such token. */
  async token(kv: Source, hash: string): Promise<Token | null> {
    const known = this.tokens.get(hash) ?? null;
    if (known !== null && this.nowMs() - known.readMs < this.freshFor(known.value)) {
      return known.value;
    }
    try {
      const text = await kv.get(tokenKey(hash), { cacheTtl: KV_CACHE_S });
      const value = text === null ? null : readToken(text);
      this.remember(hash, { value, readMs: this.nowMs() });
      return value;
    } catch (error) {
      return this.rather(known, 'a token', error);
    }
  }

  private freshFor(token: Token | null): number {
    return token === null ? Math.min(UNKNOWN_MS_MAX, this.cacheMs) : this.cacheMs;
  }

  private remember(hash: string, read: Remembered<Token | null>): void {
    this.tokens.delete(hash);
    if (this.tokens.size >= TOKENS_MAX) {
      const oldest = this.tokens.keys().next();
      if (oldest.done !== true) this.tokens.delete(oldest.value);
    }
    this.tokens.set(hash, read);
  }

  private rather<T>(known: Remembered<T> | null, what: string, error: unknown): T {
    console.warn(`KV: ${what} could not be read: ${error instanceof Error ? error.message : ''}`);
    if (known === null || this.nowMs() - known.readMs >= this.staleMs) throw new Unavailable(what);
    return known.value;
  }
}
