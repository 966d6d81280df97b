// What a table's head does, for a phone, where it has none: the order of the rows, and all of them
// selected at once.

import { Checkbox, Select } from 'antd';
import { useTexts } from '../i18n/language';
import type { Column } from './DataTable';
import { partTexts } from './texts';

interface Props<T> {
  readonly columns: readonly Column<T>[];
  readonly sort: string;
  readonly onSort: (sort: string) => void;
  readonly rows: readonly T[];
  readonly rowKey: (row: T) => string;
  /** Left out where rows can not be selected. */
  readonly selection?:
    { readonly rows: readonly T[]; readonly onChange: (rows: readonly T[]) => void } | undefined;
}

export function PhoneOrder<T>(props: Props<T>) {
  const t = useTexts(partTexts);
  const sortable = props.columns.filter((column) => column.sort);
  const options = sortable.flatMap(({ sort = '', title }) => [
    { value: sort, label: `${title} ↑` },
    { value: `-${sort}`, label: `${title} ↓` },
  ]);
  const canSelect = props.selection !== undefined && props.rows.length > 0;
  if (options.length === 0 && !canSelect) return null;
  return (
    <div className="phone-order">
      {canSelect ? <SelectAll {...props} /> : null}
      {options.length > 0 ? (
        <Select
          aria-label={t.order}
          placeholder={t.order}
          allowClear
          popupMatchSelectWidth={false}
          value={props.sort || null}
          options={options}
          onChange={(picked: string | null) => {
            props.onSort(picked ?? '');
          }}
        />
      ) : null}
    </div>
  );
}

function SelectAll<T>({ rows, rowKey, selection }: Props<T>) {
  const t = useTexts(partTexts);
  const chosen = new Set(selection?.rows.map(rowKey));
  const count = rows.filter((row) => chosen.has(rowKey(row))).length;
  return (
    <Checkbox
      checked={count === rows.length}
      indeterminate={count > 0 && count < rows.length}
      onChange={({ target }) => {
        selection?.onChange(target.checked ? rows : []);
      }}
    >
      {t.selectAll}
    </Checkbox>
  );
}
