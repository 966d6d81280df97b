'use client';
/** A balance check as a page's component lives through it: asked, asked again, given up. */
import { useCallback, useEffect, useState } from 'react';
import { type BalanceCheck, checkBalanceBeforeAI, isIntegrationEnabled } from './balance.js';
import { TallygateError } from './client.js';

export type Phase = 'checking' | 'enough' | 'short' | 'disabled' | 'signed-out' | 'failed';

export interface Checked {
  phase: Phase;
  /** When the phase is `enough` or `short`. */
  check: BalanceCheck | null;
  /** When the phase is `failed`. */
  error: Error | null;
  /** Ask again. */
  recheck: () => void;
}

type Found = Omit<Checked, 'recheck'>;

const CHECKING: Found = { phase: 'checking', check: null, error: null };

/** Asked when something of it changes, and when the user comes back, perhaps from topping up. */
export function useBalanceCheck(
  modelName: string,
  estimatedInputTokens: number,
  estimatedOutputTokens: number,
): Checked {
  const asked = `${modelName}\n${estimatedInputTokens}\n${estimatedOutputTokens}`;
  const [times, setTimes] = useState(0);
  const [answered, setAnswered] = useState<{ asked: string; found: Found } | null>(null);

  useEffect(() => {
    const ending = new AbortController();
    void ask(modelName, estimatedInputTokens, estimatedOutputTokens, ending.signal).then(
      (found) => {
        if (!ending.signal.aborted) setAnswered({ asked, found });
      },
    );
    return () => ending.abort();
  }, [modelName, estimatedInputTokens, estimatedOutputTokens, asked, times]);

  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'visible') setTimes((before) => before + 1);
    };
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  const recheck = useCallback(() => {
    setAnswered(null);
    setTimes((before) => before + 1);
  }, []);
  // What was answered to another question is no answer to this one.
  const found = answered?.asked === asked ? answered.found : CHECKING;
  return { ...found, recheck };
}

async function ask(
  model: string,
  inputTokens: number,
  outputTokens: number,
  signal: AbortSignal,
): Promise<Found> {
  try {
    if (!(await isIntegrationEnabled({ signal }))) return { ...CHECKING, phase: 'disabled' };
    const check = await checkBalanceBeforeAI(model, inputTokens, outputTokens, { signal });
    return { phase: check.canProceed === true ? 'enough' : 'short', check, error: null };
  } catch (error) {
    if (error instanceof TallygateError && error.status === 401) {
      return { ...CHECKING, phase: 'signed-out' };
    }
    return { phase: 'failed', check: null, error: asError(error) };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
