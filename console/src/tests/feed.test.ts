// The feed of live consumption: nothing twice, nothing without end, nothing rounded.

import { expect, test } from 'vitest';
import {
  type Charge,
  CHARGES_MAX,
  chargedWithin,
  EMPTY,
  SAMPLES_MAX,
  take,
} from '../pages/live/feed';

const NOW = Date.parse('2026-01-02T03:04:05Z');

function charge(id: string, more: Partial<Charge> = {}): Charge {
  const shown = { id, state: 'charged', points_micros: '1', received_at: '2026-01-02T03:04:00Z' };
  return { ...shown, ...more } as Charge; // only what the feed looks at
}

test('a charge that changes its state is moved to the top, not shown twice', () => {
  let feed = take(EMPTY, 'consumption', charge('a', { state: 'unpaid' }), NOW);
  feed = take(feed, 'consumption', charge('b'), NOW);
  feed = take(feed, 'consumption', charge('a'), NOW);
  expect(feed.charges.map((one) => `${one.id} ${one.state}`)).toEqual(['a charged', 'b charged']);
});

test('a page that is left open keeps only the latest', () => {
  let feed = EMPTY;
  for (let number = 0; number < CHARGES_MAX + 5; number += 1) {
    feed = take(feed, 'consumption', charge(String(number)), NOW);
  }
  for (let number = 0; number < SAMPLES_MAX + 5; number += 1) {
    feed = take(feed, 'status', { queue: number }, NOW);
  }
  expect(feed.charges).toHaveLength(CHARGES_MAX);
  expect(feed.charges[0]?.id).toBe(String(CHARGES_MAX + 4));
  expect(feed.samples).toHaveLength(SAMPLES_MAX);
  expect(feed.samples.at(-1)?.faring.queue).toBe(SAMPLES_MAX + 4);
});

test('an event of a name that nobody knows only says that the stream lives', () => {
  expect(take(EMPTY, 'hello', {}, NOW)).toEqual({ ...EMPTY, heardAt: NOW });
});

test('the sum of the last minute is exact, and leaves out what was not charged', () => {
  const charges = [
    charge('a', { points_micros: '9007199254740993' }),
    charge('b', { points_micros: '2' }),
    charge('c', { state: 'unpaid', points_micros: '5' }),
    charge('d', { received_at: '2026-01-02T03:00:00Z' }),
  ];
  expect(chargedWithin(charges, NOW, 60_000)).toBe(9007199254740995n);
});
