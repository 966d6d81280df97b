/** A page with an iframe, and a server that answers as Tallygate does. */
import { vi } from 'vitest';
import { DifyIframeMonitor, type MonitorOptions, type UsageEvent } from '../src/index.js';
import type { Balance, MonitorStatus, Outcome } from '../src/index.js';

export const DIFY = 'https://dify.example.com';

export interface Report {
  event: string;
  data: Record<string, unknown>;
}

type Answering = (report: Report | Report[]) => Response | Promise<Response>;

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

export const accepted = (pointsDeducted = 0): Response =>
  json({ success: true, message: 'Done', data: { consumptionId: 'cons_1', pointsDeducted } });

export class FakeServer {
  config: unknown = { enabled: true, browser_trust: 'hint' };
  csrfToken: string | null = 'token-1';
  balance = 100;
  answer: Answering = () => accepted();
  isAway = false;
  readonly calls: { path: string; init: RequestInit }[] = [];
  readonly reports: (Report | Report[])[] = [];
  readonly reportedAt: number[] = [];

  readonly fetch = vi.fn(async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const path = String(input);
    this.calls.push({ path, init });
    await Promise.resolve();
    if (this.isAway) throw new TypeError('Failed to fetch');
    if (path.endsWith('/api/dify/config')) return json(this.config);
    if (this.csrfToken === null) return json({ error: { message: 'sign in' } }, 401);
    if (path.endsWith('/api/session')) return json({ csrf_token: this.csrfToken });
    if (path.endsWith('/api/user/points/balance')) {
      const { balance } = this;
      return json({ balance, balance_micros: balance * 1e6, held: 0, available: balance });
    }
    return this.#take(init);
  });

  async #take(init: RequestInit): Promise<Response> {
    const token = new Headers(init.headers).get('x-csrf-token');
    if (token !== this.csrfToken) return json({ error: { message: 'forged' } }, 403);
    const report = JSON.parse(String(init.body)) as Report | Report[];
    this.reports.push(report);
    this.reportedAt.push(performance.now());
    return this.answer(report);
  }

  /** The ids of what was reported one by one. */
  get messageIds(): unknown[] {
    return this.reports.flat().map((report) => report.data['message_id']);
  }
}

export class Page {
  readonly server = new FakeServer();
  readonly frame = addFrame();
  readonly events: [UsageEvent, Outcome][] = [];
  readonly balances: Balance[] = [];
  readonly statuses: MonitorStatus[] = [];

  readonly #monitors: DifyIframeMonitor[] = [];

  monitor(options: Partial<MonitorOptions> = {}): DifyIframeMonitor {
    const monitor = new DifyIframeMonitor({
      iframe: this.frame,
      allowedOrigins: [DIFY],
      onEvent: (...told) => this.events.push(told),
      onBalance: (balance) => this.balances.push(balance),
      onStatus: (status) => this.statuses.push(status),
      fetch: this.server.fetch,
      ...options,
    });
    this.#monitors.push(monitor);
    return monitor;
  }

  close(): void {
    for (const monitor of this.#monitors) monitor.stop();
  }

  post(data: unknown, from: { origin?: string; source?: unknown } = {}): void {
    const origin = from.origin ?? DIFY;
    const source = 'source' in from ? from.source : this.frame.contentWindow;
    const init = { data, origin, source: source as Window | null };
    window.dispatchEvent(new MessageEvent('message', init));
  }
}

export function addFrame(): HTMLIFrameElement {
  const frame = document.createElement('iframe');
  document.body.append(frame);
  return frame;
}

/** An event in the webhook's shape. */
export function usage(number: number | string = 1, data: object = {}): object {
  return {
    event: 'message_end',
    data: {
      conversation_id: 'c-1',
      message_id: `m-${number}`,
      user_id: 'somebody-else',
      model_name: 'gpt-4',
      input_tokens: 10,
      output_tokens: 5,
      total_tokens: 15,
      ...data,
    },
    request_id: 'r-1',
  };
}

export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}
