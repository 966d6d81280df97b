/** The monitor from outside: what it believes, when it reports, what it tells, how it ends. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SEEN_MAX, Seen } from '../src/seen.js';
import { accepted, addFrame, DIFY, json, Page, pass, usage } from './page.js';
import { readMessage } from '../src/reading.js';
import { DifyIframeMonitor, type MonitorOptions, type UsageEvent } from '../src/index.js';

let page: Page;

beforeEach(() => {
  vi.useFakeTimers();
  page = new Page();
});

afterEach(async () => {
  page.close();
  await pass(0);
  vi.useRealTimers();
  document.body.replaceChildren();
});

async function listening(options: Partial<MonitorOptions> = {}): Promise<DifyIframeMonitor> {
  const monitor = page.monitor(options);
  monitor.start();
  await pass(0);
  expect(monitor.status.state).toBe('listening');
  return monitor;
}

describe('an event', () => {
  it('is reported with the session and told once the server has decided', async () => {
    page.server.answer = () => accepted(12.5);
    const monitor = await listening({ app: 'help desk', baseUrl: 'https://points.example.com/' });
    page.server.balance = 87.5;
    page.post(usage(1));
    await pass(0);
    const call = page.server.calls.find(({ init }) => init.method === 'POST');
    expect(call?.path).toBe('https://points.example.com/api/dify/events?app=help%20desk');
    expect(call?.init.credentials).toBe('include');
    expect(new Headers(call?.init.headers).get('x-csrf-token')).toBe('token-1');
    expect(page.server.reports).toEqual([
      {
        event: 'message_end',
        data: {
          conversation_id: 'c-1',
          message_id: 'm-1',
          model_name: 'gpt-4',
          input_tokens: 10,
          output_tokens: 5,
          total_tokens: 15,
        },
      },
    ]);
    const [[event, outcome]] = page.events as [[UsageEvent, unknown]];
    expect(event.messageId).toBe('m-1');
    expect(outcome).toEqual({
      status: 'accepted',
      pointsDeducted: 12.5,
      consumptionId: 'cons_1',
      message: 'Done',
    });
    expect(page.balances.map(({ balance }) => balance)).toEqual([100, 87.5]);
    expect(monitor.status).toMatchObject({ state: 'listening', reported: 1, waiting: 0 });
  });

  it('that is only a hint has its balance looked at again, once the server may have seen it', async () => {
    await listening();
    page.post(usage(1));
    await pass(0);
    page.server.balance = 60;
    await pass(5_000);
    expect(page.balances.at(-1)?.balance).toBe(60);
  });

  it.each([
    [202, 'review'],
    [402, 'unpaid'],
    [400, 'refused'],
    [409, 'refused'],
    [422, 'refused'],
  ])('that the server answers with %i is %s, and is not sent again', async (status, said) => {
    page.server.answer = () => json({ error: { message: 'because' } }, status);
    await listening();
    page.post(usage(1));
    await pass(100_000);
    expect(page.server.reports).toHaveLength(1);
    expect(page.events[0]?.[1]).toMatchObject({ status: said, message: 'because' });
  });

  it('that comes before the server has answered the first question is not lost', async () => {
    const monitor = page.monitor();
    monitor.start();
    page.post(usage(1));
    await pass(0);
    expect(page.server.messageIds).toEqual(['m-1']);
  });
});

describe('nobody is believed who', () => {
  it('posts from another origin', async () => {
    const monitor = await listening();
    const origins = [
      'https://evil.example.com',
      'http://dify.example.com',
      'https://dify.example.com:8443',
      'https://dify.example.com.evil.example',
      'https://evil.example/https://dify.example.com',
      'null',
      '',
    ];
    for (const origin of origins) page.post(usage(1), { origin });
    await pass(5_000);
    expect(page.server.reports).toEqual([]);
    expect(monitor.status.foreign).toBe(origins.length);
  });

  it('is another window, of the right origin though', async () => {
    const monitor = await listening();
    const other = addFrame();
    for (const source of [other.contentWindow, window, null]) page.post(usage(1), { source });
    await pass(5_000);
    expect(page.server.reports).toEqual([]);
    expect(monitor.status.foreign).toBe(3);
  });

  it('has no window, when the iframe has none either', async () => {
    const gone = { contentWindow: null } as HTMLIFrameElement;
    for (const iframe of [gone, () => null, () => gone]) {
      const monitor = await listening({ iframe });
      page.post(usage(1), { source: null });
      await pass(5_000);
      expect(monitor.status.foreign).toBe(1);
      monitor.stop();
    }
    expect(page.server.reports).toEqual([]);
  });

  it('forges counts', async () => {
    const monitor = await listening();
    page.post(usage(1, { input_tokens: -1_000_000 }));
    page.post(usage(2, { total_tokens: 1 }));
    page.post(usage(3, { output_tokens: 1e9, total_tokens: undefined }));
    await pass(5_000);
    expect(page.server.reports).toEqual([]);
    expect(monitor.status.malformed).toBe(3);
  });

  it('posts what breaks when it is looked at', async () => {
    const monitor = await listening();
    const trap = {
      get event(): string {
        throw new Error('a trap');
      },
    };
    expect(() => page.post(trap)).not.toThrow();
    page.post(usage(1));
    await pass(0);
    expect(monitor.status).toMatchObject({ malformed: 1, reported: 1 });
  });
});

describe('replays and floods', () => {
  it('an event that comes again is reported once, another total is another event', async () => {
    const monitor = await listening();
    for (let again = 0; again < 50; again += 1) page.post(usage(1));
    page.post(usage(1, { total_tokens: 20, input_tokens: 15 }));
    await pass(10_000);
    expect(page.server.reports).toHaveLength(2);
    expect(monitor.status.repeated).toBe(49);
  });

  it('a second lies between two events, and none is lost', async () => {
    await listening();
    for (let number = 0; number < 5; number += 1) page.post(usage(number));
    await pass(10_000);
    expect(page.server.messageIds).toEqual(['m-0', 'm-1', 'm-2', 'm-3', 'm-4']);
    const gaps = page.server.reportedAt
      .slice(1)
      .map((at, i) => at - (page.server.reportedAt[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
  });

  it('nobody can make it quicker than a second', async () => {
    await listening({ spacingMs: 1 });
    page.post(usage(1));
    page.post(usage(2));
    await pass(999);
    expect(page.server.reports).toHaveLength(1);
  });

  it('a thousand messages a second for ten seconds: few calls, little told, nothing grows', async () => {
    const monitor = await listening();
    const told = page.statuses.length;
    for (let tick = 0; tick < 100; tick += 1) {
      for (let one = 0; one < 100; one += 1) page.post(usage(`${tick}-${one}`));
      await pass(100);
    }
    expect(page.server.reports.length).toBeLessThanOrEqual(11);
    expect(page.statuses.length - told).toBeLessThanOrEqual(11);
    const { waiting, overflowed, reported } = monitor.status;
    expect(waiting).toBeLessThanOrEqual(100);
    expect(waiting + overflowed + reported).toBe(10_000);
    expect(page.statuses.at(-1)?.overflowed).toBeGreaterThan(9_000);
  });

  it('what overflowed is taken when it comes again', async () => {
    await listening();
    for (let number = 0; number <= 101; number += 1) page.post(usage(number));
    await pass(200_000);
    expect(page.server.reports).toHaveLength(100);
    page.post(usage(101));
    await pass(2_000);
    expect(page.server.messageIds).toContain('m-101');
  });

  it('a flood of strangers is counted and costs no call', async () => {
    const monitor = await listening();
    const calls = page.server.calls.length;
    for (let one = 0; one < 10_000; one += 1)
      page.post(usage(one), { origin: 'https://evil.example' });
    await pass(1_000);
    expect(page.server.calls).toHaveLength(calls);
    expect(monitor.status.foreign).toBe(10_000);
  });

  it('what came before is remembered within bounds', () => {
    const seen = new Seen();
    const events = Array.from(
      { length: SEEN_MAX + 5 },
      (_, n) => readMessage(usage(n)) as UsageEvent,
    );
    for (const event of events) seen.add(event);
    expect(seen.size).toBe(SEEN_MAX);
    expect(events.filter((event) => !seen.has(event))).toEqual(events.slice(0, 5));
  });
});

describe('while the server is away', () => {
  it('events wait, are tried ever more rarely, and arrive in order', async () => {
    const monitor = await listening();
    page.server.isAway = true;
    const before = page.server.calls.length;
    page.post(usage(1));
    page.post(usage(2));
    await pass(300_000);
    expect(monitor.status).toMatchObject({ state: 'retrying', waiting: 2 });
    expect(page.server.calls.length - before).toBeLessThan(25);
    page.server.isAway = false;
    await pass(120_000);
    expect(page.server.messageIds).toEqual(['m-1', 'm-2']);
    expect(monitor.status).toMatchObject({ state: 'listening', waiting: 0, reported: 2 });
  });

  it.each([500, 503, 429, 408])('%i is tried again', async (status) => {
    let count = 0;
    page.server.answer = () => ((count += 1) < 3 ? json({}, status) : accepted());
    await listening();
    page.post(usage(1));
    await pass(20_000);
    expect(page.server.reports).toHaveLength(3);
    expect(page.events).toHaveLength(1);
  });

  it('it waits as long as the server asks it to', async () => {
    let count = 0;
    page.server.answer = () =>
      (count += 1) === 1 ? json({}, 429, { 'retry-after': '30' }) : accepted();
    await listening();
    page.post(usage(1));
    await pass(29_000);
    expect(page.server.reports).toHaveLength(1);
    await pass(2_000);
    expect(page.server.reports).toHaveLength(2);
  });

  it('an answer that never comes is given up and asked for again', async () => {
    await listening();
    let count = 0;
    page.server.fetch.mockImplementation(async (_, init) => {
      if ((init?.method ?? '') !== 'POST') return json({ csrf_token: 'token-1', balance: 1 });
      if ((count += 1) > 1) return accepted();
      return new Promise((_resolve, reject) =>
        init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
      );
    });
    page.post(usage(1));
    await pass(30_000);
    expect(page.events).toHaveLength(1);
  });

  it('it begins as soon as the server is there', async () => {
    page.server.isAway = true;
    const monitor = page.monitor();
    monitor.start();
    await pass(5_000);
    expect(monitor.status.state).toBe('retrying');
    page.server.isAway = false;
    window.dispatchEvent(new Event('online'));
    await pass(1_000);
    expect(monitor.status.state).toBe('listening');
  });
});

describe('the session', () => {
  it('whoever is signed out loses nothing: events wait for the next session', async () => {
    const monitor = await listening();
    page.server.csrfToken = null;
    page.post(usage(1));
    await pass(3_000);
    expect(monitor.status).toMatchObject({ state: 'signed-out', waiting: 1 });
    page.server.csrfToken = 'token-2';
    window.dispatchEvent(new Event('focus'));
    await pass(2_000);
    expect(page.server.messageIds).toEqual(['m-1']);
    expect(monitor.status.state).toBe('listening');
  });

  it('another session has another token, which is fetched', async () => {
    await listening();
    page.post(usage(1));
    await pass(0);
    page.server.csrfToken = 'token-2';
    page.post(usage(2));
    await pass(2_000);
    expect(page.server.messageIds).toEqual(['m-1', 'm-2']);
  });

  it('a refusal that a fresh token does not change is final', async () => {
    page.server.answer = () => json({ message: 'what browsers report is not taken here' }, 403);
    await listening();
    page.post(usage(1));
    await pass(2_000);
    page.post(usage(2));
    await pass(2_000);
    expect(page.server.reports).toHaveLength(2);
    expect(page.events.map(([, outcome]) => outcome.status)).toEqual(['refused', 'refused']);
  });

  it('who is signed out from the beginning is told so', async () => {
    page.server.csrfToken = null;
    const monitor = page.monitor();
    monitor.start();
    await pass(0);
    expect(monitor.status.state).toBe('signed-out');
    monitor.stop();
  });
});

describe('switched off on the server', () => {
  it.each([
    { enabled: false, browser_trust: 'hint' },
    { enabled: true, browser_trust: 'off' },
    { enabled: 'true', browser_trust: 'hint' },
    null,
  ])('nothing is listened to: %o', async (config) => {
    page.server.config = config;
    const monitor = page.monitor();
    monitor.start();
    page.post(usage(1));
    await pass(0);
    expect(monitor.status).toMatchObject({ state: 'disabled', waiting: 0 });
    page.post(usage(2));
    await pass(10_000);
    expect(page.server.calls).toHaveLength(1);
    page.server.config = { enabled: true, browser_trust: 'charge' };
    monitor.start();
    await pass(0);
    expect(monitor.status.state).toBe('listening');
  });
});

describe('the life of a page', () => {
  it('starting twice listens once, stopping twice is stopping', async () => {
    const monitor = page.monitor();
    monitor.start();
    monitor.start();
    await pass(0);
    page.post(usage(1));
    await pass(2_000);
    expect(page.server.reports).toHaveLength(1);
    monitor.stop();
    monitor.stop();
    page.post(usage(2));
    await pass(10_000);
    expect(page.server.reports).toHaveLength(1);
    expect(page.statuses.at(-1)?.state).toBe('stopped');
  });

  it('a component that is mounted twice in a row, as React and Vue do, reports once', async () => {
    const first = page.monitor();
    first.start();
    first.stop();
    const second = page.monitor();
    second.start();
    await pass(0);
    page.post(usage(1));
    await pass(5_000);
    expect(page.server.messageIds).toEqual(['m-1']);
    expect(first.status.state).toBe('stopped');
  });

  it('stop and start again at once goes on with what waits', async () => {
    const monitor = page.monitor();
    page.server.isAway = true;
    monitor.start();
    page.post(usage(1));
    await pass(0);
    monitor.stop();
    monitor.start();
    page.server.isAway = false;
    await pass(10_000);
    expect(page.server.messageIds).toEqual(['m-1']);
    expect(monitor.status.state).toBe('listening');
  });

  it('stopped in flight, it tells nothing more and loses nothing', async () => {
    let release: (response: Response) => void = () => undefined;
    page.server.answer = () => new Promise((resolve) => (release = resolve));
    const monitor = await listening();
    page.post(usage(1));
    page.post(usage(2));
    page.post(usage(3));
    await pass(0);
    page.server.answer = () => accepted();
    monitor.stop();
    const told = page.statuses.length;
    release(accepted());
    await pass(20_000);
    expect(page.server.messageIds).toEqual(['m-1', 'm-2', 'm-3']);
    expect(page.server.reports[1]).toHaveLength(2);
    expect([page.events.length, page.statuses.length]).toEqual([0, told]);
    expect(monitor.status.waiting).toBe(0);
  });

  it('what was in flight and failed is kept for another start', async () => {
    let fail: (error: Error) => void = () => undefined;
    page.server.answer = () => new Promise((_, reject) => (fail = reject));
    const monitor = await listening();
    page.post(usage(1));
    await pass(0);
    monitor.stop();
    fail(new TypeError('the network is gone'));
    await pass(0);
    expect(monitor.status.waiting).toBe(1);
    page.server.answer = () => accepted();
    monitor.start();
    await pass(10_000);
    expect(page.events.map(([event]) => event.messageId)).toEqual(['m-1']);
  });

  it('a page that goes away sends what waits in one call that outlives it', async () => {
    await listening();
    for (let number = 0; number < 4; number += 1) page.post(usage(number));
    await pass(0);
    window.dispatchEvent(new Event('pagehide'));
    await pass(0);
    expect(page.server.reports[1]).toHaveLength(3);
    expect(page.server.calls.at(-1)?.init.keepalive).toBe(true);
    await pass(10_000);
    expect(page.server.reports).toHaveLength(2);
  });

  it('no listener and no timer is left behind', async () => {
    const removed = vi.spyOn(window, 'removeEventListener');
    const added = vi.spyOn(window, 'addEventListener');
    const timers = vi.getTimerCount();
    const monitor = await listening();
    page.post(usage(1));
    await pass(0);
    monitor.stop();
    await pass(0);
    expect(removed.mock.calls.map(([name]) => name)).toEqual(
      added.mock.calls.map(([name]) => name),
    );
    expect(vi.getTimerCount()).toBe(timers);
  });

  it('callbacks that throw are the page’s own trouble', async () => {
    const complained = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const broken = (): never => {
      throw new Error('a bug of the page');
    };
    const monitor = await listening({ onEvent: broken, onBalance: broken, onStatus: broken });
    page.post(usage(1));
    page.post(usage(2));
    await pass(5_000);
    expect(monitor.status.reported).toBe(2);
    expect(complained).toHaveBeenCalled();
  });

  it('an iframe that is found late, or replaced, is the one that counts', async () => {
    let frame: HTMLIFrameElement | null = null;
    await listening({ iframe: () => frame });
    page.post(usage(1));
    frame = addFrame();
    page.post(usage(2), { source: frame.contentWindow });
    page.post(usage(3));
    await pass(5_000);
    expect(page.server.messageIds).toEqual(['m-2']);
  });
});

describe('options that make no sense', () => {
  it.each([
    undefined,
    null,
    {},
    { allowedOrigins: [] },
    { allowedOrigins: ['*'] },
    { allowedOrigins: ['null'] },
    { allowedOrigins: [DIFY, '*'] },
    { allowedOrigins: ['dify.example.com'] },
    { allowedOrigins: 'https://dify.example.com' },
    { allowedOrigins: [null] },
    { allowedOrigins: ['javascript:alert(1)'] },
    { iframe: null },
    { iframe: 'chat' },
    { iframe: {} },
  ])('are told, not thrown: %o', async (options) => {
    const valid = { iframe: page.frame, allowedOrigins: [DIFY], fetch: page.server.fetch };
    const merged = options && { ...(Object.keys(options).length ? valid : {}), ...options };
    const monitor = new DifyIframeMonitor(merged as unknown as MonitorOptions);
    monitor.start();
    page.post(usage(1));
    await pass(5_000);
    expect(monitor.status.state).toBe('misconfigured');
    expect(monitor.status.detail).not.toBe('');
    expect(page.server.calls).toEqual([]);
    monitor.stop();
  });

  it('an origin may be written with a path or a slash', async () => {
    await listening({ allowedOrigins: [`${DIFY}/chatbot/abc`] });
    page.post(usage(1));
    await pass(0);
    expect(page.server.messageIds).toEqual(['m-1']);
  });
});
