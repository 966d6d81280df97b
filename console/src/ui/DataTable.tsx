// A table over a list of the API: the server pages, filters and sorts; the address remembers it.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Table, type TableProps } from 'antd';
import { type Key, type ReactNode, useState } from 'react';
import { errorOf, valueOf } from '../api/errors';
import type { ListSource } from '../api/queries';
import { useTexts } from '../i18n/language';
import { type BulkAction, BulkBar } from './BulkBar';
import type { Cell } from './csv';
import { EmptyState } from './EmptyState';
import { ErrorBanner } from './ErrorBanner';
import { PhoneOrder } from './PhoneOrder';
import { RowCards } from './RowCards';
import { type RowAction, RowMenu } from './RowMenu';
import { TableFilters, type Filter } from './TableFilters';
import { TableFoot } from './TableFoot';
import { changed, queryOf, type TableState, within } from './tableState';
import { partTexts } from './texts';
import { useIsPhone } from './useIsPhone';
import { useTableState } from './useTableState';

export interface Column<T> {
  readonly key: string;
  readonly title: string;
  readonly render: (row: T) => ReactNode;
  /** What stands in a CSV; a column without it is left out there. */
  readonly csv?: (row: T) => Cell;
  /** What the API sorts by; leave out where it can not. */
  readonly sort?: string;
  readonly isNumber?: boolean;
  /** There it stands behind «More». */
  readonly isHiddenOnPhone?: boolean;
  readonly width?: number;
}

interface Props<T> {
  /** Names the CSV file. */
  readonly name: string;
  readonly label: string;
  readonly source: ListSource<T>;
  readonly columns: readonly Column<T>[];
  readonly rowKey: (row: T) => string;
  /** What people call it, where that is not its key. */
  readonly rowName?: (row: T) => string;
  readonly filters?: readonly Filter[];
  readonly actions?: (row: T) => readonly RowAction[];
  readonly bulk?: readonly BulkAction<T>[];
  /** What stands there while there is not one row and no filter. */
  readonly empty: ReactNode;
  /** Keeps two tables of one page apart in the address. */
  readonly prefix?: string;
  readonly everyMs?: number;
  readonly expanded?: (row: T) => ReactNode;
}

export function DataTable<T extends object>(props: Props<T>) {
  const filters = props.filters ?? [];
  const [kept, setState] = useTableState(
    filters.map((one) => one.name),
    props.prefix,
  );
  const state = within(kept, props.source.sizeMax);
  const [selected, setSelected] = useState<readonly T[]>([]);
  const query = queryOf(state);
  const list = useQuery({
    queryKey: [props.source.path, props.source.values, query, 'table'],
    queryFn: async ({ signal }) => valueOf(await props.source.load(query, signal)),
    placeholderData: keepPreviousData,
    ...(props.everyMs ? { refetchInterval: props.everyMs } : {}),
  });
  const retry = (): void => void list.refetch();
  const error = list.error ? errorOf(list.error) : null;
  const isBare = list.data?.total === 0 && Object.keys(state.filters).length === 0;
  if (isBare && !error) return props.empty;
  return (
    <div className="table-block">
      <TableFilters
        filters={filters}
        values={state.filters}
        onChange={(values) => {
          setState(changed(state, { filters: values }));
        }}
      />
      {error ? <ErrorBanner error={error} onRetry={retry} /> : null}
      {selected.length > 0 && props.bulk ? (
        <BulkBar
          rows={selected}
          actions={props.bulk}
          nameOf={props.rowName ?? props.rowKey}
          onDone={setSelected}
        />
      ) : null}
      <Body
        {...props}
        state={state}
        onState={setState}
        rows={list.data?.items ?? []}
        isLoading={list.isFetching && (list.isPlaceholderData || !list.data)}
        hasFailed={error !== null}
        selected={selected}
        onSelect={setSelected}
      />
      <TableFoot
        name={props.name}
        source={props.source}
        columns={props.columns}
        state={state}
        page={list.data}
        onState={setState}
      />
    </div>
  );
}

interface RowsProps<T> extends Props<T> {
  readonly state: TableState;
  readonly onState: (state: TableState) => void;
  readonly rows: readonly T[];
  readonly isLoading: boolean;
  readonly hasFailed: boolean;
  readonly selected: readonly T[];
  readonly onSelect: (rows: readonly T[]) => void;
}

