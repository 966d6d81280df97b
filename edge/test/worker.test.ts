// The Worker as it will run: in workerd, with KV, Durable Objects and connections of their own.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import shared from '../../contract/edge-vectors.json';
import vectors from '../../contract/route-vectors.json';
import { hashOf, textOf } from './given';
import type { Group } from './given';
import { Rig, TOKEN, answerTo, codeOf } from './rig';

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start({ EDGE_SECRET: shared.kv.secret });
});
afterAll(() => rig.stop());
beforeEach(async () => {
  rig.mood = 'well';
  rig.backend.answer = (_, response) => response.end('fine');
  rig.backend.requests.length = 0;
  await rig.routes({ path: '/a' });
  await rig.token();
});

const lastRequest = () => rig.backend.requests.at(-1);

describe('a token', () => {
  it('that is valid goes to its route, and the backend never sees it', async () => {
    const answer = await rig.ask('/a/b?c=%20d', {
      headers: { cookie: 'tallygate_session=s; x=1' },
    });
    expect([answer.status, answer.body.toString()]).toEqual([200, 'fine']);
    expect(lastRequest()?.url).toBe('/a/b?c=%20d');
    const headers = lastRequest()?.headers ?? {};
    expect(headers['x-api-key']).toBeUndefined();
    expect(headers['cookie']).toBe('x=1');
    expect(headers['cache-control']).toBe('no-cache'); // so Cloudflare's cache is kept out
    expect(headers['x-forwarded-for']).toBe('127.0.0.1');
    expect(headers['x-forwarded-host']).toContain('127.0.0.1:');
    expect(headers['via']).toBe('1.1 tallygate-edge');
    expect(headers['x-request-id']).toBe(answer.headers['x-request-id']);
    expect(answer.headers['content-security-policy']).toBe('sandbox');
  });

  it('that is revoked stops, by being switched off or by being deleted', async () => {
    expect((await rig.ask('/a')).status).toBe(200);
    await rig.token({ is_active: false });
    const off = await rig.ask('/a');
    expect([off.status, codeOf(off)]).toEqual([403, 'key_inactive']);
    await rig.remove(`token:${hashOf(TOKEN)}`);
    const gone = await rig.ask('/a');
    expect([gone.status, codeOf(gone)]).toEqual([401, 'invalid_api_key']);
    expect(rig.backend.requests).toHaveLength(1);
  });

  it('that is expired, or whose rotated secret is, stops', async () => {
    await rig.token({ expires_ms: 1 });
    expect(codeOf(await rig.ask('/a'))).toBe('key_expired');
    await rig.token({ ends_ms: 1 });
    expect(codeOf(await rig.ask('/a'))).toBe('invalid_api_key');
    await rig.token({ expires_ms: Date.now() + 3_600_000, ends_ms: Date.now() + 3_600_000 });
    expect((await rig.ask('/a')).status).toBe(200);
  });

  it('of a wrong scope, of a wrong address or with a wrong method stops', async () => {
    await rig.routes({ path: '/a', scope: 's', methods: ['GET', 'PUT'] });
    expect(codeOf(await rig.ask('/a'))).toBe('forbidden');
    await rig.token({ scopes: ['s'], addresses: ['192.0.2.0/24'] });
    expect(codeOf(await rig.ask('/a'))).toBe('address_not_allowed');
    await rig.token({ scopes: ['s'], addresses: ['127.0.0.0/8'] });
    expect((await rig.ask('/a')).status).toBe(200);
    const wrong = await rig.ask('/a', { method: 'POST' });
    expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'GET, PUT']);
  });

  it('helps nobody where there is no route', async () => {
    expect(codeOf(await rig.ask('/elsewhere'))).toBe('not_found');
    expect(codeOf(await rig.ask('/api/tokens'))).toBe('not_found');
  });
});

// URLs reach a Worker resolved: these are other paths then, which are decided on as what they are.
const RESOLVED = /(?:\/\.{1,2}(?=[/?]|$))|%2e/i;

