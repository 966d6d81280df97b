/** What people ask before they use a model: whether points are counted at all, and are enough. */
import { change, read, TallygateError } from './client.js';

export interface BalanceCheck {
  canProceed: boolean;
  /** What can be spent. */
  balance: number;
  /** What the use would cost. */
  estimated: number;
  /** What is missing; 0 if there is enough. */
  shortfall: number;
}

/** Whether the signed-in user's points are enough for this use of a model. */
export function checkBalanceBeforeAI(
  model: string,
  inputTokens = 0,
  outputTokens = 0,
  options: { signal?: AbortSignal } = {},
): Promise<BalanceCheck> {
  const question = { model, inputTokens, outputTokens };
  return change<BalanceCheck>('POST', '/api/user/points/check-balance', question, options.signal);
}

/**
 * Whether the server counts points in pages (`TALLYGATE_ENABLE_DIFY_INTEGRATION`), asked at run
 * time. A server that does not know the question does not count them.
 */
export async function isIntegrationEnabled(
  options: { signal?: AbortSignal } = {},
): Promise<boolean> {
  try {
    const config = await read<{ enabled: unknown }>('/api/dify/config', options.signal);
    return config.enabled === true;
  } catch (error) {
    if (error instanceof TallygateError && error.status === 404) return false;
    throw error;
  }
}
