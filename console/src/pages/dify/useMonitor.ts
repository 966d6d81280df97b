// The monitor of @tallygate/dify-monitor as this page lives with it: its status, the balance, a log.

import {
  type Balance,
  DifyIframeMonitor,
  type MonitorStatus,
  type Outcome,
  type UsageEvent,
} from '@tallygate/dify-monitor';
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';

const KEPT = 200;

export interface LogEntry {
  readonly id: number;
  readonly at: number;
  readonly event: UsageEvent;
  readonly outcome: Outcome;
}

export interface Watching {
  readonly status: MonitorStatus | null;
  readonly balance: Balance | null;
  readonly log: readonly LogEntry[];
  readonly start: (origin: string) => void;
  readonly stop: () => void;
  readonly clear: () => void;
}

export function useMonitor(frame: RefObject<HTMLIFrameElement | null>): Watching {
  const [status, setStatus] = useState<MonitorStatus | null>(null);
  const [balance, setBalance] = useState<Balance | null>(null);
  const [log, setLog] = useState<readonly LogEntry[]>([]);
  const monitor = useRef<DifyIframeMonitor | null>(null);
  const stop = useCallback(() => {
    monitor.current?.stop();
    monitor.current = null;
  }, []);
  useEffect(() => stop, [stop]);
  const start = (origin: string): void => {
    stop();
    monitor.current = new DifyIframeMonitor({
      iframe: () => frame.current,
      allowedOrigins: [origin],
      onStatus: setStatus,
      onBalance: setBalance,
      onEvent: (event, outcome) => {
        setLog((before) => {
          const id = (before[0]?.id ?? 0) + 1;
          return [{ id, at: Date.now(), event, outcome }, ...before].slice(0, KEPT);
        });
      },
    });
    monitor.current.start();
  };
  const clear = (): void => {
    setLog([]);
  };
  return { status, balance, log, start, stop, clear };
}
