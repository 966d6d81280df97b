// The history's pages as a table asks for them.

import { expect, test } from 'vitest';
import { nextOf, questionOf } from '../pages/history/source';

test('a table that asks for more than the API answers at once gets whole pages all the same', () => {
  expect(questionOf({ limit: 1000 })).toEqual({ page: 1, page_size: 200 });
  expect(questionOf({ limit: 25, cursor: '3', model: 'm', from: '' })).toEqual({
    page: 3,
    page_size: 25,
    model: 'm',
  });
});

test('the last page is the last, also when it is full', () => {
  expect(nextOf({ total: 50, page: 1, page_size: 25 })).toBe('2');
  expect(nextOf({ total: 50, page: 2, page_size: 25 })).toBeNull();
  expect(nextOf({ total: 0, page: 1, page_size: 25 })).toBeNull();
});
