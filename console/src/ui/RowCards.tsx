// The rows of a table on a phone: a card each, with the first column as its head, the names of the
// other columns beside their values, and what a narrow screen has no room for behind «More».

import { DownOutlined, UpOutlined } from '@ant-design/icons';
import { Button, Checkbox, Spin } from 'antd';
import { type ReactNode, useId, useState } from 'react';
import { useTexts } from '../i18n/language';
import type { Column } from './DataTable';
import { partTexts } from './texts';
import './rowCards.css';

interface Props<T> {
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly rowKey: (row: T) => string;
  readonly rowName: (row: T) => string;
  readonly isLoading: boolean;
  /** What stands there while there is no row. */
  readonly empty: ReactNode;
  readonly menu?: ((row: T) => ReactNode) | undefined;
  readonly expanded?: ((row: T) => ReactNode) | undefined;
  /** Left out where rows can not be selected. */
  readonly selection?:
    { readonly rows: readonly T[]; readonly onChange: (rows: readonly T[]) => void } | undefined;
}

export function RowCards<T extends object>(props: Props<T>) {
  const { rows, rowKey, isLoading } = props;
  return (
    <Spin spinning={isLoading}>
      <div className="row-cards" data-empty={rows.length === 0}>
        {rows.length > 0 ? (
          <ul aria-label={props.label}>
            {rows.map((row) => (
              <Card key={rowKey(row)} {...props} row={row} />
            ))}
          </ul>
        ) : isLoading ? null : (
          props.empty
        )}
      </div>
    </Spin>
  );
}

function Card<T extends object>(props: Props<T> & { readonly row: T }) {
  const { row, columns, expanded, rowKey } = props;
  const t = useTexts(partTexts);
  const [isOpen, setIsOpen] = useState(false);
  const below = useId();
  const [head, ...rest] = columns;
  const hidden = rest.filter((column) => column.isHiddenOnPhone);
  return (
    <li className="row-card" data-row={rowKey(row)}>
      <div className="row-card-head">
        <Chosen {...props} />
        <div className="row-card-title">{head?.render(row)}</div>
        {hidden.length > 0 || expanded ? (
          <Button
            type="text"
            icon={isOpen ? <UpOutlined /> : <DownOutlined />}
            aria-expanded={isOpen}
            aria-controls={below}
            aria-label={`${isOpen ? t.less : t.more}: ${props.rowName(row)}`}
            title={isOpen ? t.less : t.more}
            onClick={() => {
              setIsOpen(!isOpen);
            }}
          />
        ) : null}
        {props.menu?.(row)}
      </div>
      <Values row={row} columns={rest.filter((column) => !column.isHiddenOnPhone)} />
      <div id={below} className="row-card-below" hidden={!isOpen}>
        {isOpen ? <Values row={row} columns={hidden} /> : null}
        {isOpen ? expanded?.(row) : null}
      </div>
    </li>
  );
}

function Chosen<T extends object>({ row, rowKey, rowName, selection }: Props<T> & { row: T }) {
  if (!selection) return null;
  const others = selection.rows.filter((one) => rowKey(one) !== rowKey(row));
  return (
    <Checkbox
      aria-label={rowName(row)}
      checked={others.length < selection.rows.length}
      onChange={({ target }) => {
        selection.onChange(target.checked ? [...others, row] : others);
      }}
    />
  );
}

function Values<T>({ row, columns }: { readonly row: T; readonly columns: readonly Column<T>[] }) {
  if (columns.length === 0) return null;
  return (
    <dl className="row-card-values">
      {columns.map((column) => (
        <div key={column.key}>
          <dt>{column.title}</dt>
          <dd>{column.render(row)}</dd>
        </div>
      ))}
    </dl>
  );
}
