// Pairs between the form's lines and the API's object: nothing is lost, nothing half is sent.

import { expect, test } from 'vitest';
import { isWhole, numbersOf, pairsOf, textsOf } from '../ui/pairs';

test('what is not touched goes back as it came, by whatever name', () => {
  const object = { 'gpt-4o': 'my-deployment', constructor: 'x' };
  expect(textsOf(pairsOf(object))).toEqual(object);
  expect(numbersOf(pairsOf({ 'gpt-4o': 4096 }))).toEqual({ 'gpt-4o': 4096 });
});

test('a line without anything is left out, and blanks around a name', () => {
  const pairs = [
    { name: ' a ', value: ' b ' },
    { name: ' ', value: null },
    { name: '', value: '' },
  ];
  expect(isWhole(pairs)).toBe(true);
  expect(textsOf(pairs)).toEqual({ a: 'b' });
});

test('half a line, or a name that stands there twice, is not taken', () => {
  expect(isWhole([{ name: 'a', value: '' }])).toBe(false);
  expect(isWhole([{ name: '', value: 7 }])).toBe(false);
  expect(isWhole([...pairsOf({ a: 'b' }), { name: 'a ', value: 'c' }])).toBe(false);
});
