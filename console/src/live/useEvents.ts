// A stream of server-sent events that comes back by itself and admits when it is behind.

import { useEffect, useRef, useState } from 'react';
import { caller, identity } from '../api/client';
import { parseExactly } from '../api/exact';
import { takeBegun } from '../begun';
import { makeEventReader } from './events';

/** The server says something at least every 15 seconds. */
const SILENT_MS_MAX = 35_000;
const AGAIN_MS_MIN = 1_000;
const AGAIN_MS_MAX = 30_000;
/** The server's word for: the stream is there, but what it would tell of does not answer. */
const BEHIND = 'behind';

export type LiveState = 'connecting' | 'live' | 'stale';

/**
 * Follows a stream while the component is shown. `onEvent` gets each event's name and its parsed
 * data. The answer says whether what is shown is current: `stale` means that the stream is lost and
 * is being opened again, or that the server itself can not say just now.
 */
export function useEvents(
  path: string,
  onEvent: (name: string, data: unknown) => void,
  isWanted = true,
): LiveState {
  const [state, setState] = useState<LiveState>('connecting');
  const latest = useRef(onEvent);
  useEffect(() => {
    latest.current = onEvent;
  }, [onEvent]);
  useEffect(() => {
    if (!isWanted) return;
    const stop = new AbortController();
    void follow(path, stop.signal, setState, (name, data) => {
      latest.current(name, data);
    });
    return () => {
      stop.abort();
    };
  }, [path, isWanted]);
  return state;
}

async function follow(
  path: string,
  signal: AbortSignal,
  tell: (state: LiveState) => void,
  onEvent: (name: string, data: unknown) => void,
): Promise<void> {
  let againMs = AGAIN_MS_MIN;
  while (!signal.aborted) {
    const opened = await readOnce(path, signal, tell, onEvent);
    if (signal.aborted) return;
    if (opened === 'refused') return;
    tell('stale');
    againMs = opened === 'ended' ? AGAIN_MS_MIN : Math.min(againMs * 2, AGAIN_MS_MAX);
    await pause(againMs, signal);
  }
}

/** One connection, from its opening to its end. */
async function readOnce(
  path: string,
  signal: AbortSignal,
  tell: (state: LiveState) => void,
  onEvent: (name: string, data: unknown) => void,
): Promise<'ended' | 'failed' | 'refused'> {
  const silence = new AbortController();
  let watch: ReturnType<typeof setTimeout> | undefined;
  const lost = (): void => {
    silence.abort();
  };
  const heard = (): void => {
    clearTimeout(watch);
    watch = setTimeout(lost, SILENT_MS_MAX);
  };
  window.addEventListener('offline', lost); // the browser knows it sooner than the silence tells
  try {
    heard();
    const response = await open(path, AbortSignal.any([signal, silence.signal]));
    if (response.status === 401) return (await caller.onSignedOut()) ? 'ended' : 'refused';
    if (response.status === 403) return 'refused';
    if (!response.ok || !response.body) return 'failed';
    tell('live');
    const read = makeEventReader(({ name, data }) => {
      tell(name === BEHIND ? 'stale' : 'live');
      if (name !== BEHIND) onEvent(name, parseExactly(data));
    });
    const text = response.body.pipeThrough(new TextDecoderStream());
    for (const reader = text.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      heard();
      read(value);
    }
  } catch {
    return 'failed';
  } finally {
    clearTimeout(watch);
    window.removeEventListener('offline', lost);
  }
}

function open(path: string, signal: AbortSignal): Promise<Response> {
  const headers = { ...identity(), Accept: 'text/event-stream' };
  return takeBegun(path, signal) ?? fetch(path, { headers, credentials: 'same-origin', signal });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      window.removeEventListener('online', over);
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    window.addEventListener('online', over);
    signal.addEventListener('abort', over);
  });
}
