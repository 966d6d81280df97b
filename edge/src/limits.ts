// Limits at the edge: each counter is one Durable Object, so that it counts once for the whole world.
// The gateway's counters are others: who is served by both may use a limit twice.

import { DurableObject } from 'cloudflare:workers';

import type { Limit } from './layout';
import { windowAt } from './windows';

interface Count {
  readonly startS: number;
  readonly used: number;
}

const COUNT = 'count';
const ENDS_S_MAX = 400 * 86_400; // a counter of a later end is never cleaned up

export class LimitCounter extends DurableObject {
  /** Whether there was room for one more in this window. */
  async take(startS: number, endS: number, amount: number): Promise<boolean> {
    const kept = await this.ctx.storage.get<Count>(COUNT);
    const isNew = kept === undefined || kept.startS < startS;
    const used = isNew ? 0 : kept.used;
    if (used >= amount) return false;
    await this.ctx.storage.put(COUNT, { startS: isNew ? startS : kept.startS, used: used + 1 });
    if (isNew && endS - startS < ENDS_S_MAX) await this.ctx.storage.setAlarm((endS + 60) * 1000);
    return true;
  }

  async giveBack(startS: number): Promise<void> {
    const kept = await this.ctx.storage.get<Count>(COUNT);
    if (kept === undefined || kept.startS !== startS || kept.used < 1) return;
    await this.ctx.storage.put(COUNT, { startS, used: kept.used - 1 });
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
}

/** A limit and the name of its counter. */
export interface Counted {
  readonly limit: Limit;
  readonly name: string;
}

export interface Taken {
  readonly name: string;
  readonly startS: number;
}

export interface Admission {
  readonly taken: readonly Taken[];
  /** What stood against it, and in how many seconds it may be tried again. */
  readonly over: { readonly limit: Limit; readonly waitS: number } | null;
}

/** One unit of every limit, or none of any. */
export async function admit(
  counters: DurableObjectNamespace<LimitCounter>,
  wanted: readonly Counted[],
  nowMs: number,
): Promise<Admission> {
  const nowS = Math.floor(nowMs / 1000);
  const taken: Taken[] = [];
  for (const { limit, name } of wanted) {
    const { startS, endS } = windowAt(limit.span, limit.zone, nowS);
    if (!(await counters.getByName(name).take(startS, endS, limit.amount))) {
      await giveBack(counters, taken);
      return { taken: [], over: { limit, waitS: endS - nowS } };
    }
    taken.push({ name, startS });
  }
  return { taken, over: null };
}

export async function giveBack(
  counters: DurableObjectNamespace<LimitCounter>,
  taken: readonly Taken[],
): Promise<void> {
  await Promise.all(taken.map(({ name, startS }) => counters.getByName(name).giveBack(startS)));
}
