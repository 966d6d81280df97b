// What begin.ts has asked for before the console was there: each answer can be taken once.

export interface Begun {
  readonly answer: Promise<Response>;
  readonly stop: AbortController;
  /** Ends what nobody takes. */
  readonly untaken: ReturnType<typeof setTimeout>;
}

declare global {
  var tallygateBegun: Record<string, Begun> | undefined;
}

/** The answer to this path where it has been asked for; to be ended by the signal from now on. */
export function takeBegun(path: string, signal?: AbortSignal): Promise<Response> | null {
  const begun = globalThis.tallygateBegun?.[path];
  if (!begun || begun.stop.signal.aborted) return null;
  delete globalThis.tallygateBegun?.[path];
  clearTimeout(begun.untaken);
  const end = (): void => {
    begun.stop.abort();
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  return begun.answer;
}
