// One's own history: every use that was charged, with filters, and as CSV.

import { Link } from 'react-router';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { formatCount } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { formatMicros, microsOf } from '../../ui/points';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { useSourceName } from '../charges/columns';
import { historySource, type Used } from './source';
import { historyTexts } from './texts';

export default function History() {
  const t = useTexts(historyTexts);
  const columns = useColumns();
  const filters: readonly Filter[] = [
    { kind: 'text', name: 'model', label: t.exactModel },
    { kind: 'day', name: 'from', label: t.from },
    { kind: 'day', name: 'to', label: t.to },
  ];
  const begin = (
    <Link className="primary-link" to={pageUrl('ownKeys')}>
      {t.toKeys}
    </Link>
  );
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        name="history"
        label={t.title}
        source={historySource}
        columns={columns}
        filters={filters}
        rowKey={(used) => used.consumptionId}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={begin} />}
      />
    </div>
  );
}

/** The seed's answer has only numbers, exact to six decimals; their digits are read, not computed. */
function micros(points: number): string {
  return microsOf(points.toFixed(6)) ?? '0';
}

function useColumns(): readonly Column<Used>[] {
  const t = useTexts(historyTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  const tokens = (key: 'input_tokens' | 'output_tokens', title: string): Column<Used> => ({
    key,
    title,
    isNumber: true,
    isHiddenOnPhone: true,
    csv: (used) => used[key],
    render: (used) => <span className="number">{formatCount(used[key], language)}</span>,
  });
  return [
    {
      key: 'timestamp',
      title: t.when,
      csv: (used) => used.timestamp,
      render: (used) => <Time at={used.timestamp} withSeconds />,
    },
    { key: 'model', title: t.model, csv: (used) => used.model, render: (used) => used.model },
    tokens('input_tokens', t.input),
    tokens('output_tokens', t.output),
    {
      key: 'points',
      title: t.points,
      isNumber: true,
      csv: (used) => used.points,
      render: (used) => (
        <span className="cell-two">
          <Points micros={micros(used.points)} />
          {used.refunded > 0 ? (
            <small>{t.refunded(formatMicros(micros(used.refunded), language))}</small>
          ) : null}
        </span>
      ),
    },
    {
      key: 'balance_after',
      title: t.after,
      isNumber: true,
      csv: (used) => used.balance_after,
      render: (used) =>
        used.balance_after === null ? (
          <span className="muted">{t.notKept}</span>
        ) : (
          <Points micros={micros(used.balance_after)} />
        ),
    },
    {
      key: 'source',
      title: t.source,
      isHiddenOnPhone: true,
      csv: (used) => used.source,
      render: (used) => nameOf(used.source),
    },
    {
      key: 'conversation_id',
      title: t.conversation,
      isHiddenOnPhone: true,
      csv: (used) => used.conversation_id,
      render: (used) => <span className="muted">{used.conversation_id || '–'}</span>,
    },
  ];
}