describe('the whole Worker decides every shared vector', () => {
  const groups = (vectors.groups as Group[]).map((group) => ({ ...group, title: group.name }));
  it.each(groups)('of $title', async (group) => {
    const late = Date.now() - group.now_ms;
    await rig.routes(...group.routes.map((route) => ({ ...route, backend_url: backendOf(route) })));
    for (const token of group.tokens) {
      const { expires_ms } = token;
      const moved = expires_ms === null || expires_ms === 1 ? expires_ms : expires_ms + late;
      const isEdge = expires_ms === group.now_ms + 1; // a millisecond that no real clock can hit
      await rig.put(
        `token:${token.token_hash}`,
        textOf({ ...token, expires_ms: isEdge ? Date.now() + 3_600_000 : moved }),
      );
    }
    for (const one of group.requests) {
      if (RESOLVED.test(one.target.split('?')[0] ?? '')) continue;
      if ((one.address ?? '127.0.0.1') !== '127.0.0.1') continue; // the platform says the address
      const answer = await rig.ask(one.target, {
        method: one.method,
        headers: { 'x-api-key': '', ...one.headers, host: one.host },
      });
      expect([one.name, answer.status]).toEqual([one.name, one.verdict.status]);
      if (one.verdict.why === 'ok') {
        expect([one.name, lastRequest()?.url]).toEqual([one.name, one.verdict.forwarded]);
      }
    }
  });

  /** The same path at the rig's backend. */
  function backendOf(route: Readonly<Record<string, unknown>>): string {
    return rig.backend.url + new URL(String(route['backend_url'])).pathname.replace(/\/$/, '');
  }

  it('and what a platform resolves never leaves its route', async () => {
    await rig.routes({ path: '/files', strip_prefix: true }, { path: '/secret', scope: 's' });
    expect(codeOf(await rig.ask('/files/../secret'))).toBe('forbidden');
    expect(codeOf(await rig.ask('/files/%2e%2e/secret'))).toBe('forbidden');
    expect((await rig.ask('/secret/../files/x')).status).toBe(200);
    expect(lastRequest()?.url).toBe('/x');
  });
});

describe('header rules', () => {
  it('take out, rename and add, and what was sealed is opened for its backend only', async () => {
    const routes = JSON.parse(shared.kv.routes.text) as { routes: Record<string, unknown>[] };
    const sealed = { ...routes.routes[1], host: '', backend_url: rig.backend.url, limits: [] };
    await rig.put(
      'routes',
      JSON.stringify({ version: 1, routes: [{ ...sealed, token_limits: [], scope: '' }] }),
    );
    const answer = await rig.ask('/full/x', { headers: { 'x-a': '1', 'x-b': '2' } });
    expect(lastRequest()?.headers).toMatchObject({ ...shared.kv.routes.opened['2'], 'x-c': '2' });
    expect(lastRequest()?.headers['x-a']).toBeUndefined();
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(JSON.stringify(answer.lines)).not.toContain('Bearer of the backend');
  });

  it('that do not open let nothing through', async () => {
    const rules = { add: {}, sealed: 'AYpF+Zhapx1qB9Vh6ssCmn2rYpqIafwxiU4ODqqM' };
    await rig.routes({ path: '/a', request_headers: rules });
    expect((await rig.ask('/a')).status).toBe(503);
    expect(rig.backend.requests).toHaveLength(0);
  });

  it('keep our cookies from being set, and others apart', async () => {
    rig.backend.answer = (_, response) =>
      response
        .writeHead(200, { 'set-cookie': ['a=1', 'tallygate_session=x', 'b=2'], 'x-accel-y': '1' })
        .end();
    const answer = await rig.ask('/a');
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers['x-accel-y']).toBeUndefined();
  });

  it('leave redirects to the client', async () => {
    rig.backend.answer = (_, response) =>
      response.writeHead(302, { location: 'http://else.test/' }).end();
    const answer = await rig.ask('/a');
    expect([answer.status, answer.headers['location']]).toEqual([302, 'http://else.test/']);
  });
});

