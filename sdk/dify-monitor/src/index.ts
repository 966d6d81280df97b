/** What of this package is public. */
export { DifyIframeMonitor, DifyIframeMonitor as default } from './monitor.js';
export type {
  Balance,
  MonitorOptions,
  MonitorState,
  MonitorStatus,
  Outcome,
  UsageEvent,
} from './types.js';
