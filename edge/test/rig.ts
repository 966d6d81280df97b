// The Worker in the real workerd, between a client, backends and a usage backend that tests play.

import { createHash } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

import type { Report } from '../src/usage';
import { hashOf } from './given';

export const TOKEN = 'ntk_y57aJMtuLrLSsRlsV2eF9beZGrnkRp308oln';
// KV that tests can take away: the Worker sees this in place of its binding.
const ENTRY = `
import worker, { LimitCounter } from './worker.js';
export { LimitCounter };
const away = (env) => ({
  async get(key, options) {
    const mood = await (await env.MOOD.fetch('http://mood/')).text();
    if (mood === 'away') throw new Error('KV GET failed: 503 Service Unavailable');
    return env.KV.get(key, options);
  },
});
export default {
  fetch: (request, env, ctx) => worker.fetch(request, { ...env, KV: away(env) }, ctx),
};
`;

let bundle: Promise<string> | null = null;

function bundled(): Promise<string> {
  bundle ??= build({
    entryPoints: [new URL('../src/index.ts', import.meta.url).pathname],
    bundle: true,
    format: 'esm',
    target: 'es2023',
    external: ['cloudflare:workers'],
    write: false,
  }).then((built) => built.outputFiles[0]?.text ?? '');
  return bundle;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly lines: readonly string[];
  readonly body: Buffer;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A server that a test plays: each request is noted, then handed to `answer`. */
export class Played {
  readonly requests: IncomingMessage[] = [];
  answer: RequestListener = (_, response) => response.end('fine');
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Played> {
    const server = createServer();
    const played = new Played(server);
    server.on('request', (request, response) => {
      played.requests.push(request);
      played.answer(request, response);
    });
    server.on('upgrade', echo);
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    return played;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

/** A WebSocket service that says hello, then says again what it is told (short texts only). */
function echo(request: IncomingMessage, socket: Socket): void {
  const key = `${request.headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const say = (text: Buffer): boolean =>
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  say(Buffer.from(`hello ${request.url ?? ''} ${request.headers['x-api-key'] ?? 'nobody'}`));
  socket.on('data', (frame: Buffer) => {
    const length = (frame[1] ?? 0) & 0x7f;
    if (((frame[0] ?? 0) & 0x0f) !== 1) {
      socket.end();
      return;
    }
    const mask = frame.subarray(2, 6);
    say(frame.subarray(6, 6 + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0)) as Buffer);
  });
  socket.on('error', () => socket.destroy());
}

export class Rig {
  mood = 'well';
  readonly reports: Report[] = [];
  readonly posts: { secret: string | undefined; events: number }[] = [];
  statuses: number[] = [];
  private url = new URL('http://unset.test');

  private constructor(
    readonly backend: Played,
    readonly usage: Played,
    private readonly miniflare: Miniflare,
  ) {}

  static async start(settings: Record<string, string> = {}, hasLimits = true): Promise<Rig> {
    const [backend, usage] = await Promise.all([Played.start(), Played.start()]);
    const moods = { now: (): string => 'well' };
    const miniflare = new Miniflare({
      modules: [
        { type: 'ESModule', path: 'entry.js', contents: ENTRY },
        { type: 'ESModule', path: 'worker.js', contents: await bundled() },
      ],
      compatibilityDate: '2026-07-01',
      kvNamespaces: ['KV'],
      analyticsEngineDatasets: { USES: { dataset: 'uses' } },
      ...(hasLimits
        ? { durableObjects: { LIMITS: { className: 'LimitCounter', useSQLite: true } } }
        : {}),
      serviceBindings: { MOOD: () => new Response(moods.now()) as never },
      bindings: {
        TOKEN_MANAGER_BACKEND: usage.url,
        USAGE_SECRET: 'usage secret',
        CACHE_S: '0',
        BATCH_MS: '20',
        ...settings,
      },
    });
    const rig = new Rig(backend, usage, miniflare);
    moods.now = () => rig.mood;
    usage.answer = (request, response) => rig.takeReports(request, response);
    rig.url = await miniflare.ready;
    return rig;
  }

  async stop(): Promise<void> {
    await this.miniflare.dispose();
    await Promise.all([this.backend.stop(), this.usage.stop()]);
  }

  async put(name: string, text: string): Promise<void> {
    const kv = await this.miniflare.getKVNamespace('KV');
    await kv.put(name, text);
  }

  async remove(name: string): Promise<void> {
    const kv = await this.miniflare.getKVNamespace('KV');
    await kv.delete(name);
  }

  /** Routes as the publisher writes them; without a backend they lead to the one of the rig. */
  async routes(...routes: Record<string, unknown>[]): Promise<void> {
    const all = routes.map((route, at) => ({
      id: at + 1,
      backend_url: this.backend.url,
      ...route,
    }));
    await this.put('routes', JSON.stringify({ version: 1, routes: all }));
  }

  token(document: Record<string, unknown> = {}, token = TOKEN): Promise<void> {
    return this.put(`token:${hashOf(token)}`, JSON.stringify(document));
  }

  /** A request with everything as it is given, for clients of the platform change it. */
  open(target: string, sent: Sent = {}): ReturnType<typeof httpRequest> {
    return httpRequest({
      host: this.url.hostname,
      port: this.url.port,
      path: target,
      method: sent.method ?? 'GET',
      headers: { 'x-api-key': TOKEN, ...sent.headers },
    });
  }

  async ask(target: string, sent: Sent = {}): Promise<Answer> {
    const request = this.open(target, sent);
    const answered = answerTo(request);
    request.end(sent.body);
    const answer = await answered;
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    return {
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      lines: answer.rawHeaders,
      body: Buffer.concat(parts),
    };
  }

  webSocketUrl(target: string): string {
    return `ws://${this.url.host}${target}`;
  }

  private takeReports(request: IncomingMessage, response: Parameters<RequestListener>[1]): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const status = this.statuses.shift() ?? 200;
      const reports = JSON.parse(Buffer.concat(parts).toString()) as Report[];
      const secret = request.headers['x-usage-secret'];
      this.posts.push({ secret: String(secret), events: reports.length });
      if (status === 200) this.reports.push(...reports);
      response.writeHead(status).end('{"status":"logged"}');
    });
  }
}

export function answerTo(request: ReturnType<typeof httpRequest>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
}

export const codeOf = (answer: Answer): string =>
  (JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code;