describe('a backend', () => {
  it('that is down is a 502, and a use', async () => {
    const server = createServer();
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    await rig.routes({ path: '/a', backend_url: `http://127.0.0.1:${port}` });
    const answer = await rig.ask('/a');
    expect([answer.status, codeOf(answer)]).toEqual([502, 'upstream_unreachable']);
    const id = answer.headers['x-request-id'];
    await vi.waitUntil(() => rig.reports.some((one) => one.event_id === id), { timeout: 10_000 });
    expect(rig.reports.find((one) => one.event_id === id)?.response_status).toBe(502);
  });

  it('that says nothing in time is a 504', async () => {
    rig.backend.answer = () => undefined;
    await rig.routes({ path: '/a', first_byte_ms: 50 });
    const answer = await rig.ask('/a');
    expect([answer.status, codeOf(answer)]).toEqual([504, 'upstream_timeout']);
  });

  it("that fails is answered with the backend's own status", async () => {
    rig.backend.answer = (_, response) => response.writeHead(503).end('broken');
    const answer = await rig.ask('/a');
    expect([answer.status, answer.body.toString()]).toEqual([503, 'broken']);
  });

  it('may answer without a body', async () => {
    for (const status of [204, 304]) {
      rig.backend.answer = (_, response) => response.writeHead(status).end();
      const answer = await rig.ask('/a');
      expect([answer.status, answer.body.length]).toEqual([status, 0]);
    }
    expect((await rig.ask('/a', { method: 'HEAD' })).body).toHaveLength(0);
  });

  it('may answer before it has read the request', async () => {
    rig.backend.answer = (_, response) => response.writeHead(413).end('too large');
    const answer = await rig.ask('/a', { method: 'POST', body: 'x'.repeat(1 << 20) });
    expect([answer.status, answer.body.toString()]).toEqual([413, 'too large']);
  });

  it('that is the gate again is not asked', async () => {
    const answer = await rig.ask('/a', { headers: { via: '1.1 tallygate-edge' } });
    expect([answer.status, codeOf(answer)]).toEqual([422, 'impossible']);
  });

  it('whose route is withheld is not asked', async () => {
    await rig.routes({ path: '/a', withheld: 'its headers need TALLYGATE_EDGE_SECRET' });
    expect((await rig.ask('/a')).status).toBe(503);
    expect(rig.backend.requests).toHaveLength(0);
  });
});

describe('bodies', () => {
  it('of server-sent events pass as they come', async () => {
    let goOn = (): void => undefined;
    rig.backend.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      goOn = () => response.end('data: 2\n\n');
    };
    const request = rig.open('/a', { headers: { accept: 'text/event-stream' } });
    request.end();
    const answer = await answerTo(request);
    const parts = answer[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
    expect(String((await parts.next()).value)).toBe('data: 1\n\n');
    goOn(); // only now: the first one has arrived while the answer went on
    expect(String((await parts.next()).value)).toBe('data: 2\n\n');
    expect((await parts.next()).done).toBe(true);
  });

  it('of uploads reach the backend before they have ended', async () => {
    const piece = Buffer.alloc(1 << 20, 'x');
    let received = 0;
    rig.backend.answer = (request, response) => {
      request.on('data', (part: Buffer) => (received += part.length));
      request.on('end', () => response.end(String(received)));
    };
    await rig.routes({ path: '/a', first_byte_ms: 1_000 }); // from the upload's end, that is
    const request = rig.open('/a', { method: 'POST' });
    const answered = answerTo(request);
    const startedMs = Date.now();
    let sent = 0;
    while (sent < 24 * piece.length || Date.now() - startedMs < 1_500) {
      sent += piece.length;
      request.write(piece);
      await vi.waitUntil(() => received > sent - piece.length / 2, { timeout: 20_000 });
    }
    request.end();
    let text = '';
    for await (const part of await answered) text += String(part);
    expect(text).toBe(String(sent));
  });

  it('with a length keep it', async () => {
    await rig.ask('/a', {
      method: 'PUT',
      body: 'twelve bytes',
      headers: { 'content-length': '12' },
    });
    expect(lastRequest()?.headers['content-length']).toBe('12');
    expect(lastRequest()?.headers['transfer-encoding']).toBeUndefined();
  });

  it('of a WebSocket pass both ways', async () => {
    await rig.routes({ path: '/ws', strip_prefix: true });
    const options = { headers: { 'x-api-key': TOKEN } } as unknown as string[]; // Node's own
    const socket = new WebSocket(rig.webSocketUrl('/ws/room'), options);
    const heard: string[] = [];
    socket.onmessage = (event) => heard.push(String(event.data));
    await vi.waitUntil(() => heard.length === 1, { timeout: 10_000 });
    socket.send('again');
    await vi.waitUntil(() => heard.length === 2, { timeout: 10_000 });
    socket.close();
    expect(heard).toEqual(['hello /room nobody', 'again']);
  });

  it('of a WebSocket without a token are refused', async () => {
    const answer = await rig.ask('/a', {
      headers: { 'x-api-key': '', upgrade: 'websocket', connection: 'upgrade' },
    });
    expect(answer.status).toBe(401);
  });
});

