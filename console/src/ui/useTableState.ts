// A table's state, in the address.

import { useSearchParams } from 'react-router';
import { readTableState, type TableState, writeTableState } from './tableState';

export function useTableState(
  filterNames: readonly string[],
  prefix = '',
): [TableState, (state: TableState) => void] {
  const [search, setSearch] = useSearchParams();
  const state = readTableState(search, filterNames, prefix);
  const setState = (next: TableState): void => {
    setSearch((before) => writeTableState(before, next, filterNames, prefix));
  };
  return [state, setState];
}