function Body<T extends object>(props: RowsProps<T>) {
  const t = useTexts(partTexts);
  const isPhone = useIsPhone();
  const empty = props.hasFailed ? (
    ' '
  ) : (
    <EmptyState title={t.nothingFound} hint={t.nothingFoundHint} level={3} />
  );
  return isPhone ? <Cards {...props} empty={empty} /> : <Rows {...props} empty={empty} />;
}

function Cards<T extends object>(props: RowsProps<T>) {
  const { actions, rowKey, state } = props;
  const rowName = props.rowName ?? rowKey;
  const selection = props.bulk ? { rows: props.selected, onChange: props.onSelect } : undefined;
  return (
    <>
      <PhoneOrder
        columns={props.columns}
        sort={state.sort}
        onSort={(sort) => {
          props.onState(changed(state, { sort }));
        }}
        rows={props.rows}
        rowKey={rowKey}
        selection={selection}
      />
      <RowCards
        {...props}
        rowName={rowName}
        selection={selection}
        menu={actions ? (row) => <RowMenu actions={actions(row)} name={rowName(row)} /> : undefined}
      />
    </>
  );
}

function Rows<T extends object>(props: RowsProps<T>) {
  const t = useTexts(partTexts);
  const { rowKey, expanded } = props;
  return (
    // Its own scrolling: Ant Design's repeats the head, hidden, with controls that take the focus.
    <div
      className={props.actions ? 'table-scroll with-actions' : 'table-scroll'}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <Table<T>
        size="middle"
        dataSource={props.rows}
        columns={columnsOf(props, t.actions)}
        rowKey={rowKey}
        loading={props.isLoading}
        pagination={false}
        showSorterTooltip={false}
        locale={{ emptyText: props.empty }}
        onChange={(_pages, _filters, sorter) => {
          props.onState(changed(props.state, { sort: sortOf(sorter) }));
        }}
        {...(expanded
          ? {
              expandable: {
                expandedRowRender: expanded,
                columnTitle: <span className="unseen">{t.more}</span>,
              },
            }
          : {})}
        {...(props.bulk
          ? {
              rowSelection: {
                selectedRowKeys: props.selected.map(rowKey),
                onChange: (_keys: Key[], rows: T[]) => {
                  props.onSelect(rows);
                },
                getTitleCheckboxProps: () => ({ 'aria-label': t.selectAll }),
                getCheckboxProps: (row: T) => ({ 'aria-label': (props.rowName ?? rowKey)(row) }),
              },
            }
          : {})}
      />
    </div>
  );
}

type Sorters<T> = Parameters<NonNullable<TableProps<T>['onChange']>>[2];

function sortOf<T>(sorters: Sorters<T>): string {
  const sorter = Array.isArray(sorters) ? sorters[0] : sorters;
  if (!sorter?.order) return '';
  return `${sorter.order === 'descend' ? '-' : ''}${String(sorter.columnKey)}`;
}

function columnsOf<T extends object>(
  props: RowsProps<T>,
  actionsTitle: string,
): NonNullable<TableProps<T>['columns']> {
  const { actions, state } = props;
  const nameOf = props.rowName ?? props.rowKey;
  const shown: NonNullable<TableProps<T>['columns']> = props.columns.map((column) => ({
    key: column.sort ?? column.key,
    title: column.title,
    render: (_: unknown, row: T) => column.render(row),
    ...(column.isNumber ? { align: 'end' as const } : {}),
    ...(column.width ? { width: column.width } : {}),
    ...(column.sort
      ? { sorter: true, sortOrder: orderOf(state.sort, column.sort), showSorterTooltip: false }
      : {}),
  }));
  if (!actions) return shown;
  return [
    ...shown,
    {
      key: '',
      title: <span className="unseen">{actionsTitle}</span>,
      width: 56,
      render: (_: unknown, row: T) => <RowMenu actions={actions(row)} name={nameOf(row)} />,
    },
  ];
}

function orderOf(sort: string, name: string): 'ascend' | 'descend' | null {
  if (sort === name) return 'ascend';
  return sort === `-${name}` ? 'descend' : null;
}
