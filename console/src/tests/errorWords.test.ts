// What the server refuses is said in the reader's language, by its code.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { meaningOf, reasonOf, saidOf } from '../ui/errorWords';

const REFERENCE = new URL('../../../docs/reference/errors.md', import.meta.url);
const CODES = [...readFileSync(REFERENCE, 'utf8').matchAll(/^\| `(\w+)` \| \d{3}/gm)].map(
  ([, code]) => code ?? '',
);
const refusal = (code: string, message: string) => ({ code, message, requestId: '', status: 400 });

test('every code that the server may answer has words in both scripts', () => {
  expect(CODES.length).toBeGreaterThan(40);
  for (const code of CODES) {
    for (const language of ['zh-CN', 'zh-TW'] as const) {
      expect(meaningOf(code, language), `${code} ${language}`).toMatch(/[\u4e00-\u9fff]/);
    }
    expect(meaningOf(code, 'en')).toBeNull();
  }
});

test('what the server said of this one is beside its meaning, and alone in English', () => {
  const taken = refusal('conflict', 'the name «x» is taken');
  expect(saidOf(taken, 'zh-CN')).toBe('与现有内容冲突（the name «x» is taken）');
  expect(saidOf(refusal('conflict', ''), 'zh-TW')).toBe('與現有內容衝突');
  expect(saidOf(taken, 'en')).toBe('the name «x» is taken');
  expect(saidOf(refusal('of_tomorrow', 'new'), 'zh-CN')).toBe('new');
});

test('a reason beside a field keeps its numbers, and stays as it was where it has no words', () => {
  expect(reasonOf('expected `str` of length <= 200', 'zh-CN')).toBe('最多 200 个字符');
  expect(reasonOf('expected `int` >= 0', 'zh-TW')).toBe('不能小於 0');
  expect(reasonOf('expected `int`, got `str`', 'zh-CN')).toBe('类型应为 int');
  expect(reasonOf("there is a user with the id 'ann' already", 'zh-TW')).toBe("'ann' 已被使用");
  expect(reasonOf('use a date like 2026-02-11', 'zh-CN')).toBe('use a date like 2026-02-11');
  expect(reasonOf('expected `int` >= 0', 'en')).toBe('expected `int` >= 0');
});
