// Below a table: which rows these are, the pages before and after, and everything as CSV.

import { DownloadOutlined, LeftOutlined, RightOutlined } from '@ant-design/icons';
import { App, Button, Select } from 'antd';
import { useState } from 'react';
import type { ListSource, Page } from '../api/queries';
import { useLanguage, useTexts } from '../i18n/language';
import { useErrorWords } from './errorWords';
import { csvOf, download } from './csv';
import type { Column } from './DataTable';
import { formatCount } from './numbers';
import { changed, queryOf, SIZES, type TableState } from './tableState';
import { partTexts } from './texts';

const CSV_PAGE = 1000;
const CSV_ROWS_MAX = 100_000;

interface Props<T> {
  readonly name: string;
  readonly source: ListSource<T>;
  readonly columns: readonly Column<T>[];
  readonly state: TableState;
  readonly page: Page<T> | undefined;
  readonly onState: (state: TableState) => void;
}

export function TableFoot<T>(props: Props<T>) {
  const { state, page, onState } = props;
  const t = useTexts(partTexts);
  const { language } = useLanguage();
  const from = state.trail.length * state.size + 1;
  const count = page?.items.length ?? 0;
  const sizes = SIZES.filter((one) => one <= (props.source.sizeMax ?? Infinity));
  return (
    <div className="table-foot">
      <span className="number" aria-live="polite">
        {count ? t.rows(from, from + count - 1, formatCount(page?.total, language)) : t.noRows}
      </span>
      <Select
        aria-label={t.perPage}
        title={t.perPage}
        size="small"
        value={state.size}
        options={sizes.map((one) => ({ value: one, label: one }))}
        onChange={(size) => {
          onState(changed(state, { size }));
        }}
      />
      <Button
        size="small"
        icon={<LeftOutlined />}
        aria-label={t.previous}
        disabled={state.trail.length === 0}
        onClick={() => {
          onState({ ...state, trail: state.trail.slice(0, -1) });
        }}
      />
      <Button
        size="small"
        icon={<RightOutlined />}
        aria-label={t.next}
        disabled={!page?.next}
        onClick={() => {
          if (page?.next) onState({ ...state, trail: [...state.trail, page.next] });
        }}
      />
      <CsvButton {...props} />
    </div>
  );
}

function CsvButton<T>({ name, source, columns, state }: Props<T>) {
  const t = useTexts(partTexts);
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const [count, setCount] = useState<number | null>(null);
  const kept = columns.filter((column) => column.csv);
  const save = async (): Promise<void> => {
    const rows: T[] = [];
    const query = { ...queryOf({ ...state, trail: [] }), limit: CSV_PAGE };
    let cursor: string | null = null;
    do {
      setCount(rows.length);
      const result = await source.load({ ...query, ...(cursor ? { cursor } : {}) });
      if (!result.ok) {
        message.error(wordsOf(result.error) || t.unreachable);
        return;
      }
      rows.push(...result.value.items);
      cursor = result.value.next;
    } while (cursor && rows.length < CSV_ROWS_MAX);
    const header = kept.map((column) => column.title);
    download(
      `${name}.csv`,
      csvOf(
        header,
        rows.map((row) => kept.map((one) => one.csv?.(row))),
      ),
    );
  };
  if (kept.length === 0) return null;
  return (
    <Button
      size="small"
      icon={<DownloadOutlined />}
      title={t.csvHint}
      loading={count !== null}
      onClick={() => {
        void save().finally(() => {
          setCount(null);
        });
      }}
    >
      {count ? t.csvProgress(count) : t.csv}
    </Button>
  );
}
