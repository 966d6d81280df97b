// What is remembered of KV: for a few seconds, and for a while longer when KV does not answer.

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { Kept, TOKENS_MAX, Unavailable } from '../src/kept';
import type { Source } from '../src/kept';

const ROUTES = '{"version":1,"routes":[{"id":1,"path":"/a","backend_url":"http://b"}]}';

class Fake implements Source {
  readonly values = new Map<string, string>([['routes', ROUTES]]);
  readonly asked: string[] = [];
  isAway = false;

  get(key: string): Promise<string | null> {
    this.asked.push(key);
    if (this.isAway) return Promise.reject(new Error('KV GET failed: 503'));
    return Promise.resolve(this.values.get(key) ?? null);
  }
}

let kv: Fake;
let nowMs: number;
let kept: Kept;

beforeEach(() => {
  vi.spyOn(console, 'warn').mockReturnValue();
  kv = new Fake();
  nowMs = 0;
  kept = new Kept(10_000, 60_000, () => nowMs);
});

describe('what was read', () => {
  it('is not asked for again within its time', async () => {
    kv.values.set('token:x', '{}');
    for (nowMs = 0; nowMs < 10_000; nowMs += 1_000) {
      await kept.routes(kv);
      await kept.token(kv, 'x');
    }
    expect(kv.asked).toEqual(['routes', 'token:x']);
    await kept.token(kv, 'x');
    expect(kv.asked).toHaveLength(3);
  });

  it('is forgotten sooner where there was nothing: a token may have just been made', async () => {
    expect(await kept.token(kv, 'x')).toBeNull();
    kv.values.set('token:x', '{}');
    expect(await kept.token(kv, 'x')).toBeNull();
    nowMs = 5_000;
    expect(await kept.token(kv, 'x')).not.toBeNull();
  });

  it('serves for a while when KV does not answer, and then no more', async () => {
    kv.values.set('token:x', '{}');
    await kept.routes(kv);
    await kept.token(kv, 'x');
    kv.isAway = true;
    nowMs = 59_999;
    expect((await kept.routes(kv)).match('h', '/a')?.id).toBe(1);
    expect(await kept.token(kv, 'x')).not.toBeNull();
    nowMs = 60_000;
    await expect(kept.routes(kv)).rejects.toThrow(Unavailable);
    await expect(kept.token(kv, 'x')).rejects.toThrow(Unavailable);
  });

  it('serves, too, when KV holds garbage; nobody is let through by garbage alone', async () => {
    await kept.routes(kv);
    kv.values.set('routes', '{"version":9}');
    nowMs = 10_000;
    expect((await kept.routes(kv)).match('h', '/a')?.id).toBe(1);
    kv.values.set('token:x', 'garbage');
    await expect(kept.token(kv, 'x')).rejects.toThrow(Unavailable);
    await expect(new Kept(0, 60_000, () => nowMs).routes(kv)).rejects.toThrow(Unavailable);
  });

  it('is bounded, and the oldest goes first', async () => {
    for (let number = 0; number <= TOKENS_MAX; number += 1) await kept.token(kv, `${number}`);
    const before = kv.asked.length;
    await kept.token(kv, `${TOKENS_MAX}`);
    await kept.token(kv, '1');
    expect(kv.asked).toHaveLength(before);
    await kept.token(kv, '0');
    expect(kv.asked).toHaveLength(before + 1);
  });
});
