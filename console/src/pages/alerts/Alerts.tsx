// What was told to whom, by which way, and what could not be told.

import { useMemo } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { alertTexts } from './texts';
import { Ways } from './Ways';

type Notice = Schemas['Notice'];
const EVERY_MS = 15_000;
const TONES = { waiting: 'warn', told: 'good', failed: 'bad' } as const;
const KINDS = {
  'wallet.low': 'low',
  'budget.reached': 'budget',
  'credential.died': 'died',
  'keeper.failing': 'keeperFailing',
  'keeper.idle': 'keeperIdle',
  'edge.failing': 'edgeFailing',
  'edge.over_quota': 'edgeQuota',
} as const;

export default function Alerts() {
  const t = useTexts(alertTexts);
  const { language } = useLanguage();
  const source = useMemo(() => listOf('/api/notices', { query: { language } }), [language]);
  const columns = useColumns();
  const begin = (
    <Link className="primary-link" to={pageUrl('budgets')}>
      {t.toBudgets}
    </Link>
  );
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <Ways />
      <DataTable
        key={language} // the same rows in other words
        name="alerts"
        label={t.title}
        source={source}
        columns={columns}
        filters={[{ kind: 'text', name: 'user_id', label: t.user }]}
        rowKey={(notice) => notice.id}
        everyMs={EVERY_MS}
        expanded={(notice) => <p className="alert-body">{notice.body}</p>}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={begin} />}
      />
    </div>
  );
}

function useColumns(): readonly Column<Notice>[] {
  const t = useTexts(alertTexts);
  return [
    {
      key: 'created_at',
      title: t.when,
      csv: (notice) => notice.created_at,
      render: (notice) => <Time at={notice.created_at} />,
    },
    {
      key: 'title',
      title: t.what,
      csv: (notice) => notice.title,
      render: (notice) => <What of={notice} />,
    },
    {
      key: 'user_id',
      title: t.about,
      csv: (notice) => notice.user_id,
      render: (notice) =>
        notice.user_id === null ? (
          <span className="muted">{t.operator}</span>
        ) : (
          <Link to={pageUrl('wallets', { user: notice.user_id })}>{notice.user_id}</Link>
        ),
    },
    {
      key: 'state',
      title: t.state,
      csv: (notice) => notice.state,
      render: (notice) => <State of={notice} />,
    },
    {
      key: 'sent_by',
      title: t.ways,
      isHiddenOnPhone: true,
      csv: (notice) => notice.sent_by.join(' '),
      render: (notice) =>
        notice.sent_by.length > 0 ? (
          notice.sent_by.join(', ')
        ) : (
          <span className="muted">{notice.state === 'told' ? t.noWay : '–'}</span>
        ),
    },
  ];
}

function What({ of: notice }: { readonly of: Notice }) {
  const t = useTexts(alertTexts);
  const isAnomaly = notice.kind.startsWith('anomaly.');
  const known = Object.entries(KINDS).find(([name]) => name === notice.kind)?.[1];
  const kind = isAnomaly ? 'anomaly' : known;
  return (
    <span className="cell-two">
      <span>{notice.title}</span>
      <small>{kind ? t[kind] : notice.kind}</small>
    </span>
  );
}

function State({ of: notice }: { readonly of: Notice }) {
  const t = useTexts(alertTexts);
  const isOver = notice.state === 'told';
  return (
    <span className="cell-two">
      <span>
        <Status tone={TONES[notice.state]}>{t[notice.state]}</Status>
      </span>
      {isOver || notice.attempts === 0 ? null : (
        <small>
          {t.attempts(notice.attempts)}
          {notice.next_at ? (
            <>
              {' · '}
              {t.next} <Time at={notice.next_at} />
            </>
          ) : null}
          {notice.error ? ` · ${notice.error}` : ''}
        </small>
      )}
    </span>
  );
}
