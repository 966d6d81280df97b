// The events that the Dify test page makes up, and what misuse of them looks like.

import { randomName } from '../../api/client';

export interface Draft {
  readonly modelName: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** As the webhook writes it; `user_id` is there to show that nobody believes it. */
export interface MadeUp {
  readonly event: 'message_end';
  readonly data: Readonly<Record<string, string | number>>;
}

export function makeUp(draft: Draft): MadeUp {
  return {
    event: 'message_end',
    data: {
      conversation_id: 'dify-test',
      message_id: `test-${randomName()}`,
      user_id: 'somebody-else',
      model_name: draft.modelName,
      input_tokens: draft.inputTokens,
      output_tokens: draft.outputTokens,
      total_tokens: draft.inputTokens + draft.outputTokens,
    },
  };
}

/** Less than nothing, a sum that is another one, more than there can be. */
export function makeUpForged(draft: Draft): readonly MadeUp[] {
  const changes: Record<string, number>[] = [
    { input_tokens: -1_000_000, total_tokens: draft.outputTokens - 1_000_000 },
    { total_tokens: 1 },
    { output_tokens: 1e12, total_tokens: draft.inputTokens + 1e12 },
  ];
  return changes.map((change) => {
    const made = makeUp(draft);
    return { ...made, data: { ...made.data, ...change } };
  });
}

export function makeUpMany(draft: Draft, count: number): readonly MadeUp[] {
  return Array.from({ length: count }, () => makeUp(draft));
}
