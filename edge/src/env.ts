// What the Worker is given: bindings, settings and secrets, as wrangler.toml and README.md say.

import type { LimitCounter } from './limits';

export interface Env {
  readonly KV: KVNamespace;
  /** Where usage is reported to; nothing: nowhere. */
  readonly TOKEN_MANAGER_BACKEND?: string;
  /** TALLYGATE_USAGE_SECRET of the backend. */
  readonly USAGE_SECRET?: string;
  /** TALLYGATE_EDGE_SECRET of the backend: opens the headers that routes add. */
  readonly EDGE_SECRET?: string;
  readonly LIMITS?: DurableObjectNamespace<LimitCounter>;
  readonly USES?: AnalyticsEngineDataset;
  readonly CACHE_S?: string;
  readonly STALE_S?: string;
  readonly BATCH_MS?: string;
  /** `ignore` lets requests with a limit through where there is no LIMITS. */
  readonly WITHOUT_LIMITS?: string;
}

export function numberFrom(setting: string | undefined, otherwise: number): number {
  const number = Number(setting);
  return setting === undefined || setting === '' || !(number >= 0) ? otherwise : number;
}
