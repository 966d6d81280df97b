// Windows of time that a limit counts in, as core/windows.py has them: days and months follow the
// calendar of the limit's own zone. contract/edge-vectors.json holds both to the same instants.

import type { Span } from './layout';

export interface Window {
  readonly startS: number;
  readonly endS: number;
}

const FOREVER_S = 2 ** 40;
const DAY_S = 86_400;
const formats = new Map<string, Intl.DateTimeFormat>();

export function windowAt(span: Span, zone: string, nowS: number): Window {
  switch (span) {
    case 'total':
      return { startS: 0, endS: FOREVER_S };
    case 'minute':
      return lasting(nowS - (nowS % 60), 60);
    case 'hour': {
      const local = nowS + offsetAt(zone, nowS);
      return lasting(nowS - (((local % 3600) + 3600) % 3600), 3600);
    }
    case 'day': {
      const day = Math.floor((nowS + offsetAt(zone, nowS)) / DAY_S);
      return { startS: midnight(zone, day), endS: midnight(zone, day + 1) };
    }
    case 'month': {
      const local = new Date((nowS + offsetAt(zone, nowS)) * 1000);
      const first = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), 1) / 1000 / DAY_S;
      const next = Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1, 1) / 1000 / DAY_S;
      return { startS: midnight(zone, first), endS: midnight(zone, next) };
    }
  }
}

function lasting(startS: number, lengthS: number): Window {
  return { startS, endS: startS + lengthS };
}

/** The instant of a local day's midnight; one that clocks skip counts by the offset before it. */
function midnight(zone: string, day: number): number {
  const local = day * DAY_S;
  const before = local - offsetAt(zone, local - DAY_S);
  const after = local - offsetAt(zone, local + DAY_S);
  const isReal = (atS: number): boolean => atS + offsetAt(zone, atS) === local;
  return !isReal(before) && isReal(after) ? after : before;
}

/** Seconds that local time is ahead of UTC. */
function offsetAt(zone: string, atS: number): number {
  if (zone === 'UTC') return 0;
  const parts = formatOf(zone).formatToParts(atS * 1000);
  const value = (type: string): number =>
    Number(parts.find((part) => part.type === type)?.value ?? 0);
  const local = Date.UTC(
    value('year'),
    value('month') - 1,
    value('day'),
    value('hour'),
    value('minute'),
    value('second'),
  );
  return local / 1000 - Math.floor(atS);
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  return format;
}
