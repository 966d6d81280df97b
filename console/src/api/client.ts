// Calls to the server, typed by its own contract. An error is a value, not an exception.

import { takeBegun } from '../begun';
import { type ApiError, type Result } from './errors';
import { parseExactly } from './exact';
import type { components, paths } from './schema';
import { apiUrl, type Query } from './urls';

export type Schemas = components['schemas'];
export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;

/** The paths that answer a method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never;
}[keyof paths];

type Json<R> = R extends { content: { 'application/json': infer A } } ? A : unknown;
export type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: infer R }
    ? R extends { 200: infer A }
      ? Json<A>
      : R extends { 201: infer A }
        ? Json<A>
        : R extends { 202: infer A }
          ? Json<A>
          : unknown
    : unknown;
export type BodyOf<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer B } ? Json<NonNullable<B>> : undefined;

export interface CallOptions<B = unknown> {
  /** What fills the `{names}` of the path. */
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: Query;
  readonly body?: B;
  readonly signal?: AbortSignal;
  /** Send the same one when the same change is tried again. */
  readonly idempotencyKey?: string;
}

const SESSION = '/api/session';

/** What every call bears, and who hears that the session has ended. */
export const caller = {
  adminToken: '',
  csrfToken: '',
  /** Whether the same person has signed in again; meanwhile the call that asks this waits. */
  onSignedOut: (): Promise<boolean> => Promise.resolve(false),
};

export const api = {
  get: <P extends PathOf<'get'>>(path: P, options: CallOptions = {}) =>
    call<Answer<P, 'get'>>('get', path, options),
  post: <P extends PathOf<'post'>>(path: P, options: CallOptions<BodyOf<P, 'post'>> = {}) =>
    call<Answer<P, 'post'>>('post', path, options),
  put: <P extends PathOf<'put'>>(path: P, options: CallOptions<BodyOf<P, 'put'>> = {}) =>
    call<Answer<P, 'put'>>('put', path, options),
  patch: <P extends PathOf<'patch'>>(path: P, options: CallOptions<BodyOf<P, 'patch'>> = {}) =>
    call<Answer<P, 'patch'>>('patch', path, options),
  delete: <P extends PathOf<'delete'>>(path: P, options: CallOptions<BodyOf<P, 'delete'>> = {}) =>
    call<Answer<P, 'delete'>>('delete', path, options),
};

/**
 * One call by its path as the contract writes it. Pages use `api`, which knows the types. Where the
 * session has ended, it is made again once its owner is back: nothing that was typed is lost.
 */
export async function call<T>(
  method: Method,
  path: string,
  options: CallOptions = {},
): Promise<Result<T>> {
  const key = options.idempotencyKey ?? randomName(); // the same for a second try
  for (;;) {
    const result = await callOnce<T>(method, path, { ...options, idempotencyKey: key });
    if (result.ok || result.error.status !== 401 || path.startsWith(SESSION)) return result;
    if (!(await hasEnded()) || !(await caller.onSignedOut())) return result;
  }
}

/** A wrong password is answered 401, too, while the session goes on. */
async function hasEnded(): Promise<boolean> {
  const result = await callOnce('get', SESSION, {});
  return !result.ok && result.error.status === 401;
}

async function callOnce<T>(method: Method, path: string, options: CallOptions): Promise<Result<T>> {
  let response: Response;
  let text: string;
  try {
    response = await send(method, path, options);
    text = await response.text();
  } catch (thrown) {
    if (options.signal?.aborted) throw thrown;
    return { ok: false, error: unreachable() };
  }
  return resultOf<T>(response, text);
}

function send(method: Method, path: string, options: CallOptions): Promise<Response> {
  const url = apiUrl(path, options.path, options.query);
  const begun = method === 'get' ? takeBegun(url, options.signal) : null;
  if (begun) return begun;
  return fetch(url, {
    method: method.toUpperCase(),
    headers: headersOf(method, options),
    credentials: 'same-origin',
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

function resultOf<T>(response: Response, text: string): Result<T> {
  try {
    const parsed = text ? parseExactly(text) : null;
    if (response.ok) return { ok: true, value: parsed as T }; // typed by the contract of the path
    return { ok: false, error: refusalOf(response, parsed) };
  } catch {
    return { ok: false, error: { ...unreachable(), status: response.status } };
  }
}

/** The headers that say who calls. A cookie goes by itself. */
export function identity(): Record<string, string> {
  return caller.adminToken ? { 'X-Admin-Token': caller.adminToken } : {};
}

function headersOf(method: Method, options: CallOptions): Record<string, string> {
  const headers = identity();
  if (method === 'get') return headers;
  headers['Idempotency-Key'] = options.idempotencyKey ?? randomName();
  if (caller.csrfToken) headers['X-CSRF-Token'] = caller.csrfToken;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  return headers;
}

/** Works on plain http, too, where browsers withhold `randomUUID`. */
export function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');
}

function refusalOf(response: Response, parsed: unknown): ApiError {
  const given = (parsed as { error?: Partial<Record<string, string>> } | null)?.error ?? {};
  return {
    code: given['code'] ?? `http_${response.status}`,
    message: given['message'] ?? response.statusText,
    requestId: given['request_id'] ?? response.headers.get('x-request-id') ?? '',
    status: response.status,
    param: given['param'] ?? '',
  };
}

function unreachable(): ApiError {
  return { code: 'unreachable', message: '', requestId: '', status: 0, param: '' };
}
