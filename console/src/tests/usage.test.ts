// What the usage page asks, and how the hours of a week become cells and colours.

import { expect, test } from 'vitest';
import { filterOf, heatmapDays, readAsked } from '../pages/usage/asked';
import { cellsOf, hourName, stepsOf, weekdayName } from '../pages/usage/heat';

const ask = (search: string) => readAsked(new URLSearchParams(search));

test('an address without a word asks about a week by day, today by hour', () => {
  expect(ask('')).toEqual({ days: 7, by: 'day' });
  expect(ask('days=1')).toEqual({ days: 1, by: 'hour' });
  expect(ask('days=1&by=day')).toEqual({ days: 1, by: 'day' });
});

test('what the server would refuse is never asked', () => {
  expect(ask('days=0').days).toBe(7);
  expect(ask('days=9999').days).toBe(7);
  expect(ask('days=1e2').days).toBe(7);
  expect(ask('days=63&by=hour').by).toBe('day');
  expect(ask('days=62&by=hour').by).toBe('hour');
  expect(ask('by=minute').by).toBe('day');
});

test('the filters of the address are kept, and empty ones are none', () => {
  const asked = ask('team=a&token=5&route=%2Fapi%2Ftest&model=');
  expect(filterOf(asked)).toEqual({ team: 'a', token: '5', route: '/api/test' });
});

test('the hours of the week are of at least four weeks', () => {
  expect(heatmapDays(ask('days=7'))).toBe(28);
  expect(heatmapDays(ask('days=90'))).toBe(90);
});

test('every hour of the week has one cell, also when the answer lacks some', () => {
  const cells = cellsOf([[0, 4], [], [7]]);
  expect(cells).toHaveLength(168);
  expect(cells[1]).toEqual({ weekday: 0, hour: 1, uses: 4 });
  expect(cells[48]).toEqual({ weekday: 2, hour: 0, uses: 7 });
  expect(cells[167]).toEqual({ weekday: 6, hour: 23, uses: 0 });
});

test('one busy hour does not make all others look alike', () => {
  const cells = cellsOf([[1, 2, 3, 1_000_000]]);
  expect(stepsOf(cells, 4)).toEqual([
    { min: 0, max: 0 },
    { min: 1, max: 1 },
    { min: 2, max: 2 },
    { min: 3, max: 3 },
    { min: 4, max: 1_000_000 },
  ]);
});

test('steps lie side by side without a gap and hold every use', () => {
  const cells = cellsOf([Array.from({ length: 24 }, (_, hour) => hour * hour)]);
  const steps = stepsOf(cells, 4);
  steps.slice(1).forEach((step, index) => {
    expect(step.min).toBe((steps[index]?.max ?? 0) + 1);
    expect(step.max).toBeGreaterThanOrEqual(step.min);
  });
  expect(steps.at(-1)?.max).toBe(23 * 23);
});

test('a week without a use, or with the same everywhere, has no step twice', () => {
  expect(stepsOf(cellsOf([]), 4)).toEqual([{ min: 0, max: 0 }]);
  expect(stepsOf(cellsOf([[5, 5, 5]]), 4)).toEqual([
    { min: 0, max: 0 },
    { min: 1, max: 5 },
  ]);
});

test('weekday 0 is Monday in every language', () => {
  expect(weekdayName(0, 'en', 'long')).toBe('Monday');
  expect(weekdayName(6, 'zh-CN', 'long')).toBe('星期日');
  expect(hourName(7)).toBe('07:00');
});
