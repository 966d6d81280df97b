// A real server on SQLite, with a data folder and a port of its own, for as long as a test lasts.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
// pytest names its own interpreter; by hand the checkout's .venv is meant.
const PYTHON = process.env['TALLYGATE_PYTHON'] ?? join(ROOT, '.venv', 'bin', 'python');
const SERVE = 'from tallygate.cli import main; main()';
const START_MS_MAX = 60_000;
export const ADMIN_TOKEN = 'end-to-end-admin-token-0123456789';
export type Headers = Readonly<Record<string, string>>;
export const AS_ADMIN: Headers = { 'X-Admin-Token': ADMIN_TOKEN };

export class Server {
  readonly url: string;
  readonly #child: ChildProcess;
  /** Its data folder. */
  readonly data: string;

  private constructor(url: string, child: ChildProcess, data: string) {
    this.url = url;
    this.#child = child;
    this.data = data;
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
    const data = await mkdtemp(join(tmpdir(), 'tallygate-e2e-'));
    const child = spawn(PYTHON, ['-c', SERVE, 'serve', '--port', '0', '--workers', '1'], {
      cwd: data,
      env: {
        ...process.env,
        TALLYGATE_DATA: data,
        ADMIN_TOKEN,
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      return new Server(await addressOf(child), child, data);
    } catch (failed) {
      child.kill('SIGKILL');
      throw failed;
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM');
      await ended;
    }
    await rm(this.data, { recursive: true, force: true });
  }

  /** A call as an operator's script makes it, or as whoever these headers say. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Headers = AS_ADMIN,
  ): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** A call through the gate with a key; the status. */
  async chat(secret: string, text = 'Hello', agent = 'end-to-end'): Promise<number> {
    const response = await fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${secret}`,
        'Content-Type': 'application/json',
        'User-Agent': agent,
      },
      body: JSON.stringify({ model: 'demo/echo', messages: [{ role: 'user', content: text }] }),
    });
    await response.arrayBuffer();
    return response.status;
  }
}

/** What it prints once every role of it is ready. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string): void => {
      reject(new Error(`the server did not start (${why}):\n${said}`));
    };
    const timer = setTimeout(() => {
      fail('in time');
    }, START_MS_MAX);
    const heed = (piece: Buffer): void => {
      said += piece.toString();
      const found = /serves (http:\/\/\S+)/.exec(said);
      if (!found?.[1]) return;
      clearTimeout(timer);
      resolve(found[1]);
    };
    child.stdout?.on('data', heed);
    child.stderr?.on('data', heed);
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`exit status ${code}`);
    });
  });
}
