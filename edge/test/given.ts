// The shared vectors as the tests use them.

import { createHash } from 'node:crypto';

import { readToken } from '../src/layout';
import type { Token } from '../src/layout';

export interface Group {
  readonly name: string;
  readonly now_ms: number;
  readonly routes: readonly Readonly<Record<string, unknown>>[];
  readonly tokens: readonly GivenToken[];
  readonly requests: readonly Case[];
}

export interface GivenToken {
  readonly token: string;
  readonly token_hash: string;
  readonly scopes: readonly string[];
  readonly is_active: boolean;
  readonly expires_ms: number | null;
  readonly addresses?: readonly string[];
}

export interface Case {
  readonly name: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly address?: string;
  readonly verdict: {
    readonly why: string;
    readonly status: number;
    readonly route: string;
    readonly forwarded: string;
  };
}

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** A token of the vectors as the publisher writes it. */
export function textOf({ scopes, is_active, expires_ms, addresses }: GivenToken): string {
  return JSON.stringify({ scopes, is_active, expires_ms, addresses });
}

export const tokenOf = (given: GivenToken): Token => readToken(textOf(given));
