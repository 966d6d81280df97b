// Money read out of JSON.

import { expect, test } from 'vitest';
import { parseExactly } from '../api/exact';

test('micro-points beyond what a number holds keep their last digit', () => {
  const text = '{"balance_micros": 9223372036854775807, "held_micros":-1, "other": 5}';
  expect(parseExactly(text)).toEqual({
    balance_micros: '9223372036854775807',
    held_micros: '-1',
    other: 5,
  });
});

test('micro-points in lists and in camel case are read exactly, too', () => {
  expect(parseExactly('[{"pointsMicros":1},{"micros":2}]')).toEqual([
    { pointsMicros: '1' },
    { micros: '2' },
  ]);
});

test('text that looks like micro-points stays the text that it is', () => {
  const value = { label: '"x_micros": 5, ', note: 'y_micros":7}' };
  expect(parseExactly(JSON.stringify(value))).toEqual(value);
});

test('what is no whole number stays as it was', () => {
  expect(parseExactly('{"a_micros":null,"b_micros":1.5}')).toEqual({
    a_micros: null,
    b_micros: 1.5,
  });
});
