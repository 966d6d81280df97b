// Header fields on their way to a backend and back, by the gateway's rules
// (gateway/backend_headers.py): no credential of ours goes out, nothing that touches our own cookies
// or origin comes back. contract/edge-vectors.json holds both to the same cases.

import type { HeaderRules } from './layout';

export type Field = readonly [name: string, value: string];

const HOP_BY_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const REWRITTEN = new Set(['content-length', 'expect', 'forwarded', 'host', 'x-real-ip']);
const REWRITTEN_PREFIXES = ['x-forwarded-', 'x-tallygate-'];
const WITHHELD = new Set(['authorization', 'x-admin-token', 'x-api-key', 'x-trial-key']);
// What Cloudflare adds for a Worker is not the client's to say, nor the backend's to know.
const PLATFORM_PREFIX = 'cf-';
const PLATFORM = new Set(['cdn-loop']);

const NOT_FOR_CLIENTS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
]);
const NOT_FOR_CLIENTS_PREFIXES = [
  'x-ratelimit-',
  'anthropic-ratelimit-',
  'x-tallygate-',
  'x-accel-',
];
const NOT_ON_OUR_ORIGIN = new Set(['clear-site-data', 'service-worker-allowed']);
const SANDBOX: Field = ['content-security-policy', 'sandbox'];
const OWN_COOKIE = /^(?:__host-)?(?:__secure-)?tallygate/;

/** The fields that go on to the backend. */
export function requestFields(fields: Iterable<Field>, rules: HeaderRules): Field[] {
  const all = [...fields].map(([name, value]): Field => [name.toLowerCase(), value]);
  const named = new Set(
    all
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) => value.split(',').map((token) => token.trim().toLowerCase())),
  );
  const kept: Field[] = [];
  for (const [name, value] of all) {
    if (!mayGoOut(name) || named.has(name)) continue;
    if (name !== 'cookie') {
      kept.push([name, value]);
      continue;
    }
    const cookies = withoutOwnCookies(value);
    if (cookies !== '') kept.push([name, cookies]);
  }
  return ruled(kept, rules);
}

/** The fields that go on to the client. */
export function answerFields(
  fields: Iterable<Field>,
  rules: HeaderRules,
  isOnOurOrigin: boolean,
): Field[] {
  const kept = [...fields]
    .map(([name, value]): Field => [name.toLowerCase(), value])
    .filter(([name, value]) => mayComeBack(name, value, isOnOurOrigin));
  const answered = ruled(kept, rules);
  return isOnOurOrigin ? [...answered, SANDBOX] : answered;
}

function mayGoOut(name: string): boolean {
  if (HOP_BY_HOP.has(name) || REWRITTEN.has(name) || WITHHELD.has(name)) return false;
  if (PLATFORM.has(name) || name.startsWith(PLATFORM_PREFIX)) return false;
  return !REWRITTEN_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function mayComeBack(name: string, value: string, isOnOurOrigin: boolean): boolean {
  if (NOT_FOR_CLIENTS.has(name)) return false;
  if (NOT_FOR_CLIENTS_PREFIXES.some((prefix) => name.startsWith(prefix))) return false;
  if (name === 'set-cookie') return !isOwnCookie(value);
  return !(isOnOurOrigin && NOT_ON_OUR_ORIGIN.has(name));
}

function withoutOwnCookies(value: string): string {
  const pairs = value.split(';').map((pair) => pair.trim());
  return pairs.filter((pair) => pair !== '' && !isOwnCookie(pair)).join('; ');
}

function isOwnCookie(pair: string): boolean {
  const name = pair.split('=', 1)[0] ?? '';
  return OWN_COOKIE.test(name.trim().toLowerCase());
}

/** Removed first, then renamed; what is added takes others' place. */
function ruled(fields: readonly Field[], rules: HeaderRules): Field[] {
  const gone = new Set(rules.remove);
  const renamed = new Map(Object.entries(rules.rename));
  const added = Object.entries(rules.add);
  const taken = new Set(added.map(([name]) => name));
  const kept = fields
    .filter(([name]) => !gone.has(name))
    .map(([name, value]): Field => [renamed.get(name) ?? name, value])
    .filter(([name]) => !taken.has(name));
  return [...kept, ...added];
}
