// Anomalies: what stands out of a key's habits, with its evidence; acknowledging one lifts what it
// did to the key.

import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { type Deed, ReasonDialog } from '../../ui/ReasonDialog';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { Evidence, useWords } from './Evidence';
import { anomalyTexts } from './texts';

export type Anomaly = Schemas['Anomaly'];
const KINDS = ['volume', 'errors', 'source', 'dormant'] as const;
const source = listOf('/api/anomalies');

export default function Anomalies() {
  const t = useTexts(anomalyTexts);
  const [asked, setAsked] = useState<Deed | null>(null);
  const columns = useColumns();
  const filters = useFilters();
  const actions = useActions(setAsked);
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        name="anomalies"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(one) => one.id}
        actions={actions}
        expanded={(one) => <Evidence of={one} />}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} />}
      />
      <ReasonDialog
        asked={asked}
        onClose={() => {
          setAsked(null);
        }}
      />
    </div>
  );
}

function nameOf(one: Anomaly): string {
  return one.key_label || one.key_id;
}

function useFilters(): readonly Filter[] {
  const t = useTexts(anomalyTexts);
  return [
    {
      kind: 'choice',
      name: 'state',
      label: t.state,
      options: [
        { value: 'open', label: t.open },
        { value: 'acknowledged', label: t.acknowledged },
      ],
    },
    {
      kind: 'choice',
      name: 'kind',
      label: t.kind,
      options: KINDS.map((kind) => ({ value: kind, label: t[kind] })),
    },
    { kind: 'text', name: 'key', label: t.keyId },
  ];
}

function useColumns(): readonly Column<Anomaly>[] {
  const t = useTexts(anomalyTexts);
  const words = useWords();
  return [
    {
      key: 'kind',
      title: t.kind,
      csv: (one) => one.kind,
      render: (one) => <Kind of={one} />,
    },
    {
      key: 'key',
      title: t.key,
      csv: (one) => nameOf(one),
      render: (one) => (
        <span className="cell-two">
          <strong>{nameOf(one)}</strong>
          {one.user_id ? <small>{one.user_id}</small> : null}
        </span>
      ),
    },
    { key: 'evidence', title: t.evidence, csv: words, render: words },
    {
      key: 'state',
      title: t.state,
      csv: (one) => one.state,
      render: (one) => <State of={one} />,
    },
    {
      key: 'started_at',
      title: t.began,
      csv: (one) => one.started_at,
      render: (one) => <Time at={one.started_at} />,
    },
    {
      key: 'last_at',
      title: t.last,
      isHiddenOnPhone: true,
      csv: (one) => one.last_at,
      render: (one) => <Time at={one.last_at} />,
    },
  ];
}

function Kind({ of: one }: { readonly of: Anomaly }) {
  const t = useTexts(anomalyTexts);
  const kind = KINDS.find((known) => known === one.kind);
  return <strong>{kind ? t[kind] : one.kind}</strong>;
}

function State({ of: one }: { readonly of: Anomaly }) {
  const t = useTexts(anomalyTexts);
  if (one.throttled_until !== null) return <Status tone="bad">{t.throttled}</Status>;
  if (one.state === 'open') return <Status tone="warn">{t.open}</Status>;
  return <Status tone="plain">{t.acknowledged}</Status>;
}

function useActions(onAsk: (deed: Deed) => void): (one: Anomaly) => readonly RowAction[] {
  const t = useTexts(anomalyTexts);
  const navigate = useNavigate();
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const acknowledge = (one: Anomaly): void => {
    onAsk({
      title: t.askAcknowledge(nameOf(one)),
      note: t.liftNote,
      deed: t.acknowledge,
      act: (note) =>
        api.post('/api/anomalies/{anomaly_id}/acknowledge', {
          path: { anomaly_id: one.id },
          body: { note, lift_throttle: true },
        }),
      onDone: () => refresh('/api/anomalies'),
    });
  };
  return (one) => {
    const usage = {
      key: 'usage',
      label: t.usage,
      onPick: () => void navigate(pageUrl('usage', { token: one.key_id })),
    };
    const isSettled = one.state === 'acknowledged' && one.throttled_until === null;
    if (!mayChange || isSettled) return [usage];
    return [
      usage,
      {
        key: 'acknowledge',
        label: t.acknowledge,
        onPick: () => {
          acknowledge(one);
        },
      },
    ];
  };
}
