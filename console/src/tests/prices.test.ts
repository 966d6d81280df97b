// What a form takes for a price.

import { expect, test } from 'vitest';
import { isPrice } from '../pages/models/isPrice';

test('a price is a decimal that is not below nothing', () => {
  for (const right of ['0', '0.27', ' 15 ', '0.000000001'])
    expect(isPrice(right), right).toBe(true);
  for (const wrong of ['', '-1', '1,5', '1e3', '.5', '1.', 'free'])
    expect(isPrice(wrong), wrong).toBe(false);
});

test('only a price that may be left out may be empty', () => {
  expect(isPrice('  ', true)).toBe(true);
  expect(isPrice('x', true)).toBe(false);
});
