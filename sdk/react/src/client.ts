/**
 * Tallygate's API as a page calls it: with the session's cookie, and for changing calls with the
 * token that shows that a page of the same origin made them.
 */

export interface TallygateSettings {
  /** Where Tallygate is, if not at the page's own origin. */
  baseUrl?: string;
  /** Instead of the browser's own. */
  fetch?: typeof fetch;
}

/** A refusal of the server, or its silence: then `status` is 0 and `code` is `unreachable`. */
export class TallygateError extends Error {
  override readonly name = 'TallygateError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId = '',
  ) {
    super(message);
  }
}

interface Session {
  id: string | null;
  csrfToken: string;
}

let settings: TallygateSettings = {};
let session: Session | null = null;

/** Once, before anything else is called; without it everything is at the page's own origin. */
export function configureTallygate(changed: TallygateSettings): void {
  settings = changed;
  session = null;
}

export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await valueOf(await send('GET', path, { signal }))) as T;
}

/** A change. Another session may have begun meanwhile: a refusal is tried again with its token. */
export async function change<T>(
  method: 'POST' | 'PUT' | 'PATCH',
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const known = session;
  const { csrfToken } = known ?? (await openSession(signal));
  let response = await send(method, path, { body, csrfToken, signal });
  if (response.status === 401) session = null;
  if (response.status === 403 && known) {
    const fresh = await openSession(signal);
    if (fresh.csrfToken !== csrfToken) {
      response = await send(method, path, { body, csrfToken: fresh.csrfToken, signal });
    }
  }
  return (await valueOf(response)) as T;
}

/** Who is signed in; null for nobody we know of. */
export async function signedInAs(): Promise<string | null> {
  return (session ?? (await openSession())).id;
}

/** A name in a path: slashes are a part of it and stay as they are. */
export function inPath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

async function openSession(signal?: AbortSignal): Promise<Session> {
  session = null;
  const found = await read<{ id: string | null; csrf_token: string | null }>(
    '/api/session',
    signal,
  );
  session = { id: found.id, csrfToken: found.csrf_token ?? '' };
  return session;
}

interface Sent {
  body?: unknown;
  csrfToken?: string;
  signal: AbortSignal | undefined;
}

async function send(method: string, path: string, sent: Sent): Promise<Response> {
  const fetcher = settings.fetch ?? globalThis.fetch; // which refuses to be a method of ours
  const headers: Record<string, string> = { accept: 'application/json' };
  if (sent.body !== undefined) headers['content-type'] = 'application/json';
  if (sent.csrfToken) headers['x-csrf-token'] = sent.csrfToken;
  const init: RequestInit = { method, headers, credentials: 'include', cache: 'no-store' };
  if (sent.body !== undefined) init.body = JSON.stringify(sent.body);
  if (sent.signal) init.signal = sent.signal;
  try {
    return await fetcher((settings.baseUrl ?? '').replace(/\/+$/, '') + path, init);
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    throw new TallygateError(0, 'unreachable', 'The server does not answer.');
  }
}

async function valueOf(response: Response): Promise<unknown> {
  const value: unknown = await response.json().catch(() => null);
  if (response.ok && value !== null) return value;
  const { error } = (value ?? {}) as { error?: Record<string, unknown> };
  throw new TallygateError(
    response.status,
    textOf(error?.['code']) || 'unreadable',
    textOf(error?.['message']) || `The server answered ${response.status}.`,
    textOf(error?.['request_id']),
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
