// One chat request through the gate with a new key, as a program would make it: nothing of who is
// signed in goes with it.

import { type Result } from '../../api/errors';

interface Chat {
  readonly choices?: readonly { readonly message?: { readonly content?: string } }[];
  readonly error?: { readonly code?: string; readonly message?: string };
}

export async function send(secret: string, model: string): Promise<Result<string>> {
  let status = 0;
  try {
    const response = await fetch('/v1/chat/completions', {
      method: 'POST',
      credentials: 'omit',
      headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
    });
    status = response.status;
    const answer = (await response.json()) as Chat; // the shape of OpenAI's protocol
    if (response.ok) return { ok: true, value: answer.choices?.[0]?.message?.content ?? '' };
    const { code = `http_${status}`, message = response.statusText } = answer.error ?? {};
    return { ok: false, error: { code, message, requestId: '', status } };
  } catch {
    return { ok: false, error: { code: 'unreachable', message: '', requestId: '', status } };
  }
}
