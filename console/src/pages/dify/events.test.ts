// The events that the page makes up are what the monitor takes, or refuses, as the page says.

import { describe, expect, it } from 'vitest';
import { makeUp, makeUpForged, makeUpMany } from './events';

const DRAFT = { modelName: 'gpt-4', inputTokens: 1000, outputTokens: 500 };

describe('made-up events', () => {
  it('add up and are told apart', () => {
    const made = makeUpMany(DRAFT, 1000);
    expect(new Set(made.map(({ data }) => data['message_id'])).size).toBe(1000);
    expect(makeUp(DRAFT).data).toMatchObject({ model_name: 'gpt-4', total_tokens: 1500 });
  });

  it('that are forged can not be true', () => {
    for (const { data } of makeUpForged(DRAFT)) {
      const parts = [data['input_tokens'], data['output_tokens']].map(Number);
      const sum = parts.reduce((one, other) => one + other, 0);
      const isTrue =
        parts.every((part) => part >= 0) && sum <= 10_000_000 && sum === data['total_tokens'];
      expect(isTrue).toBe(false);
    }
  });
});
