/**
 * Taking points and recording usage, in the words of the points system. There the page computed what
 * to take and wrote it down; here the server decides, and a page only says what it wants or saw.
 */
import { change, inPath, read, signedInAs, TallygateError } from './client.js';

export interface Deduction {
  success: boolean;
  newBalance: number;
  message: string;
}

export interface TokenUsage {
  id: string;
  userId: string;
  serviceId: string;
  tokensUsed: number;
  /** Points that were taken: 0 while the report is only a hint. */
  cost: number;
  timestamp: string;
  sessionId: string;
}

/**
 * Takes points from a user's wallet, for operators. A refusal is an answer: nothing was taken then.
 */
export async function deductUserBalance(
  userId: string,
  amount: number,
  description = '',
): Promise<Deduction> {
  if (!(Number.isFinite(amount) && amount > 0)) {
    return { success: false, newBalance: 0, message: 'The amount must be above zero.' };
  }
  const wallet = `/api/users/${inPath(userId)}/wallet`;
  try {
    const body = { points: -amount, reason: description };
    const { balance } = await change<{ balance: number }>('POST', `${wallet}/adjust`, body);
    return { success: true, newBalance: balance, message: 'Balance deducted successfully' };
  } catch (error) {
    if (!(error instanceof TallygateError)) throw error;
    const left = await read<{ balance: number }>(wallet).catch(() => ({ balance: 0 }));
    return { success: false, newBalance: left.balance, message: error.message };
  }
}

/**
 * Reports a use of a model by whoever is signed in. The server computes what it costs by its own
 * prices, so the three costs of the points system are taken and not read. Without a `messageId` each
 * call is a use of its own.
 */
export async function addTokenUsageWithModel(
  userId: string,
  modelName: string,
  inputTokens: number,
  outputTokens: number,
  totalTokens: number = inputTokens + outputTokens,
  _inputCost?: number,
  _outputCost?: number,
  _totalCost?: number,
  conversationId = '',
  messageId = randomId(),
): Promise<TokenUsage> {
  const own = await signedInAs();
  if (userId && userId !== own) {
    const message = 'A page reports usage only for whoever is signed in.';
    throw new TallygateError(403, 'forbidden', message);
  }
  const data = {
    conversation_id: conversationId,
    message_id: messageId,
    model_name: modelName,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: totalTokens,
  };
  const answer = await change<{ data: { consumptionId: string; pointsDeducted: number } }>(
    'POST',
    '/api/dify/events',
    { event: 'message_end', data },
  );
  return {
    id: answer.data.consumptionId,
    userId: own ?? '',
    serviceId: 'dify',
    tokensUsed: totalTokens,
    cost: answer.data.pointsDeducted,
    timestamp: new Date().toISOString(),
    sessionId: conversationId,
  };
}

/** `randomUUID` is there on https only. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
