// One's own keys: create, with the key shown once, give another secret, delete.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { KeyShown } from '../keys/KeyShown';
import { keyTexts } from '../keys/texts';
import { OwnKeyForm } from './OwnKeyForm';
import { ownKeyTexts } from './texts';

type ApiKey = Schemas['ApiKey'];
const source = listOf('/api/user/keys');

export default function OwnKeys() {
  const t = useTexts(ownKeyTexts);
  const said = useTexts(keyTexts);
  const refresh = useRefresh();
  const [isMaking, setIsMaking] = useState(false);
  const [made, setMade] = useState<ApiKey | null>(null);
  const again = (): Promise<void> => refresh('/api/user/keys');
  const columns = useColumns();
  const actions = useActions(again, setMade);
  const bulk: readonly BulkAction<ApiKey>[] = [
    {
      key: 'remove',
      label: said.remove,
      isDanger: true,
      question: (keys) => t.askRemoveMany(keys.length),
      act: (key) => api.delete('/api/user/keys/{key}', { path: { key: key.id } }),
      onDone: again,
    },
  ];
  const create = (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setIsMaking(true);
      }}
    >
      {said.create}
    </Button>
  );
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={create} />
      <DataTable
        name="my-keys"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(key) => key.id}
        rowName={(key) => key.label || key.masked}
        actions={actions}
        bulk={bulk}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <OwnKeyForm
        isOpen={isMaking}
        onClose={() => {
          setIsMaking(false);
        }}
        onMade={(key) => {
          setMade(key);
          void again();
        }}
      />
      <KeyShown
        made={made}
        onClose={() => {
          setMade(null);
        }}
      />
    </div>
  );
}

function useActions(
  again: () => Promise<void>,
  onMade: (key: ApiKey) => void,
): (key: ApiKey) => readonly RowAction[] {
  const t = useTexts(keyTexts);
  const confirm = useConfirm();
  const { message } = App.useApp();
  const rotate = async (key: ApiKey): Promise<void> => {
    const question = { title: t.askRotate(key.label || key.masked), deed: t.rotate };
    await confirm(question, async () => {
      const path = { key: key.id };
      const result = await api.post('/api/user/keys/{key}/rotate', { path, body: {} });
      if (result.ok) onMade(result.value);
      return result;
    });
    await again();
  };
  const remove = async (key: ApiKey): Promise<void> => {
    const question = { title: t.askRemove(key.label || key.masked), deed: t.remove };
    const isDone = await confirm(question, () =>
      api.delete('/api/user/keys/{key}', { path: { key: key.id } }),
    );
    if (!isDone) return;
    message.success(t.removed);
    await again();
  };
  return (key) => [
    { key: 'rotate', label: t.rotate, onPick: () => void rotate(key) },
    { key: 'remove', label: t.remove, isDanger: true, onPick: () => void remove(key) },
  ];
}

function useColumns(): readonly Column<ApiKey>[] {
  const t = useTexts(keyTexts);
  return [
    {
      key: 'label',
      title: t.label,
      csv: (key) => key.label,
      render: (key) => <strong>{key.label || key.masked}</strong>,
    },
    {
      key: 'key',
      title: t.key,
      csv: (key) => key.masked,
      render: (key) => <code>{key.masked}</code>,
    },
    {
      key: 'state',
      title: t.state,
      csv: (key) => (key.is_active ? 'active' : 'inactive'),
      render: (key) =>
        key.is_active ? (
          <Status tone="good">{t.active}</Status>
        ) : (
          <Status tone="plain">{t.inactive}</Status>
        ),
    },
    {
      key: 'daily_limit',
      title: t.daily,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (key) => key.daily_limit,
      render: (key) => <span className="number">{key.daily_limit ?? t.unlimited}</span>,
    },
    {
      key: 'last_used',
      title: t.lastUsed,
      csv: (key) => key.last_used,
      render: (key) => <Time at={key.last_used} />,
    },
    {
      key: 'expires_at',
      title: t.expires,
      isHiddenOnPhone: true,
      csv: (key) => key.expires_at,
      render: (key) => <Time at={key.expires_at} otherwise={t.expiresNever} />,
    },
  ];
}
