// Reports of use: batched, tried again, bounded, and confirmed once.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { BATCH_MAX, Reporter, WAITING_MAX } from '../src/usage';
import type { Report } from '../src/usage';

const PLACE = { backend: 'http://backend.test/', secret: 's3cret' };

function report(number: number): Report {
  return {
    token_hash: 'ab'.repeat(32),
    route: '/a',
    timestamp: number,
    ip_address: '192.0.2.1',
    user_agent: 'n8n',
    response_status: 200,
    response_time_ms: 5,
    event_id: `event-${number}`,
  };
}

/** A backend that answers as it is told, then 200; 0 is no answer at all. */
class Backend {
  statuses: number[] = [];
  readonly posts: { url: string; secret: string | null; events: string[] }[] = [];

  readonly send = (
    url: unknown,
    init?: { headers?: unknown; body?: unknown },
  ): Promise<Response> => {
    const events = (JSON.parse(String(init?.body)) as Report[]).map((one) => one.event_id);
    const secret = (init?.headers as Headers).get('x-usage-secret');
    this.posts.push({ url: String(url), secret, events });
    const status = this.statuses.shift() ?? 200;
    if (status === 0) return Promise.reject(new TypeError('unreachable'));
    return Promise.resolve(new Response(null, { status }));
  };
}

let backend: Backend;
let nowMs: number;
let reporter: Reporter;

beforeEach(() => {
  vi.spyOn(console, 'warn').mockReturnValue();
  vi.spyOn(console, 'error').mockReturnValue();
  backend = new Backend();
  nowMs = 1_000_000;
  const sleep = (ms: number): Promise<void> => {
    nowMs += ms;
    return Promise.resolve();
  };
  reporter = new Reporter(backend.send as typeof fetch, () => nowMs, sleep);
});
afterEach(() => vi.restoreAllMocks());

describe('reports of use', () => {
  it('that come together are one request, to the backend that is named, with its secret', async () => {
    await Promise.all([1, 2, 3].map((number) => reporter.report(report(number), PLACE, 10)));
    expect(backend.posts).toEqual([
      {
        url: 'http://backend.test/api/usage-log',
        secret: 's3cret',
        events: ['event-1', 'event-2', 'event-3'],
      },
    ]);
  });

  it.each([[[500]], [[0]], [[429, 503]], [[401, 403, 404]]])(
    'are tried again after %j',
    async (statuses) => {
      backend.statuses = [...statuses];
      await reporter.report(report(1), PLACE, 0);
      expect(backend.posts).toHaveLength(statuses.length + 1);
      expect(new Set(backend.posts.flatMap((post) => post.events))).toEqual(new Set(['event-1']));
      await reporter.report(report(2), PLACE, 0);
      expect(backend.posts.at(-1)?.events).toEqual(['event-2']);
    },
  );

  it('that nobody takes wait for the next request', async () => {
    backend.statuses = [0, 0, 0, 0];
    await reporter.report(report(1), PLACE, 0);
    await reporter.report(report(2), PLACE, 0);
    expect(backend.posts.at(-1)?.events).toEqual(['event-1', 'event-2']);
  });

  it('that the backend finds wrong are not sent for ever', async () => {
    backend.statuses = [422];
    await reporter.report(report(1), PLACE, 0);
    await reporter.report(report(2), PLACE, 0);
    expect(backend.posts.map((post) => post.events)).toEqual([['event-1'], ['event-2']]);
  });

  it('of which one is wrong do not go down with it', async () => {
    const wrong = (events: string[]): boolean => events.includes('event-3');
    const send = backend.send;
    const strict = (async (url: unknown, init?: { headers?: unknown; body?: unknown }) => {
      const answer = await send(url, init);
      return wrong(backend.posts.at(-1)?.events ?? [])
        ? new Response(null, { status: 400 })
        : answer;
    }) as typeof fetch;
    Object.assign(reporter, { send: strict });
    await Promise.all([1, 2, 3, 4, 5].map((number) => reporter.report(report(number), PLACE, 10)));
    const taken = backend.posts.map((post) => post.events).filter((events) => !wrong(events));
    expect(taken.flat().sort()).toEqual(['event-1', 'event-2', 'event-4', 'event-5']);
    const before = backend.posts.length;
    await reporter.report(report(6), PLACE, 0);
    expect(backend.posts.slice(before).map((post) => post.events)).toEqual([['event-6']]);
  });

  it('whose request was ended while it sent them are sent by another', async () => {
    const hung = new Reporter(
      ((): Promise<Response> => new Promise(() => undefined)) as typeof fetch,
      () => nowMs,
      () => Promise.resolve(),
    );
    void hung.report(report(1), PLACE, 0);
    await Promise.resolve();
    Object.assign(hung, { send: backend.send });
    await hung.report(report(2), PLACE, 0);
    expect(backend.posts.at(-1)?.events).toEqual(['event-2']);
    nowMs += 30_000;
    await hung.report(report(3), PLACE, 0);
    expect(backend.posts.at(-1)?.events).toEqual(['event-1', 'event-3']);
  });

  it('go in portions, and no more of them are kept than there is room for', async () => {
    backend.statuses = Array<number>(4 * WAITING_MAX).fill(0);
    const all = Array.from({ length: WAITING_MAX + 50 }, (_, number) => number);
    await Promise.all(all.map((number) => reporter.report(report(number), PLACE, 0)));
    expect(reporter.dropped).toBe(50);
    backend.statuses = [];
    const before = backend.posts.length;
    await reporter.report(report(99_999), PLACE, 0);
    const sent = backend.posts.slice(before).map((post) => post.events);
    expect(Math.max(...sent.map((events) => events.length))).toBeLessThanOrEqual(BATCH_MAX);
    expect(new Set(sent.flat()).size).toBe(WAITING_MAX);
    expect(sent.flat()).not.toContain('event-0');
  });
});
