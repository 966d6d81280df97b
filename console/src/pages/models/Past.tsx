// Every version of a model's price: who set it, when, why, and from when it holds.

import { Modal } from 'antd';
import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { useActorName, useReason } from '../../ui/actors';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { usePriceColumns } from './Price';
import { modelTexts } from './texts';

type Version = Schemas['PastModel'];
const STATES = {
  current: 'good',
  upcoming: 'accent',
  past: 'plain',
  replaced: 'plain',
} as const;

export function Past({
  model,
  onClose,
}: {
  readonly model: string | null;
  readonly onClose: () => void;
}) {
  const t = useTexts(modelTexts);
  return (
    <Modal
      title={model ? t.historyOf(model) : ''}
      open={model !== null}
      width={960}
      okText={t.close}
      cancelButtonProps={{ hidden: true }}
      onOk={onClose}
      onCancel={onClose}
    >
      {model ? <Versions model={model} /> : null}
    </Modal>
  );
}

function Versions({ model }: { readonly model: string }) {
  const t = useTexts(modelTexts);
  const actorName = useActorName();
  const reasonSaid = useReason();
  const prices = usePriceColumns<Version>();
  const source = useMemo(
    () => listOf('/api/models/{model_name}/history', { path: { model_name: model } }),
    [model],
  );
  const first: Column<Version> = {
    key: 'effective_from',
    title: t.from,
    csv: (version) => version.effective_from,
    render: (version) => (
      <span className="cell-two">
        <Time at={version.effective_from} />
        <StateOf version={version} />
      </span>
    ),
  };
  const reason: Column<Version> = {
    key: 'reason',
    title: t.reason,
    csv: (version) => version.reason,
    render: (version) => (
      <span className="cell-two">
        <span>{reasonSaid(version.reason)}</span>
        <small>{actorName(version.admin_id) || version.source}</small>
      </span>
    ),
  };
  return (
    <DataTable
      name={`prices-${model}`}
      label={t.history}
      source={source}
      columns={[first, ...prices, reason]}
      prefix="past_"
      rowKey={(version) => version.version}
      empty={<EmptyState title={t.nothingKept} />}
    />
  );
}

function StateOf({ version }: { readonly version: Version }) {
  const t = useTexts(modelTexts);
  const known = Object.entries(STATES).find(([name]) => name === version.state);
  if (!known) return <small>{version.state}</small>;
  const name = known[0] as keyof typeof STATES; // one of its own keys
  return (
    <span>
      <Status tone={known[1]}>{t[name]}</Status>
    </span>
  );
}
