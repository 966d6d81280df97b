// What the server has decided about each event, the latest first.

import { Table, type TableProps } from 'antd';
import { useTexts } from '../../i18n/language';
import { EmptyState } from '../../ui/EmptyState';
import { Time } from '../../ui/Time';
import { difyTexts } from './texts';
import type { LogEntry } from './useMonitor';

const TONES = { accepted: 'good', review: 'warn', unpaid: 'bad', refused: 'bad' } as const;

export function Log({ log }: { readonly log: readonly LogEntry[] }) {
  const t = useTexts(difyTexts);
  if (log.length === 0) return <EmptyState title={t.empty} hint={t.emptyHint} level={3} />;
  const columns: TableProps<LogEntry>['columns'] = [
    { title: t.at, key: 'at', render: (_, { at }) => <Time at={at} withSeconds /> },
    {
      title: t.message,
      key: 'message',
      render: (_, { event }) => (
        <span className="cell-two">
          <code>{event.messageId.slice(0, 20)}</code>
          <small>{event.modelName}</small>
        </span>
      ),
    },
    {
      title: t.tokens,
      key: 'tokens',
      align: 'end',
      render: (_, { event }) => (
        <span className="number">
          {event.inputTokens} + {event.outputTokens}
        </span>
      ),
    },
    {
      title: t.outcome,
      key: 'outcome',
      render: (_, { outcome }) => (
        <span className={TONES[outcome.status]}>{t[outcome.status]}</span>
      ),
    },
    {
      title: t.points,
      key: 'points',
      align: 'end',
      render: (_, { outcome }) => <span className="number">{outcome.pointsDeducted}</span>,
    },
    { title: t.why, key: 'why', render: (_, { outcome }) => outcome.message },
  ];
  return (
    // It scrolls sideways on a phone, so it has to be reached by keyboard.
    <div role="region" aria-label={t.log} tabIndex={0} style={{ overflowX: 'auto' }}>
      <Table<LogEntry>
        size="small"
        rowKey="id"
        columns={columns}
        dataSource={[...log]}
        pagination={{ pageSize: 10, hideOnSinglePage: true }}
      />
    </div>
  );
}
