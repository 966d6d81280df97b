/**
 * What a message of the iframe says, in any of the three shapes: the webhook's, Dify's own, camel
 * case. Whatever it is, reading it never throws.
 */
import type { UsageEvent } from './types.js';

const TOKENS_MAX = 10_000_000; // in one event; the server refuses more, too
const ID_LENGTH_MAX = 255;
const TEXT_LENGTH_MAX = 65_536;
const NAMES = new Set(['message_end', 'messageEnd', 'message-end']);

type Members = Record<string, unknown>;

/** `other`: a message about something else. `malformed`: usage that can not be true. */
export type Reading = UsageEvent | 'other' | 'malformed';

export function readMessage(data: unknown, modelName = ''): Reading {
  const top = membersOf(typeof data === 'string' ? parsed(data) : data);
  if (!top || !NAMES.has(String(top['event'] ?? top['type']))) return 'other';
  const inner = membersOf(top['data']) ?? {};
  const usage = usageOf(inner) ?? usageOf(top) ?? { ...top, ...inner };
  const counts = readCounts(usage);
  const messageId = readId(named(inner, top, 'message_id', 'messageId') ?? top['id']);
  const conversationId = readId(named(inner, top, 'conversation_id', 'conversationId') ?? '');
  const model = readId(named(inner, top, 'model_name', 'modelName', 'model') ?? '');
  if (!counts || !messageId || conversationId === null || model === null) return 'malformed';
  const timestamp = named(inner, top, 'timestamp', 'created_at', 'createdAt');
  return {
    conversationId,
    messageId,
    modelName: model || modelName,
    ...counts,
    ...(isTime(timestamp) ? { timestamp } : {}),
  };
}

type Counts = Pick<UsageEvent, 'inputTokens' | 'outputTokens' | 'totalTokens'>;

/** Two of the three are enough; three have to agree. */
function readCounts(usage: Members): Counts | null {
  let input = readCount(usage, 'input_tokens', 'inputTokens', 'prompt_tokens', 'promptTokens');
  let output = readCount(
    usage,
    'output_tokens',
    'outputTokens',
    'completion_tokens',
    'completionTokens',
  );
  const total = readCount(usage, 'total_tokens', 'totalTokens');
  if (typeof total === 'number') {
    if (input === undefined && typeof output === 'number') input = total - output;
    else if (output === undefined && typeof input === 'number') output = total - input;
  }
  if (typeof input !== 'number' || typeof output !== 'number' || total === null) return null;
  const sum = input + output;
  if (input < 0 || output < 0 || sum > TOKENS_MAX || sum !== (total ?? sum)) return null;
  return { inputTokens: input, outputTokens: output, totalTokens: sum };
}

/** undefined: it is not said. null: what is said is no count. */
function readCount(usage: Members, ...names: string[]): number | null | undefined {
  const said = names.map((name) => usage[name]).find((value) => value !== undefined);
  if (said === undefined || said === null) return undefined;
  const count = typeof said === 'string' && /^\d{1,9}$/.test(said) ? Number(said) : said;
  if (typeof count !== 'number' || !Number.isInteger(count)) return null;
  return count >= 0 && count <= TOKENS_MAX ? count : null;
}

function usageOf(place: Members): Members | null {
  return membersOf(membersOf(place['metadata'])?.['usage']) ?? membersOf(place['usage']);
}

function readId(value: unknown): string | null {
  const id = Number.isSafeInteger(value) ? String(value) : value;
  return typeof id === 'string' && id.length <= ID_LENGTH_MAX && !id.includes('\0') ? id : null;
}

function isTime(value: unknown): value is string | number {
  return typeof value === 'string' ? value !== '' && value.length <= 64 : Number.isFinite(value);
}

function named(first: Members, second: Members, ...names: string[]): unknown {
  for (const place of [first, second]) {
    for (const name of names)
      if (place[name] !== undefined && place[name] !== null) return place[name];
  }
  return undefined;
}

function membersOf(value: unknown): Members | null {
  return typeof value === 'object' && value !== null ? (value as Members) : null;
}

function parsed(text: string): unknown {
  if (text.length > TEXT_LENGTH_MAX || !text.trimStart().startsWith('{')) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
