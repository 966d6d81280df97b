// What a table shows, as it stands in the address: page, size, order, filters. Somebody who is sent
// the address sees the same rows.

export const SIZES = [25, 50, 100, 250] as const;
const SIZE_DEFAULT = 25;
const TRAIL = 'page';

export interface TableState {
  /** The cursors of the pages that one came through, the present one last; empty on the first. */
  readonly trail: readonly string[];
  readonly size: number;
  /** A column's name as the API sorts by it, `-` before it for downwards; empty for its own order. */
  readonly sort: string;
  readonly filters: Readonly<Record<string, string>>;
}

/** `prefix` keeps two tables of one page apart. */
export function readTableState(
  search: URLSearchParams,
  filterNames: readonly string[],
  prefix = '',
): TableState {
  const size = Number(search.get(`${prefix}size`));
  const filters = filterNames.flatMap((name) => {
    const value = search.get(prefix + name);
    return value ? [[name, value] as const] : [];
  });
  return {
    trail: (search.get(prefix + TRAIL) ?? '').split('~').filter(Boolean),
    size: SIZES.find((one) => one === size) ?? SIZE_DEFAULT,
    sort: search.get(`${prefix}sort`) ?? '',
    filters: Object.fromEntries(filters),
  };
}

/** The address with this state in it; what is as it would be anyway is left out. */
export function writeTableState(
  search: URLSearchParams,
  state: TableState,
  filterNames: readonly string[],
  prefix = '',
): URLSearchParams {
  const written = new URLSearchParams(search);
  const set = (name: string, value: string): void => {
    if (value) written.set(prefix + name, value);
    else written.delete(prefix + name);
  };
  set(TRAIL, state.trail.join('~'));
  set('size', state.size === SIZE_DEFAULT ? '' : String(state.size));
  set('sort', state.sort);
  for (const name of filterNames) set(name, state.filters[name] ?? '');
  return written;
}

/** The state with a size that the list can answer; a page is then as many rows as it says. */
export function within(state: TableState, sizeMax = Infinity): TableState {
  const most = SIZES.filter((one) => one <= sizeMax).at(-1) ?? SIZE_DEFAULT;
  return state.size <= sizeMax ? state : { ...state, size: most, trail: [] };
}

/** Another order or filter begins at the first page again. */
export function changed(
  state: TableState,
  change: Partial<Pick<TableState, 'size' | 'sort' | 'filters'>>,
): TableState {
  return { ...state, ...change, trail: [] };
}

/** What the API is asked for it. */
export function queryOf(state: TableState): Record<string, string | number> {
  const cursor = state.trail.at(-1);
  return {
    ...state.filters,
    limit: state.size,
    ...(state.sort ? { sort: state.sort } : {}),
    ...(cursor ? { cursor } : {}),
  };
}
