/** What of a message is usage, in which shapes, and what is refused without a word to the server. */
import { describe, expect, it } from 'vitest';
import { readMessage } from '../src/reading.js';
import { usage } from './page.js';

const CHAT = { conversationId: 'c-1', messageId: 'm-1', modelName: 'gpt-4' };
const COUNTS = { inputTokens: 10, outputTokens: 5, totalTokens: 15 };

/** As Dify writes it. */
const RAW = {
  event: 'message_end',
  task_id: 't-1',
  id: 'm-1',
  message_id: 'm-1',
  conversation_id: 'c-1',
  created_at: 1705407629,
  metadata: {
    usage: {
      prompt_tokens: 10,
      prompt_unit_price: '0.001',
      completion_tokens: 5,
      total_tokens: 15,
      total_price: '8E-7',
      currency: 'USD',
      latency: 0.7,
    },
  },
};

describe('usage is read in', () => {
  it('the shape of the webhook', () => {
    expect(readMessage(usage(1, { timestamp: '2026-02-11T08:00:00Z' }))).toEqual({
      ...CHAT,
      ...COUNTS,
      timestamp: '2026-02-11T08:00:00Z',
    });
  });

  it('the shape of Dify itself, whose model has to be known otherwise', () => {
    const read = { ...CHAT, ...COUNTS, timestamp: 1705407629 };
    expect(readMessage(RAW)).toEqual({ ...read, modelName: '' });
    expect(readMessage(RAW, 'gpt-4')).toEqual(read);
    expect(readMessage({ ...RAW, message_id: undefined }, 'gpt-4')).toEqual(read);
  });

  it.each([{ event: 'message_end' }, { type: 'message_end' }, { event: 'messageEnd' }])(
    'camel case, flat or in data: %o',
    (name) => {
      const said = { ...CHAT, ...COUNTS };
      expect(readMessage({ ...name, ...said })).toEqual(said);
      expect(readMessage({ ...name, data: said })).toEqual(said);
      expect(readMessage(JSON.stringify({ ...name, data: said }))).toEqual(said);
    },
  );

  it('any two of its three counts', () => {
    for (const left of ['input_tokens', 'output_tokens', 'total_tokens']) {
      expect(readMessage(usage(1, { [left]: undefined }))).toEqual({ ...CHAT, ...COUNTS });
    }
  });

  it('counts that are written as text', () => {
    expect(readMessage(usage(1, { input_tokens: '10', output_tokens: '5' }))).toEqual({
      ...CHAT,
      ...COUNTS,
    });
  });
});

describe('what can not be true is malformed', () => {
  it.each([
    { input_tokens: -1 },
    { input_tokens: -10, total_tokens: -5 },
    { total_tokens: 16 },
    { total_tokens: 1 },
    { output_tokens: 0.5 },
    { output_tokens: 10_000_001, total_tokens: undefined },
    { input_tokens: 9_999_999, output_tokens: 2, total_tokens: 10_000_001 },
    { input_tokens: Number.NaN },
    { input_tokens: Number.POSITIVE_INFINITY },
    { input_tokens: 2 ** 60, total_tokens: undefined },
    { input_tokens: '1e3' },
    { input_tokens: ' 10' },
    { input_tokens: 10n },
    { input_tokens: [10] },
    { input_tokens: true },
    { input_tokens: undefined, output_tokens: undefined },
    { input_tokens: undefined, total_tokens: 4 },
    { message_id: '' },
    { message_id: undefined },
    { message_id: {} },
    { message_id: 'm'.repeat(256) },
    { message_id: 'm\0' },
    { conversation_id: {} },
    { model_name: 7.5 },
  ])('%o', (data) => {
    expect(readMessage(usage(1, data))).toBe('malformed');
  });
});

describe('everything else is none of our business', () => {
  it.each([
    undefined,
    null,
    0,
    'dify-chatbot-iframe-ready',
    '{',
    '{"event":"message_end"',
    [],
    {},
    { type: 'dify-chatbot-expand-change' },
    { event: 'message', answer: 'Hello' },
    { event: 'ping' },
    { event: ['message_end', 1] },
    new Map([['event', 'message_end']]),
    `{"event":"message_end","pad":"${'x'.repeat(70_000)}"}`,
  ])('%o', (data) => {
    expect(readMessage(data)).toBe('other');
  });
});
