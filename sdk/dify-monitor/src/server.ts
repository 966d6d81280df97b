/**
 * Tallygate's API as a page calls it: with the session's cookie, and for changing calls with the
 * token that shows that a page of the same origin made them.
 */
import type { Balance, Outcome, UsageEvent } from './types.js';

const TIMEOUT_MS = 20_000;
const KEEPALIVE_LENGTH_MAX = 30_000; // browsers take 64 KiB, of all such calls together

/** An answer with a status. No answer at all is an exception. */
export interface Answer {
  status: number;
  body: unknown;
  retryAfterMs: number;
}

export interface Config {
  enabled: boolean;
  browserTrust: string;
}

export class Server {
  readonly #baseUrl: string;
  readonly #app: string;
  readonly #fetch: typeof fetch;
  #csrfToken: string | null = null;

  constructor(baseUrl: string, app: string, fetcher: typeof fetch | undefined) {
    this.#baseUrl = baseUrl.replace(/\/+$/, '');
    this.#app = app;
    this.#fetch = fetcher ?? ((input, init) => globalThis.fetch(input, init));
  }

  /** null: not now. */
  async config(): Promise<Config | null> {
    const { status, body } = await this.#call('GET', '/api/dify/config');
    if (status === 404) return { enabled: false, browserTrust: 'off' };
    if (status !== 200) return null;
    return {
      enabled: field(body, 'enabled') === true,
      browserTrust: String(field(body, 'browser_trust')),
    };
  }

  /** The balance; null if nobody is signed in. */
  async balance(): Promise<Balance | null> {
    const { status, body } = await this.#call('GET', '/api/user/points/balance');
    if (status === 401) return null;
    if (status !== 200) throw new Error(messageOf(body) || `the balance: ${status}`);
    return {
      balance: numberOf(field(body, 'balance')),
      balanceMicros: numberOf(field(body, 'balance_micros')),
      held: numberOf(field(body, 'held')),
      available: numberOf(field(body, 'available')),
    };
  }

  /** One event, or what was left when the page went away. */
  async report(events: UsageEvent | readonly UsageEvent[]): Promise<Answer> {
    const told = Array.isArray(events)
      ? events.map(webhookForm)
      : webhookForm(events as UsageEvent);
    const query = this.#app ? `?app=${encodeURIComponent(this.#app)}` : '';
    return this.#change(`/api/dify/events${query}`, JSON.stringify(told));
  }

  /** Another session may have begun meanwhile, so a refusal is tried again with its token. */
  async #change(path: string, body: string): Promise<Answer> {
    const known = this.#csrfToken;
    const token = known ?? (await this.#newToken());
    if (token === null) return signedOut();
    const answer = await this.#call('POST', path, body, token);
    if (answer.status === 401) this.#csrfToken = null;
    if (answer.status !== 403 || known === null) return answer;
    const fresh = await this.#newToken();
    if (fresh === null) return signedOut();
    return fresh === known ? answer : this.#call('POST', path, body, fresh);
  }

  async #newToken(): Promise<string | null> {
    this.#csrfToken = null;
    const { status, body } = await this.#call('GET', '/api/session');
    if (status === 401) return null;
    const token = field(body, 'csrf_token');
    if (status !== 200 || typeof token !== 'string') throw new Error(`the session: ${status}`);
    this.#csrfToken = token;
    return token;
  }

  /** `keepalive` lets a call that has begun outlive the page. */
  async #call(method: string, path: string, body?: string, token?: string): Promise<Answer> {
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(), TIMEOUT_MS);
    try {
      const fetcher = this.#fetch; // the browser's own refuses to be a method of ours
      const response = await fetcher(this.#baseUrl + path, {
        method,
        credentials: 'include',
        cache: 'no-store',
        signal: ending.signal,
        headers: {
          accept: 'application/json',
          ...(token === undefined
            ? {}
            : { 'content-type': 'application/json', 'x-csrf-token': token }),
        },
        ...(body === undefined ? {} : { body, keepalive: body.length <= KEEPALIVE_LENGTH_MAX }),
      });
      const retryAfterMs = numberOf(Number(response.headers.get('retry-after'))) * 1000;
      return { status: response.status, body: await jsonOf(response), retryAfterMs };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What became of an event; null: ask again later. */
export function outcomeOf({ status, body }: Answer): Outcome | null {
  if (status === 401 || status === 408 || status === 429 || status >= 500) return null;
  const data = field(body, 'data');
  const consumptionId = field(data, 'consumptionId');
  return {
    status: STATUSES[status] ?? 'refused',
    pointsDeducted: numberOf(field(data, 'pointsDeducted')),
    consumptionId: typeof consumptionId === 'string' ? consumptionId : null,
    message: messageOf(body),
  };
}

const STATUSES: Record<number, Outcome['status']> = {
  200: 'accepted',
  202: 'review',
  402: 'unpaid',
};

function signedOut(): Answer {
  return { status: 401, body: null, retryAfterMs: 0 };
}

/** No `user_id`: the server takes it from the session, whatever a page says. */
function webhookForm(event: UsageEvent): object {
  return {
    event: 'message_end',
    data: {
      conversation_id: event.conversationId,
      message_id: event.messageId,
      ...(event.modelName ? { model_name: event.modelName } : {}),
      input_tokens: event.inputTokens,
      output_tokens: event.outputTokens,
      total_tokens: event.totalTokens,
      ...(event.timestamp === undefined ? {} : { timestamp: event.timestamp }),
    },
  };
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function messageOf(body: unknown): string {
  const message = field(body, 'message') ?? field(field(body, 'error'), 'message');
  return typeof message === 'string' ? message : '';
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
