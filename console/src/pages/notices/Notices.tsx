// What one was told of one's own balance and budgets, in one's own language.

import { useEffect, useMemo } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { listOf, useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { useMarkSeen, useNew } from './seen';
import { noticeTexts } from './texts';

type Notice = Schemas['OwnNotice'];
const EVERY_MS = 15_000;

export default function Notices() {
  const t = useTexts(noticeTexts);
  const { language } = useLanguage();
  const source = useMemo(() => listOf('/api/user/notices', { query: { language } }), [language]);
  useSeenByLooking();
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        key={language} // the same rows in other words
        name="notices"
        label={t.title}
        source={source}
        columns={useColumns()}
        rowKey={(notice) => notice.id}
        everyMs={EVERY_MS}
        empty={
          <EmptyState
            title={t.emptyTitle}
            hint={t.emptyHint}
            action={
              <Link className="primary-link" to={pageUrl('balance')}>
                {t.toBalance}
              </Link>
            }
          />
        }
      />
    </div>
  );
}

function useSeenByLooking(): void {
  const latest = useRead('/api/user/notices', { query: { limit: 1 }, everyMs: EVERY_MS });
  const newest = latest.data?.items[0]?.id;
  const { count, askedAt } = useNew();
  const markSeen = useMarkSeen();
  useEffect(() => {
    if (newest && count > 0) void markSeen(newest);
  }, [newest, count, askedAt, markSeen]);
}

function useColumns(): readonly Column<Notice>[] {
  const t = useTexts(noticeTexts);
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
      csv: (notice) => `${notice.title}: ${notice.body}`,
      render: (notice) => (
        <span className="cell-two">
          <strong>
            {notice.title} {notice.is_seen ? null : <Status tone="accent">{t.isNew}</Status>}
          </strong>
          <small>{notice.body}</small>
        </span>
      ),
    },
    {
      key: 'is_mailed',
      title: t.mail,
      isHiddenOnPhone: true,
      csv: (notice) => (notice.is_mailed ? 'yes' : 'no'),
      render: (notice) =>
        notice.is_mailed ? (
          <Status tone="good">{t.mailed}</Status>
        ) : (
          <span className="muted">{t.notMailed}</span>
        ),
    },
  ];
}
