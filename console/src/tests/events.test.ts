// Server-sent events, however their bytes arrive.

import { expect, test } from 'vitest';
import { makeEventReader, type ServerEvent } from '../live/events';

const STREAM =
  'retry: 2000\n\nevent: consumption\ndata: {"a":1}\n\n: still here\n\ndata: one\r\ndata: two\r\n\r\nevent: none\n\n';
const EXPECTED = [
  { name: 'consumption', data: '{"a":1}' },
  { name: 'message', data: 'one\ntwo' },
];

function readIn(size: number): ServerEvent[] {
  const events: ServerEvent[] = [];
  const read = makeEventReader((event) => events.push(event));
  for (let at = 0; at < STREAM.length; at += size) read(STREAM.slice(at, at + size));
  return events;
}

test('events are the same in one piece, in pieces of any size, and letter by letter', () => {
  for (let size = 1; size <= STREAM.length; size += 1)
    expect(readIn(size), `${size}`).toEqual(EXPECTED);
});

test('an event that was cut off is not told', () => {
  const events: ServerEvent[] = [];
  makeEventReader((event) => events.push(event))('event: consumption\ndata: {"half":');
  expect(events).toEqual([]);
});
