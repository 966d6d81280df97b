// Reports of use for the backend's POST /api/usage-log: gathered for a moment, sent in batches, tried
// again, and never awaited by an answer. A report that was taken and never confirmed (its request's
// time was over) is taken again; `event_id` lets the backend count it once.

export interface Report {
  readonly token_hash: string;
  readonly route: string;
  readonly timestamp: number;
  readonly ip_address: string;
  readonly user_agent: string;
  readonly response_status: number;
  readonly response_time_ms: number;
  readonly event_id: string;
}

export interface Place {
  readonly backend: string;
  readonly secret: string;
}

export const BATCH_MAX = 100;
export const WAITING_MAX = 2_000;
const ATTEMPTS_MAX = 4;
const PAUSE_MS = 500; // then twice as long each time
const DEADLINE_MS = 5_000;
const TAKEN_MS_MAX = 25_000; // longer than all attempts together; Workers may be ended after 30 s

interface Waiting {
  readonly report: Report;
  takenMs: number;
}

type Sleep = (ms: number) => Promise<void>;

export class Reporter {
  private waiting: Waiting[] = [];
  dropped = 0;

  constructor(
    private readonly send: typeof fetch,
    private readonly nowMs: () => number,
    private readonly sleep: Sleep,
  ) {}

  /** For `ctx.waitUntil`: it never fails. */
  async report(report: Report, place: Place, batchMs: number): Promise<void> {
    this.add(report);
    if (this.untaken().length < BATCH_MAX) await this.sleep(batchMs);
    await this.flush(place);
  }

  private add(report: Report): void {
    if (this.waiting.length >= WAITING_MAX) {
      this.waiting.shift();
      this.dropped += 1;
      console.warn(`usage: ${this.dropped} reports were dropped; the backend does not take them`);
    }
    this.waiting.push({ report, takenMs: 0 });
  }

  private untaken(): Waiting[] {
    const since = this.nowMs() - TAKEN_MS_MAX;
    return this.waiting.filter((one) => one.takenMs < since || one.takenMs === 0);
  }

  private async flush(place: Place): Promise<void> {
    for (;;) {
      const batch = this.untaken().slice(0, BATCH_MAX);
      if (batch.length === 0) return;
      const now = this.nowMs();
      for (const one of batch) one.takenMs = now;
      if (!(await this.deliver(batch, place))) return;
    }
  }

  private async deliver(batch: Waiting[], place: Place): Promise<boolean> {
    const reports = batch.map((one) => one.report);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (attempt > 0) await this.sleep(PAUSE_MS * 2 ** (attempt - 1));
      const status = await this.post(reports, place);
      if (status >= 200 && status < 300) {
        this.forget(batch);
        return true;
      }
      if (isFinal(status) && batch.length > 1) return this.deliverApart(batch, place);
      if (isFinal(status)) {
        console.error(`usage: the backend refuses ${reports.length} reports with ${status}`);
        this.forget(batch);
        return true;
      }
    }
    for (const one of batch) one.takenMs = 0; // they go with the next request's
    console.warn(`usage: ${reports.length} reports wait for the backend`);
    return false;
  }

  /** One of them is wrong: it must not take the others along. */
  private async deliverApart(batch: Waiting[], place: Place): Promise<boolean> {
    const middle = Math.ceil(batch.length / 2);
    const first = await this.deliver(batch.slice(0, middle), place);
    const second = await this.deliver(batch.slice(middle), place);
    return first && second;
  }

  private forget(batch: Waiting[]): void {
    const gone = new Set(batch);
    this.waiting = this.waiting.filter((one) => !gone.has(one));
  }

  /** The status, or 0: there was none. */
  private async post(reports: Report[], place: Place): Promise<number> {
    try {
      const headers = new Headers({ 'content-type': 'application/json' });
      if (place.secret !== '') headers.set('x-usage-secret', place.secret);
      const answer = await this.send(`${place.backend.replace(/\/+$/, '')}/api/usage-log`, {
        method: 'POST',
        headers,
        body: JSON.stringify(reports),
        redirect: 'manual',
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch {
      return 0;
    }
  }
}

/** No later try will go better: the reports themselves are refused. */
function isFinal(status: number): boolean {
  return status === 400 || status === 413 || status === 422;
}