describe('KV', () => {
  it('that fails lets through whom it let through before, and nobody else', async () => {
    expect((await rig.ask('/a')).status).toBe(200);
    rig.mood = 'away';
    expect((await rig.ask('/a')).status).toBe(200);
    const other = await rig.ask('/a', { headers: { 'x-api-key': 'ntk_other' } });
    expect([other.status, codeOf(other)]).toEqual([503, 'store_unavailable']);
  });

  it('that holds garbage for a token lets nobody through by it', async () => {
    for (const garbage of ['', 'garbage', '[]', '{"is_active":1}']) {
      await rig.put(`token:${hashOf('ntk_garbage')}`, garbage);
      const answer = await rig.ask('/a', { headers: { 'x-api-key': 'ntk_garbage' } });
      expect([garbage, answer.status]).toEqual([garbage, 503]);
    }
  });

  it('that holds garbage for routes leaves those that were known', async () => {
    expect((await rig.ask('/a')).status).toBe(200);
    await rig.put('routes', '{"version":1,"routes":[{"path":7}]}');
    expect((await rig.ask('/a')).status).toBe(200);
  });

  it('where nothing was published yet serves nothing', async () => {
    const bare = await Rig.start();
    try {
      const answer = await bare.ask('/a');
      expect([answer.status, codeOf(answer)]).toEqual([503, 'store_unavailable']);
    } finally {
      await bare.stop();
    }
  });
});

describe('uses', () => {
  let own: Rig; // to whom nobody else reports

  async function start(settings: Record<string, string> = {}): Promise<void> {
    own = await Rig.start(settings);
    await own.routes({ path: '/a' });
    await own.token();
  }
  afterEach(() => own.stop());

  it('are reported with what the backend asks for, and refusals are not', async () => {
    await start();
    await own.ask('/a', { headers: { 'x-api-key': '' } });
    const answer = await own.ask('/a/b?secret=1', { headers: { 'user-agent': 'n8n/1' } });
    await vi.waitUntil(() => own.reports.length > 0, { timeout: 10_000 });
    const [report, ...others] = own.reports;
    expect(others).toEqual([]);
    const [pinned] = shared.reports;
    expect(Object.keys(report ?? {})).toEqual(Object.keys(pinned ?? {}));
    for (const [name, value] of Object.entries(pinned ?? {})) {
      expect([name, typeof report?.[name as keyof typeof report]]).toEqual([name, typeof value]);
    }
    expect(report).toMatchObject({
      token_hash: hashOf(TOKEN),
      route: '/a',
      ip_address: '127.0.0.1',
      user_agent: 'n8n/1',
      response_status: 200,
      event_id: answer.headers['x-request-id'],
    });
    expect(Math.abs(Date.now() - (report?.timestamp ?? 0))).toBeLessThan(600_000);
    expect(report?.response_time_ms).toBeGreaterThanOrEqual(0);
    expect(own.posts).toEqual([{ secret: 'usage secret', events: 1 }]);
  });

  it('that happen together are reported together, each once', async () => {
    await start({ BATCH_MS: '500' });
    await Promise.all(Array.from({ length: 30 }, () => own.ask('/a')));
    await vi.waitUntil(() => own.reports.length >= 30, { timeout: 20_000 });
    expect(new Set(own.reports.map((one) => one.event_id)).size).toBe(30);
    expect(own.reports).toHaveLength(30);
    expect(own.posts.length).toBeLessThan(15);
  });

  it('that the backend cannot take now are reported again', async () => {
    await start();
    own.statuses = [503, 500];
    await own.ask('/a');
    await vi.waitUntil(() => own.reports.length > 0, { timeout: 20_000 });
    expect(own.posts).toHaveLength(3);
    expect(own.reports).toHaveLength(1);
  });

  it('do no harm to answers where nobody takes them', async () => {
    await start({ TOKEN_MANAGER_BACKEND: 'http://127.0.0.1:1' });
    for (let count = 0; count < 5; count += 1) {
      expect((await own.ask('/a')).body.toString()).toBe('fine');
    }
  });

  it('do no harm to answers where their backend says nothing', async () => {
    await start();
    own.usage.answer = () => undefined;
    expect((await own.ask('/a')).body.toString()).toBe('fine');
    await vi.waitUntil(() => own.usage.requests.length > 0, { timeout: 10_000 });
    expect((await own.ask('/a')).body.toString()).toBe('fine');
  });
});

