// What the end-to-end tests of /dify-test have around them: a browser, real servers, a chat of
// somebody else's, and an operator's view of the books.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Frame, type Page } from 'playwright-core';

const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run ' +
  '--disable-background-networking --disable-component-update --disable-sync';
const PASSWORD = 'correct horse battery';
/** A point for 1,000 tokens in, two for 1,000 out. */
export const MODEL = 'gpt-4';

export interface TestedServer {
  readonly url: string;
  readonly adminToken: string;
  readonly webhookKey: string;
}

/** The servers by the operator's rule for browsers' words. */
export function serverOf(trust: 'HINT' | 'CHARGE' | 'DISABLED'): TestedServer {
  return {
    url: needed(`E2E_${trust}_URL`),
    adminToken: needed('E2E_ADMIN_TOKEN'),
    webhookKey: needed('E2E_WEBHOOK_KEY'),
  };
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: needed('E2E_CHROMIUM'), args: FLAGS.split(' ') });
}

/** An empty page under any path: tests say what runs in it. At two origins, by its two names. */
export class Chat {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Chat> {
    const server = createServer((_, answer) => {
      answer.setHeader('content-type', 'text/html; charset=utf-8');
      answer.end('<!doctype html><title>Chat</title>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Chat(server);
  }

  address(path: string, host: '127.0.0.1' | 'localhost' = '127.0.0.1'): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://${host}:${port}/${path}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Calls as the operator, and as whatever posts Dify's webhook. */
export class Operator {
  constructor(readonly server: TestedServer) {}

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#send(method, path, body, { 'x-admin-token': this.server.adminToken });
  }

  webhook<T>(body: unknown): Promise<T> {
    const headers = { 'x-api-key': this.server.webhookKey };
    return this.#send('POST', '/api/dify/webhook', body, headers);
  }

  async #send<T>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<T> {
    const response = await fetch(this.server.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const value: unknown = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`);
    return value as T; // what the contract says it is
  }

  async addUser(id: string, points: number): Promise<void> {
    await this.call('POST', '/api/users', { id, password: PASSWORD });
    if (points) await this.call('POST', `/api/users/${id}/wallet/top-up`, { points });
  }

  async setPrice(): Promise<void> {
    const prices = { input_token_price: '1', output_token_price: '2', currency: 'points' };
    await this.call('POST', '/api/models', { model_name: MODEL, per_tokens: 1000, ...prices });
  }

  async balance(id: string): Promise<number> {
    return (await this.call<{ balance: number }>('GET', `/api/users/${id}/wallet`)).balance;
  }

  async charges(id: string): Promise<{ message_id: string; points: number; state: string }[]> {
    const path = `/api/charges?limit=1000&user_id=${id}`;
    type Charges = { items: { message_id: string; points: number; state: string }[] };
    return (await this.call<Charges>('GET', path)).items;
  }
}

/** A browser's page in which somebody is signed in, or nobody. */
export class Visitor {
  readonly errors: string[] = [];
  readonly asked: { method: string; path: string; accept: string }[] = [];

  private constructor(
    readonly page: Page,
    readonly server: TestedServer,
  ) {
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      const accept = request.headers()['accept'] ?? '';
      this.asked.push({ method: request.method(), path: pathname, accept });
    });
  }

  static async open(browser: Browser, server: TestedServer, id?: string): Promise<Visitor> {
    const context = await browser.newContext({ locale: 'en-GB' });
    const visitor = new Visitor(await context.newPage(), server);
    if (id !== undefined) {
      const data = { id, password: PASSWORD };
      const answer = await context.request.post(`${server.url}/api/session`, { data });
      if (!answer.ok()) throw new Error(await answer.text());
    }
    await visitor.page.goto(`${server.url}/dify-test`);
    return visitor;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  press(name: string): Promise<void> {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  async listen(): Promise<void> {
    await this.press('Start listening');
    await this.page.locator('.live[data-state="live"]').waitFor();
  }

  /** The number on a tile. */
  async figure(name: string): Promise<string> {
    const tile = this.page.locator('dl.tile', { has: this.page.getByText(name, { exact: true }) });
    return (await tile.locator('dd').first().innerText()).replaceAll(',', '');
  }

  /** The rows of the log, the latest first. */
  log(): Promise<string[]> {
    return this.page.locator('tbody tr.ant-table-row').allInnerTexts();
  }

  get reports(): number {
    return this.asked.filter(({ path }) => path === '/api/dify/events').length;
  }

  /** Shows somebody else's chat and listens to it. */
  async watch(address: string): Promise<Frame> {
    await this.page.getByText('Your Dify', { exact: true }).click();
    await this.page.getByLabel('Address of the chat').fill(address);
    await this.press('Show');
    const frame = await this.frameAt(address);
    await this.listen();
    return frame;
  }

  async frameAt(address: string): Promise<Frame> {
    for (;;) {
      const frame = this.page.frames().find((one) => one.url() === address);
      if (frame) {
        await frame.waitForLoadState();
        return frame;
      }
      await this.page.waitForEvent('framenavigated');
    }
  }
}

/** A message as the webhook writes it. */
export function usage(id: string, data: object = {}): object {
  return {
    event: 'message_end',
    data: {
      conversation_id: 'c',
      message_id: id,
      user_id: 'victim',
      model_name: MODEL,
      input_tokens: 1000,
      output_tokens: 500,
      total_tokens: 1500,
      ...data,
    },
  };
}

/** Lets a frame say these to the page that holds it, or to the outermost one. */
export function post(frame: Frame, to: 'parent' | 'top', messages: object[]): Promise<void> {
  return frame.evaluate(
    ({ to, messages }) => {
      for (const one of messages) window[to]?.postMessage(one, '*');
    },
    { to, messages },
  );
}

function needed(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run tests/web/test_dify_page.py`);
  return value;
}
