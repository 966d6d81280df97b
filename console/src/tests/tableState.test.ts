// What a table shows, in the address.

import { expect, test } from 'vitest';
import {
  changed,
  queryOf,
  readTableState,
  type TableState,
  within,
  writeTableState,
} from '../ui/tableState';

const NAMES = ['q', 'is_active'];
const read = (search: string, prefix = ''): TableState =>
  readTableState(new URLSearchParams(search), NAMES, prefix);

test('what is written is read back as it was', () => {
  const state: TableState = {
    trail: ['25', '50'],
    size: 100,
    sort: '-last_used',
    filters: { q: 'a&b ü', is_active: 'true' },
  };
  const written = writeTableState(new URLSearchParams('tab=2'), state, NAMES);
  expect(written.get('tab')).toBe('2');
  expect(read(written.toString())).toEqual(state);
});

test('a table as it first stands leaves the address clean', () => {
  const state: TableState = { trail: [], size: 25, sort: '', filters: {} };
  expect(writeTableState(new URLSearchParams('q=x&size=100'), state, NAMES).toString()).toBe('');
});

test('nonsense in an address reads as the first page', () => {
  expect(read('size=7&page=~~&unknown=1')).toEqual({ trail: [], size: 25, sort: '', filters: {} });
});

test('two tables of one page do not disturb each other', () => {
  const first = writeTableState(new URLSearchParams(), { ...read(''), sort: 'a' }, NAMES, 'left.');
  const both = writeTableState(first, { ...read(''), sort: 'b' }, NAMES, 'right.');
  expect(readTableState(both, NAMES, 'left.').sort).toBe('a');
  expect(readTableState(both, NAMES, 'right.').sort).toBe('b');
});

test('another filter begins at the first page', () => {
  const state = { ...read('page=25~50'), size: 50 };
  expect(changed(state, { filters: { q: 'x' } })).toEqual({
    ...state,
    trail: [],
    filters: { q: 'x' },
  });
});

test('the server is asked for the page, the order and the filters', () => {
  expect(queryOf(read('page=25~50&q=x&sort=-label'))).toEqual({
    limit: 25,
    cursor: '50',
    sort: '-label',
    q: 'x',
  });
});

test('a list that answers fewer rows at once is asked for no more, and paged by what it answers', () => {
  const far: TableState = { trail: ['2'], size: 250, sort: '', filters: { q: 'a' } };
  expect(within(far, 200)).toEqual({ ...far, size: 100, trail: [] });
  expect(within({ ...far, size: 100 }, 200)).toEqual({ ...far, size: 100 });
  expect(within(far)).toEqual(far);
});
