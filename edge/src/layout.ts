// What the publisher writes to KV, and how it is read: `routes` is one document with every route,
// `token:<SHA-256 in hex>` one small document for each token. Whatever does not look like that is
// refused whole: a half-understood route could let through what it should not.

export const ROUTES_KEY = 'routes';
export const LAYOUT = 1;

export interface Limit {
  readonly id: number;
  readonly span: Span;
  readonly zone: string;
  readonly amount: number;
}

export type Span = 'minute' | 'hour' | 'day' | 'month' | 'total';

export interface HeaderRules {
  readonly remove: readonly string[];
  readonly rename: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly sealed: string;
}

export interface Route {
  readonly id: number;
  readonly path: string;
  readonly backend_url: string;
  readonly scope: string;
  readonly methods: readonly string[];
  readonly host: string;
  readonly strip_prefix: boolean;
  readonly rewrite: string;
  readonly request_headers: HeaderRules;
  readonly response_headers: HeaderRules;
  readonly limits: readonly Limit[];
  readonly token_limits: readonly Limit[];
  readonly first_byte_ms: number;
  readonly withheld: string;
}

export interface Token {
  readonly scopes: readonly string[];
  readonly is_active: boolean;
  readonly expires_ms: number | null;
  readonly ends_ms: number | null;
  readonly addresses: readonly string[] | null;
  readonly limits: readonly Limit[];
}

export class Unreadable extends Error {}

export const tokenKey = (hash: string): string => `token:${hash}`;

export function readRoutes(text: string): Route[] {
  const document = mapOf(parsed(text));
  if (document['version'] !== LAYOUT) throw new Unreadable('routes of another layout');
  return listOf(document['routes'], routeOf);
}

export function readToken(text: string): Token {
  const given = mapOf(parsed(text));
  return {
    scopes: listOf(given['scopes'], stringOf),
    is_active: optional(given['is_active'], booleanOf, true),
    expires_ms: optional(given['expires_ms'], numberOf, null),
    ends_ms: optional(given['ends_ms'], numberOf, null),
    addresses: optional(given['addresses'], (list) => listOf(list, stringOf), null),
    limits: listOf(given['limits'], limitOf),
  };
}

export function routeOf(value: unknown): Route {
  const given = mapOf(value);
  return {
    id: numberOf(given['id']),
    path: stringOf(given['path']),
    backend_url: stringOf(given['backend_url']),
    scope: optional(given['scope'], stringOf, ''),
    methods: listOf(given['methods'], stringOf),
    host: optional(given['host'], stringOf, ''),
    strip_prefix: optional(given['strip_prefix'], booleanOf, false),
    rewrite: optional(given['rewrite'], stringOf, ''),
    request_headers: rulesOf(given['request_headers']),
    response_headers: rulesOf(given['response_headers']),
    limits: listOf(given['limits'], limitOf),
    token_limits: listOf(given['token_limits'], limitOf),
    first_byte_ms: optional(given['first_byte_ms'], numberOf, 120_000),
    withheld: optional(given['withheld'], stringOf, ''),
  };
}

export function rulesOf(value: unknown): HeaderRules {
  const given = value === undefined ? {} : mapOf(value);
  return {
    remove: listOf(given['remove'], stringOf),
    rename: textsOf(given['rename']),
    add: textsOf(given['add']),
    sealed: optional(given['sealed'], stringOf, ''),
  };
}

const SPANS: readonly string[] = ['minute', 'hour', 'day', 'month', 'total'] satisfies Span[];

function limitOf(value: unknown): Limit {
  const given = mapOf(value);
  const span = stringOf(given['span']);
  if (!SPANS.includes(span)) throw new Unreadable('an unknown span');
  return {
    id: numberOf(given['id']),
    span: span as Span, // it is one of SPANS
    zone: stringOf(given['zone']),
    amount: numberOf(given['amount']),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreadable('not JSON');
  }
}

function optional<T, N>(value: unknown, read: (value: unknown) => T, missing: N): T | N {
  return value === undefined || value === null ? missing : read(value);
}

function mapOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Unreadable('not an object');
  }
  return value as Record<string, unknown>; // its members are still unknown
}

export function textsOf(value: unknown): Record<string, string> {
  const entries = Object.entries(value === undefined ? {} : mapOf(value));
  return Object.fromEntries(entries.map(([name, text]) => [name, stringOf(text)]));
}

function listOf<T>(value: unknown, read: (value: unknown) => T): T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Unreadable('not a list');
  return value.map(read);
}

function stringOf(value: unknown): string {
  if (typeof value !== 'string') throw new Unreadable('not a text');
  return value;
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new Unreadable('not a whole number');
  }
  return value;
}

function booleanOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Unreadable('neither true nor false');
  return value;
}
