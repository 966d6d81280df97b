// A call whose session has ended waits for its owner; a refusal for another reason does not.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { api, caller } from '../api/client';

interface Sent {
  readonly path: string;
  readonly key: string | undefined;
}

const before = { ...caller };
let sent: Sent[];
let isSignedIn: boolean;

function answer(status: number, body: object): Response {
  return new Response(JSON.stringify(body), { status });
}

beforeEach(() => {
  sent = [];
  isSignedIn = false;
  const asked = vi.fn((path: string, init: RequestInit) => {
    const headers = init.headers as Record<string, string>;
    sent.push({ path, key: headers['Idempotency-Key'] });
    const refusal = answer(401, { error: { code: 'unauthorized', message: 'no' } });
    if (path === '/api/user/password') return Promise.resolve(refusal);
    return Promise.resolve(isSignedIn ? answer(200, {}) : refusal);
  });
  vi.stubGlobal('fetch', asked);
});

afterEach(() => {
  vi.unstubAllGlobals();
  Object.assign(caller, before);
});

test('a change waits for its owner and is then made again, as the same change', async () => {
  caller.onSignedOut = vi.fn(() => {
    isSignedIn = true;
    return Promise.resolve(true);
  });
  expect((await api.post('/api/keys', { body: {} })).ok).toBe(true);
  const made = sent.filter(({ path }) => path === '/api/keys');
  expect(made.length).toBe(2);
  expect(made[0]?.key).toBe(made[1]?.key);
  expect(made[0]?.key).toMatch(/^[0-9a-f]{32}$/);
});

test('a wrong password signs nobody out', async () => {
  isSignedIn = true;
  caller.onSignedOut = vi.fn(() => Promise.resolve(true));
  const body = { current_password: 'wrong', password: 'long enough' };
  const result = await api.post('/api/user/password', { body });
  expect(result).toMatchObject({ ok: false, error: { code: 'unauthorized' } });
  expect(caller.onSignedOut).not.toHaveBeenCalled();
});

test('where nobody comes back, the refusal is the answer', async () => {
  expect(await api.get('/api/keys')).toMatchObject({ ok: false, error: { status: 401 } });
});
