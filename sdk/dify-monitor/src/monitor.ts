/**
 * Watches an iframe with a Dify chat and reports what it uses to Tallygate, which decides what that
 * costs. Whatever a page, an iframe or a network does, nothing is thrown into the page, and nothing
 * grows without bound.
 */
import { Life } from './life.js';
import { readMessage } from './reading.js';
import { Seen } from './seen.js';
import { type Answer, outcomeOf, Server } from './server.js';
import { safely, Telling } from './telling.js';
import type { MonitorOptions, MonitorStatus, UsageEvent } from './types.js';

export const WAITING_MAX = 100;
export const SPACING_MS_MIN = 1_000;
const BACKOFF_MS_MAX = 60_000;
/** A report that is only a hint is charged a moment later, by what the server itself has seen. */
const CONFIRMED_AFTER_MS = 5_000;
const FOREVER_MS = 2 ** 31 - 1;

export class DifyIframeMonitor {
  readonly #options: Partial<MonitorOptions>;
  readonly #origins: ReadonlySet<string>;
  readonly #complaint: string;
  readonly #server: Server;
  readonly #telling: Telling;
  readonly #spacingMs: number;
  readonly #seen = new Seen();
  readonly #waiting: UsageEvent[] = [];
  #sending: Promise<void> | null = null;
  #life: Life | null = null;
  #failures = 0;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = 0;
  #balanceTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: MonitorOptions) {
    this.#options = typeof options === 'object' && options !== null ? options : {};
    const { baseUrl, app, fetch, onStatus, spacingMs } = this.#options;
    this.#origins = originsOf(this.#options.allowedOrigins);
    this.#complaint = complaintAbout(this.#options);
    this.#server = new Server(String(baseUrl ?? ''), String(app ?? ''), fetch);
    this.#telling = new Telling(onStatus, () => this.#load);
    this.#spacingMs = Math.max(SPACING_MS_MIN, Number(spacingMs) || 0);
  }

  /** How it is now; the same that `onStatus` is told. */
  get status(): MonitorStatus {
    return this.#telling.status;
  }

  /** Begins to listen. A second start changes nothing. */
  start(): void {
    if (this.#life || typeof window === 'undefined') return;
    if (this.#complaint) {
      this.#telling.state('misconfigured', this.#complaint);
      return;
    }
    const life = new Life();
    this.#life = life;
    window.addEventListener('message', this.#onMessage);
    window.addEventListener('pagehide', this.#onLeave);
    window.addEventListener('online', this.#onReturn);
    window.addEventListener('focus', this.#onReturn);
    this.#telling.state('starting');
    void this.#run(life);
  }

  /** Stops listening and reports what still waits. A second stop changes nothing. */
  stop(): void {
    if (!this.#life) return;
    this.#end();
    this.#telling.state('stopped');
    void this.#flush();
  }

  #end(): void {
    window.removeEventListener('message', this.#onMessage);
    window.removeEventListener('pagehide', this.#onLeave);
    window.removeEventListener('online', this.#onReturn);
    window.removeEventListener('focus', this.#onReturn);
    clearTimeout(this.#balanceTimer);
    this.#telling.rest();
    this.#life?.end();
    this.#life = null;
  }

  // --- what comes in ---

  readonly #onMessage = (message: MessageEvent): void => {
    try {
      this.#take(message);
    } catch {
      this.#telling.count('malformed');
    }
  };

  #take(message: MessageEvent): void {
    const { iframe, modelName } = this.#options;
    const frame = (typeof iframe === 'function' ? iframe() : iframe)?.contentWindow;
    // A frame that is gone has no window, and neither has a message of a window that is gone.
    if (!frame || message.source !== frame || !this.#origins.has(message.origin)) {
      this.#telling.count('foreign');
      return;
    }
    const event = readMessage(message.data, modelName);
    if (event === 'other') return;
    if (event === 'malformed') this.#telling.count('malformed');
    else if (this.#seen.has(event)) this.#telling.count('repeated');
    // It is not remembered, so that it is taken when it comes again.
    else if (this.#load >= WAITING_MAX) this.#telling.count('overflowed');
    else {
      this.#seen.add(event);
      this.#waiting.push(event);
      this.#telling.changed();
      if (this.#waiting.length === 1) this.#life?.wake();
    }
  }

  get #load(): number {
    return this.#waiting.length + (this.#sending ? 1 : 0);
  }

  // --- what goes out ---

  async #run(life: Life): Promise<void> {
    await this.#sending; // of the life before
    if (!(await this.#open(life))) return;
    while (life.isRunning) {
      const event = this.#waiting[0];
      const restMs = this.#notBeforeMs - now();
      if (!event || restMs > 0) {
        await life.sleep(event ? restMs : FOREVER_MS);
        continue;
      }
      this.#waiting.shift();
      this.#sending = this.#report(life, event);
      await this.#sending;
    }
  }

  /** Whether the server counts points in pages at all; asked until it answers. */
  async #open(life: Life): Promise<boolean> {
    while (life.isRunning) {
      const state = await this.#look();
      if (!life.isRunning) return false;
      if (state === 'disabled') {
        this.#end();
        this.#waiting.length = 0;
        this.#telling.state('disabled', 'The server does not count points in pages.');
        return false;
      }
      if (state === 'ready') {
        this.#failures = 0;
        this.#telling.state('listening');
        void this.#showBalance(life);
        return true;
      }
      this.#pause(life, state === 'signed-out', 0);
      await life.sleep(this.#notBeforeMs - now());
    }
    return false;
  }

  async #look(): Promise<'ready' | 'disabled' | 'signed-out' | 'away'> {
    try {
      const config = await this.#server.config();
      if (!config) return 'away';
      if (!config.enabled || config.browserTrust === 'off') return 'disabled';
      return (await this.#server.balance()) ? 'ready' : 'signed-out';
    } catch {
      return 'away';
    }
  }

  async #report(life: Life, event: UsageEvent): Promise<void> {
    let answer: Answer | null = null;
    try {
      answer = await this.#server.report(event);
    } catch {
      // No answer: it is tried again.
    }
    this.#sending = null;
    const outcome = answer && outcomeOf(answer);
    if (!outcome) {
      this.#waiting.unshift(event);
      this.#pause(life, answer?.status === 401, answer?.retryAfterMs ?? 0);
      return;
    }
    this.#failures = 0;
    this.#notBeforeMs = now() + this.#spacingMs;
    if (!life.isRunning) return;
    this.#telling.count('reported');
    this.#telling.state('listening');
    safely(() => this.#options.onEvent?.(event, outcome));
    void this.#showBalance(life);
    clearTimeout(this.#balanceTimer);
    if (outcome.status === 'accepted' && outcome.pointsDeducted === 0) {
      const look = (): void => void this.#showBalance(life);
      this.#balanceTimer = setTimeout(look, CONFIRMED_AFTER_MS);
    }
  }

  /** After a failure: longer each time, never all pages at once. */
  #pause(life: Life, isSignedOut: boolean, leastMs: number): void {
    const backoffMs = Math.min(BACKOFF_MS_MAX, SPACING_MS_MIN * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#lastTryMs = now();
    const jitterMs = backoffMs * 0.5 * Math.random();
    this.#notBeforeMs = now() + Math.max(leastMs, this.#spacingMs, backoffMs - jitterMs);
    if (!life.isRunning) return;
    if (isSignedOut) this.#telling.state('signed-out', 'Nobody is signed in; events wait.');
    else this.#telling.state('retrying', 'The server does not answer; events wait.');
  }

  async #showBalance(life: Life): Promise<void> {
    try {
      const balance = await this.#server.balance();
      if (balance && life.isRunning) safely(() => this.#options.onBalance?.(balance));
    } catch {
      // The next event asks again.
    }
  }

  /** The page goes away, or has no use for us any more: what waits is sent in one call. */
  async #flush(): Promise<void> {
    const rest = this.#waiting.splice(0, WAITING_MAX);
    if (rest.length === 0) return;
    try {
      if (outcomeOf(await this.#server.report(rest))) {
        this.#telling.count('reported', rest.length);
        return;
      }
    } catch {
      // It is kept for another start.
    }
    this.#waiting.unshift(...rest);
    this.#life?.wake();
  }

  readonly #onLeave = (): void => void this.#flush();

  /** The network, or whoever signed in elsewhere, is back: no need to wait any longer. */
  readonly #onReturn = (): void => {
    if (this.#failures === 0) return;
    this.#notBeforeMs = Math.min(this.#notBeforeMs, this.#lastTryMs + this.#spacingMs);
    this.#life?.wake();
  };
}

function originsOf(allowed: unknown): ReadonlySet<string> {
  const origins = Array.isArray(allowed) ? allowed.map(originOf) : [];
  return new Set(origins.filter((one) => one !== null));
}

/** null for what is no web origin: `*`, `null`, a path alone. */
function originOf(text: unknown): string | null {
  if (typeof text !== 'string') return null;
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.origin : null;
  } catch {
    return null;
  }
}

function complaintAbout(options: Partial<MonitorOptions>): string {
  const { allowedOrigins, iframe } = options;
  if (!Array.isArray(allowedOrigins) || allowedOrigins.length === 0)
    return 'allowedOrigins is empty: name the origin of your Dify, as in https://dify.example.com';
  if (!allowedOrigins.every(originOf))
    return 'allowedOrigins holds something that is no origin, such as * or a path';
  if (
    typeof iframe !== 'function' &&
    !(typeof iframe === 'object' && iframe && 'contentWindow' in iframe)
  )
    return 'iframe is neither an iframe nor a function that finds one';
  return '';
}

function now(): number {
  return performance.now();
}
