/**
 * What the page is told: states at once, counts at most once a second, and never an exception of the
 * page's own back into the monitor.
 */
import type { MonitorOptions, MonitorState, MonitorStatus } from './types.js';

const COUNTS_EVERY_MS = 1_000;

type Count = Exclude<keyof MonitorStatus, 'state' | 'detail' | 'waiting'>;

export class Telling {
  readonly #onStatus: MonitorOptions['onStatus'];
  readonly #waiting: () => number;
  readonly #counts: Record<Count, number> = {
    reported: 0,
    repeated: 0,
    foreign: 0,
    malformed: 0,
    overflowed: 0,
  };
  #state: MonitorState = 'stopped';
  #detail = '';
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onStatus: MonitorOptions['onStatus'], waiting: () => number) {
    this.#onStatus = onStatus;
    this.#waiting = waiting;
  }

  get status(): MonitorStatus {
    return {
      state: this.#state,
      detail: this.#detail,
      waiting: this.#waiting(),
      ...this.#counts,
    };
  }

  state(state: MonitorState, detail = ''): void {
    if (state === this.#state && detail === this.#detail) return;
    this.#state = state;
    this.#detail = detail;
    this.#tell();
  }

  count(what: Count, by = 1): void {
    this.#counts[what] += by;
    this.changed();
  }

  /** Who has stopped wants to hear nothing more. */
  changed(): void {
    if (this.#state === 'stopped') return;
    this.#timer ??= setTimeout(() => this.#tell(), COUNTS_EVERY_MS);
  }

  /** Nothing more is told until something happens. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    this.rest();
    safely(() => this.#onStatus?.(this.status));
  }
}

export function safely(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    console.error('A callback of DifyIframeMonitor failed:', error);
  }
}
