// Texts about one or several: the English ones, since only they differ.

import { expect, test } from 'vitest';
import { plural } from '../i18n/plural';

const texts = import.meta.glob<Record<string, Record<string, Record<string, unknown>>>>(
  ['../pages/*/*[tT]exts.ts', '../ui/*[tT]exts.ts', '../auth/texts.ts'],
  { eager: true },
);

test('one is said as one, and any other count as several', () => {
  expect([1, '1', 0, 12, '1,001'].map((count) => plural(count, 'one', 'several'))).toEqual([
    'one',
    'one',
    'several',
    'several',
    'several',
  ]);
});

test('no English text says one of something in the plural', () => {
  const wrong = Object.values(texts)
    .flatMap((file) => Object.values(file))
    .flatMap((one) => Object.values(one['en'] ?? {}))
    .filter((said): said is (...values: string[]) => string => typeof said === 'function')
    .map((said) => said(...Array.from({ length: said.length }, () => '1')))
    .filter((said) => /\b1 (?!is\b|was\b|less\b|holds\b|waits\b)[a-z]+s\b/.test(said));
  expect(wrong).toEqual([]);
});
