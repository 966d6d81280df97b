// Upstream credentials: what is known of each, and what the keeper shall do about it.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import type { Result } from '../../api/errors';
import { listOf, useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { CredentialForm } from './CredentialForm';
import { Figures } from './Figures';
import { Runs } from './Runs';
import { credentialTexts } from './texts';

type Credential = Schemas['Credential'];
const source = listOf('/api/credentials');
const EVERY_MS = 10_000;
const STATES = {
  fresh: 'plain',
  due: 'accent',
  checking: 'accent',
  valid: 'good',
  suspect: 'warn',
  quarantined: 'bad',
  deleted: 'plain',
} as const;
const STATE_NAMES = Object.keys(STATES) as (keyof typeof STATES)[]; // its own keys

export default function Credentials() {
  const t = useTexts(credentialTexts);
  const refresh = useRefresh();
  const mayAdd = useMay('administer');
  const [edited, setEdited] = useState<Credential | 'new' | null>(null);
  const again = (): Promise<void> => refresh('/api/credentials');
  const columns = useColumns();
  const filters = useFilters();
  const actions = useActions(again, setEdited);
  const bulk = useBulk(again);
  const create = mayAdd ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setEdited('new');
      }}
    >
      {t.create}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={create} />
      <Figures />
      <Runs />
      <DataTable
        name="credentials"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(credential) => credential.id}
        rowName={(credential) => credential.name}
        actions={actions}
        everyMs={EVERY_MS}
        {...(bulk.length > 0 ? { bulk } : {})}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <CredentialForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={again}
      />
    </div>
  );
}

function useFilters(): readonly Filter[] {
  const t = useTexts(credentialTexts);
  const kinds = useRead('/api/credentials/kinds');
  return [
    {
      kind: 'choice',
      name: 'state',
      label: t.state,
      options: STATE_NAMES.map((state) => ({ value: state, label: t[state] })),
    },
    {
      kind: 'choice',
      name: 'kind',
      label: t.kind,
      options: (kinds.data ?? []).map((kind) => ({ value: kind.name, label: kind.name })),
    },
  ];
}

function useColumns(): readonly Column<Credential>[] {
  const t = useTexts(credentialTexts);
  return [
    {
      key: 'name',
      title: t.name,
      csv: (one) => one.name,
      render: (one) => (
        <span className="cell-two">
          <strong>{one.name}</strong>
          <small>{one.user}</small>
        </span>
      ),
    },
    { key: 'kind', title: t.kind, csv: (one) => one.kind, render: (one) => one.kind },
    {
      key: 'pool',
      title: t.pool,
      isHiddenOnPhone: true,
      csv: (one) => one.pool,
      render: (one) => one.pool,
    },
    { key: 'state', title: t.state, csv: (one) => one.state, render: (one) => <State of={one} /> },
    {
      key: 'last_used',
      title: t.used,
      isHiddenOnPhone: true,
      csv: (one) => one.last_used,
      render: (one) => <Time at={one.last_used} />,
    },
    {
      key: 'last_checked',
      title: t.checked,
      csv: (one) => one.last_checked,
      render: (one) => <Time at={one.last_checked} />,
    },
    {
      key: 'expires_at',
      title: t.expires,
      isHiddenOnPhone: true,
      csv: (one) => one.expires_at,
      render: (one) => <Time at={one.expires_at} otherwise={t.unknown} />,
    },
  ];
}

function State({ of: credential }: { readonly of: Credential }) {
  const t = useTexts(credentialTexts);
  const known = STATE_NAMES.find((one) => one === credential.state);
  const notes = [credential.reason, credential.failures ? t.failures(credential.failures) : ''];
  const note = notes.filter(Boolean).join(' · ');
  return (
    <span className="cell-two">
      <span>{known ? <Status tone={STATES[known]}>{t[known]}</Status> : credential.state}</span>
      {note ? <small className="note-under">{note}</small> : null}
    </span>
  );
}

const deeds = {
  check: ({ id }: Credential) => api.post('/api/credentials/{id}/check', { path: { id } }),
  restore: ({ id }: Credential) => api.post('/api/credentials/{id}/restore', { path: { id } }),
  remove: ({ id }: Credential) => api.delete('/api/credentials/{id}', { path: { id } }),
};

function useActions(
  again: () => Promise<void>,
  onEdit: (credential: Credential) => void,
): (credential: Credential) => readonly RowAction[] {
  const t = useTexts(credentialTexts);
  const confirm = useConfirm();
  const mayOperate = useMay('operate');
  const mayChange = useMay('administer');
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const after = async (result: Result<unknown> | boolean, said: string): Promise<void> => {
    if (result === false) return;
    if (result !== true && !result.ok) message.error(wordsOf(result.error));
    else message.success(said);
    await again();
  };
  const restore = async (one: Credential): Promise<void> => {
    const question = { title: t.askRestore(one.name), deed: t.restore, canUndo: true };
    await after(await confirm(question, () => deeds.restore(one)), t.saved);
  };
  const remove = async (one: Credential): Promise<void> => {
    const question = { title: t.askRemove(one.name), deed: t.remove };
    await after(await confirm(question, () => deeds.remove(one)), t.removed);
  };
  return (one) => {
    if (one.state === 'deleted') return [];
    const check: RowAction = {
      key: 'check',
      label: t.check,
      onPick: () => void deeds.check(one).then((result) => after(result, t.checkAsked)),
    };
    const back: RowAction = { key: 'restore', label: t.restore, onPick: () => void restore(one) };
    const own: readonly RowAction[] = [
      {
        key: 'edit',
        label: t.edit,
        onPick: () => {
          onEdit(one);
        },
      },
      { key: 'remove', label: t.remove, isDanger: true, onPick: () => void remove(one) },
    ];
    const operating = one.state === 'quarantined' ? [back] : [check];
    return [...(mayOperate ? operating : []), ...(mayChange ? own : [])];
  };
}

function useBulk(onDone: () => Promise<void>): readonly BulkAction<Credential>[] {
  const t = useTexts(credentialTexts);
  const mayOperate = useMay('operate');
  const mayChange = useMay('administer');
  const check: BulkAction<Credential> = {
    key: 'check',
    label: t.check,
    question: (some) => t.askCheckMany(some.length),
    canUndo: true,
    act: deeds.check,
    onDone,
  };
  const restore: BulkAction<Credential> = {
    key: 'restore',
    label: t.restore,
    question: (some) => t.askRestoreMany(some.length),
    canUndo: true,
    act: deeds.restore,
    onDone,
  };
  const remove: BulkAction<Credential> = {
    key: 'remove',
    label: t.remove,
    isDanger: true,
    question: (some) => t.askRemoveMany(some.length),
    act: deeds.remove,
    onDone,
  };
  return [...(mayOperate ? [check, restore] : []), ...(mayChange ? [remove] : [])];
}
