// What came over the stream: the latest charges, and how deliveries fared over the last minutes.

import type { Schemas } from '../../api/client';

export type Charge = Schemas['Charge'];
/** As control/live.py sends it. */
export interface Faring {
  readonly queue: number;
  readonly answered: number;
  readonly latest: number;
  readonly error_rate: number;
  readonly latency_ms: { readonly p50: number | null; readonly p99: number | null };
}
export interface Sample {
  readonly at: number;
  readonly faring: Faring;
}
export interface Feed {
  readonly charges: readonly Charge[];
  readonly samples: readonly Sample[];
  /** When anything came last. */
  readonly heardAt: number | null;
}

export const EMPTY: Feed = { charges: [], samples: [], heardAt: null };
export const CHARGES_MAX = 100;
export const SAMPLES_MAX = 120;

/** The feed with one more event; one that nobody knows changes nothing but that it was heard. */
export function take(feed: Feed, name: string, data: unknown, at: number): Feed {
  if (name === 'consumption') {
    const charge = data as Charge; // what the stream is documented to send
    const others = feed.charges.filter((one) => one.id !== charge.id);
    const charges = [charge, ...others].slice(0, CHARGES_MAX);
    return { ...feed, charges, heardAt: at };
  }
  if (name === 'status') {
    const sample = { at, faring: data as Faring };
    return { ...feed, samples: [...feed.samples, sample].slice(-SAMPLES_MAX), heardAt: at };
  }
  return { ...feed, heardAt: at };
}

/** What was charged within the last minute, of what is shown. */
export function chargedWithin(charges: readonly Charge[], now: number, ms: number): bigint {
  return charges
    .filter((one) => one.state === 'charged' && now - Date.parse(one.received_at) <= ms)
    .reduce((sum, one) => sum + BigInt(one.points_micros), 0n);
}