describe('limits', () => {
  const limit = { id: 7, span: 'total', zone: 'UTC', amount: 3 };
  const count = async (asked: number, target = '/a'): Promise<number[]> => {
    const answers = await Promise.all(Array.from({ length: asked }, () => rig.ask(target)));
    return answers.map((answer) => answer.status).sort();
  };

  it('of a route let as many through as they say, however many come at once', async () => {
    await rig.routes({ path: '/a', limits: [limit] });
    expect(await count(8)).toEqual([200, 200, 200, 429, 429, 429, 429, 429]);
    const over = await rig.ask('/a');
    expect([codeOf(over), over.headers['x-should-retry']]).toEqual(['insufficient_quota', 'false']);
    expect(rig.backend.requests).toHaveLength(3);
  });

  it('of a token are its own, on every route', async () => {
    await rig.token({ limits: [{ ...limit, id: 8 }] });
    await rig.routes({ path: '/a' }, { path: '/b' });
    expect(await count(2)).toEqual([200, 200]);
    expect(await count(2, '/b')).toEqual([200, 429]);
  });

  it('for each token are not shared by tokens', async () => {
    await rig.routes({ path: '/a', token_limits: [{ ...limit, id: 9, amount: 1 }] });
    await rig.token({}, 'ntk_other');
    expect(await count(2)).toEqual([200, 429]);
    expect((await rig.ask('/a', { headers: { 'x-api-key': 'ntk_other' } })).status).toBe(200);
  });

  it('are given back where the backend failed, and where another limit refused', async () => {
    rig.backend.answer = (_, response) => response.writeHead(500).end();
    await rig.routes({ path: '/a', limits: [{ ...limit, id: 10, amount: 1 }] });
    expect(await count(1)).toEqual([500]);
    rig.backend.answer = (_, response) => response.end();
    await vi.waitUntil(async () => (await rig.ask('/a')).status === 200, { timeout: 10_000 });
    await rig.routes(
      { path: '/a', limits: [{ ...limit, id: 11, amount: 1 }] },
      { path: '/b', limits: [{ ...limit, id: 12, amount: 5 }] },
      {
        path: '/c',
        limits: [
          { ...limit, id: 12, amount: 5 },
          { ...limit, id: 11, amount: 1 },
        ],
      },
    );
    expect(await count(1)).toEqual([200]);
    expect(await count(9, '/c')).toEqual(Array<number>(9).fill(429));
    expect(await count(6, '/b')).toEqual([200, 200, 200, 200, 200, 429]);
  });

  it('that a window ends say when to come again', async () => {
    await rig.routes({ path: '/a', limits: [{ ...limit, id: 13, span: 'hour', amount: 0 }] });
    const over = await rig.ask('/a');
    expect([over.status, codeOf(over)]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(over.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('that cannot be counted let nobody through, unless they are to be ignored', async () => {
    for (const [settings, status] of [
      [{}, 503],
      [{ WITHOUT_LIMITS: 'ignore' }, 200],
    ] as const) {
      const without = await Rig.start(settings, false);
      try {
        await without.routes({ path: '/a', limits: [limit] }, { path: '/b' });
        await without.token();
        expect((await without.ask('/a')).status).toBe(status);
        expect((await without.ask('/b')).status).toBe(200);
      } finally {
        await without.stop();
      }
    }
  });
});
