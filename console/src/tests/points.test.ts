// Points in words, and back.

import { expect, test } from 'vitest';
import { formatMicros, microsOf, plainPoints } from '../ui/points';

test('points are grouped, and zeros after the last digit are left out', () => {
  expect(formatMicros('1234567890000', 'en')).toBe('1,234,567.89');
  expect(formatMicros('5000000', 'en')).toBe('5');
  expect(formatMicros('1', 'en')).toBe('0.000001');
  expect(formatMicros('0', 'en')).toBe('0');
});

test('the largest balance there can be keeps every digit', () => {
  expect(formatMicros('9223372036854775807', 'en')).toBe('9,223,372,036,854.775807');
});

test('a debt bears its sign also below one point', () => {
  expect(formatMicros('-500000', 'en')).toBe('−0.5');
});

test('fewer digits round towards nothing and never up to money that is not there', () => {
  expect(formatMicros('1999999', 'en', 2)).toBe('1.99');
});

test('what is typed is read exactly or not at all', () => {
  expect(microsOf('12.5')).toBe('12500000');
  expect(microsOf(' -0.000001 ')).toBe('-1');
  expect(microsOf('9223372036854.775807')).toBe('9223372036854775807');
  for (const wrong of ['', '1e3', '0.0000001', '1,5', '.5', 'NaN', '1.', '--1']) {
    expect(microsOf(wrong), wrong).toBeNull();
  }
});

test('a plain amount reads back as it was', () => {
  for (const micros of ['0', '1', '-1', '1500000', '-2000001', '9223372036854775807']) {
    expect(microsOf(plainPoints(micros))).toBe(micros);
  }
});
