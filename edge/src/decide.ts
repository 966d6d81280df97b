// Which route a request takes and whether it may: the same verdict as the gateway's for every
// request (src/tallygate/core/routes.py), pure. contract/route-vectors.json holds both to it.

import { own } from '../../contract/route-vectors.json';
import { isAddressAllowed } from './addresses';
import type { Route, Token } from './layout';

export type Why =
  | 'ok'
  | 'bad_path'
  | 'no_route'
  | 'no_token'
  | 'unknown_token'
  | 'inactive'
  | 'expired'
  | 'wrong_address'
  | 'wrong_scope'
  | 'method_not_allowed';

export interface Asked {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly apiKey: string;
  readonly authorization: string;
  readonly address: string;
}

export interface Verdict {
  readonly why: Why;
  readonly route: Route | null;
  /** What the backend is asked for: path and query. */
  readonly forwarded: string;
}

/** A verdict that needs no token, or the route and the token that it depends on. */
export type Sought = Verdict | { readonly why: 'token_needed'; route: Route; secret: string };

const EVERY_SCOPE = '*';
const SECRET_BYTES_MAX = 512;
const OWN = new Set(own.first);
const OWN_APIS = new Set(own.api);
// Empty and dot-segments, encoded separators, encoded letters and digits (core/paths.py).
const AMBIGUOUS =
  /\/\/|\/\.\.?(?:\/|$)|%(?:00|2[dDeEfF]|3[0-9]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aA])/;

/** The routes of one host, found by at most one look-up for each segment of the deepest one. */
class Paths {
  private readonly routes = new Map<string, Route>();
  private depth = 0;

  add(route: Route): void {
    this.routes.set(route.path, route);
    if (route.path !== '/') this.depth = Math.max(this.depth, route.path.split('/').length - 1);
  }

  match(path: string): Route | null {
    const ends: number[] = [];
    let end = 0;
    while (ends.length < this.depth) {
      end = path.indexOf('/', end + 1);
      ends.push(end < 0 ? path.length : end);
      if (end < 0) break;
    }
    for (const cut of ends.reverse()) {
      const route = this.routes.get(path.slice(0, cut));
      if (route !== undefined) return route;
    }
    return this.routes.get('/') ?? null;
  }
}

export class RouteTable {
  private readonly anywhere = new Paths();
  private readonly hosts = new Map<string, Paths>();

  constructor(routes: Iterable<Route>) {
    for (const route of routes) this.pathsOf(route.host).add(route);
  }

  match(host: string, path: string): Route | null {
    const found = this.hosts.get(withoutPort(host))?.match(path) ?? null;
    if (found !== null) return found;
    return isOwn(path) ? null : this.anywhere.match(path);
  }

  private pathsOf(host: string): Paths {
    if (host === '') return this.anywhere;
    const paths = this.hosts.get(host) ?? new Paths();
    this.hosts.set(host, paths);
    return paths;
  }
}

/** The first half of a verdict: everything that can be said without knowing the token. */
export function seek(table: RouteTable, asked: Asked): Sought {
  const path = pathOf(asked.target);
  if (AMBIGUOUS.test(path)) return refused('bad_path', null);
  const route = table.match(asked.host, path);
  if (route === null) return refused('no_route', null);
  const secret = tokenOf(asked.apiKey, asked.authorization);
  if (secret === '') return refused('no_token', route);
  if (new TextEncoder().encode(secret).length > SECRET_BYTES_MAX) {
    return refused('unknown_token', route);
  }
  return { why: 'token_needed', route, secret };
}

/** The second half; null: there is no such token. */
export function judge(route: Route, token: Token | null, asked: Asked, nowMs: number): Verdict {
  if (token === null || (token.ends_ms !== null && token.ends_ms <= nowMs)) {
    return refused('unknown_token', route);
  }
  const why = whyNot(route, token, asked, nowMs);
  if (why !== 'ok') return refused(why, route);
  return { why, route, forwarded: forwardedTarget(route, asked.target) };
}

function whyNot(route: Route, token: Token, asked: Asked, nowMs: number): Why {
  if (!token.is_active) return 'inactive';
  if (token.expires_ms !== null && token.expires_ms <= nowMs) return 'expired';
  if (token.addresses !== null && !isAddressAllowed(asked.address, token.addresses)) {
    return 'wrong_address';
  }
  const { scope, methods } = route;
  if (scope !== '' && !token.scopes.includes(scope) && !token.scopes.includes(EVERY_SCOPE)) {
    return 'wrong_scope';
  }
  if (methods.length > 0 && !methods.includes(asked.method)) return 'method_not_allowed';
  return 'ok';
}

function refused(why: Why, route: Route | null): Verdict {
  return { why, route, forwarded: '' };
}

export function forwardedTarget(route: Route, target: string): string {
  let path = pathOf(target);
  const query = target.slice(path.length);
  if (route.strip_prefix || route.rewrite !== '') {
    const rest = route.path === '/' ? path : path.slice(route.path.length);
    path = trimmed(route.rewrite) + rest;
  }
  return (backendPath(route) + path || '/') + query;
}

/** Where a route leads, without a path: like `https://tools.internal:9000`. */
export function backendOrigin(route: Route): string {
  return route.backend_url.slice(0, originEnd(route.backend_url));
}

function backendPath(route: Route): string {
  return trimmed(route.backend_url.slice(originEnd(route.backend_url)));
}

function originEnd(url: string): number {
  const slash = url.indexOf('/', url.indexOf('://') + 3);
  return slash < 0 ? url.length : slash;
}

function trimmed(path: string): string {
  return path.replace(/\/+$/, '');
}

function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/** X-API-Key goes first: a client may need Authorization for something else. */
function tokenOf(apiKey: string, authorization: string): string {
  if (apiKey.trim() !== '') return apiKey.trim();
  const given = authorization.trim();
  const space = given.indexOf(' ');
  if (space < 0 || given.slice(0, space).toLowerCase() !== 'bearer') return '';
  return given.slice(space + 1).trim();
}

/** Whether a path is Tallygate's own: never a route's, unless that has a host to itself. */
function isOwn(path: string): boolean {
  const [first = '', second = ''] = path.slice(1).split('/', 2);
  if (first === 'api') return OWN_APIS.has(second);
  return first === '' || OWN.has(first);
}

export function withoutPort(host: string): string {
  const port = /^(.*[^:]|):\d*$/.exec(host);
  return (port?.[1] ?? host).toLowerCase().replace(/\.+$/, '');
}
