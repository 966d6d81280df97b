/** A server that answers as Tallygate does, and keeps what it was asked. */
import { vi } from 'vitest';
import { configureTallygate } from '../src/index.js';

export interface Call {
  method: string;
  path: string;
  body: unknown;
  csrfToken: string | null;
}

type Answer = { status?: number; body: unknown };

export function refusal(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message, request_id: 'r-1' } } };
}

export class FakeServer {
  csrfToken: string | null = 'token-1';
  isAway = false;
  isEnabled: boolean | null = true;
  readonly calls: Call[] = [];
  readonly answers = new Map<string, Answer | (() => Answer | Promise<Answer>)>();

  constructor() {
    configureTallygate({ fetch: this.fetch });
    this.answers.set('GET /api/dify/config', () =>
      this.isEnabled === null
        ? refusal(404, 'not_found', 'there is nothing here')
        : { body: { enabled: this.isEnabled, browser_trust: 'hint' } },
    );
    this.answers.set('GET /api/session', () => ({
      body: { id: 'ann', csrf_token: this.csrfToken },
    }));
  }

  readonly fetch = vi.fn(async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const method = init.method ?? 'GET';
    const path = String(input);
    const csrfToken = new Headers(init.headers).get('x-csrf-token');
    const body: unknown = typeof init.body === 'string' ? JSON.parse(init.body) : null;
    this.calls.push({ method, path, body, csrfToken });
    await Promise.resolve();
    if (this.isAway) throw new TypeError('Failed to fetch');
    const { status = 200, body: value } = await this.#answer(method, path, csrfToken);
    return new Response(JSON.stringify(value), { status });
  });

  async #answer(method: string, path: string, csrfToken: string | null): Promise<Answer> {
    if (path !== '/api/dify/config') {
      if (this.csrfToken === null) return refusal(401, 'unauthorized', 'sign in');
      if (method !== 'GET' && csrfToken !== this.csrfToken) {
        return refusal(403, 'forbidden', 'forged');
      }
    }
    const answer = this.answers.get(`${method} ${path}`);
    if (!answer) return refusal(404, 'not_found', `there is no ${method} ${path}`);
    return typeof answer === 'function' ? answer() : answer;
  }

  balance(balance: number, estimated: number): void {
    const shortfall = Math.max(0, estimated - balance);
    const body = { canProceed: shortfall === 0, balance, estimated, shortfall };
    this.answers.set('POST /api/user/points/check-balance', { body });
  }

  made(method: string): Call[] {
    return this.calls.filter((call) => call.method === method);
  }
}
