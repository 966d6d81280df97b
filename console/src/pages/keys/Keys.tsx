// Keys: list, create, edit, deactivate, rotate, delete. The page that shows others how one is made.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import type { Result } from '../../api/errors';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
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
import { KeyForm } from './KeyForm';
import { KeyShown } from './KeyShown';
import { keyTexts } from './texts';

export type ApiKey = Schemas['ApiKey'];
const source = listOf('/api/keys');

export default function Keys() {
  const t = useTexts(keyTexts);
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const [edited, setEdited] = useState<ApiKey | 'new' | null>(null);
  const [made, setMade] = useState<ApiKey | null>(null);
  const again = (): Promise<void> => refresh('/api/keys');
  const actions = useActions(again, setEdited, setMade);
  const bulk = useBulk(again);
  const filters = useFilters();
  const columns = useColumns();
  const create = mayChange ? (
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
      <DataTable
        name="keys"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(key) => key.id}
        rowName={(key) => nameOf(key)}
        actions={actions}
        {...(mayChange ? { bulk } : {})}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <KeyForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={(key) => {
          if (key.secret) setMade(key);
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

function nameOf(key: ApiKey): string {
  return key.label || key.masked;
}

function isExpired(key: ApiKey): boolean {
  return key.expires_at !== null && new Date(key.expires_at) <= new Date();
}

function useColumns(): readonly Column<ApiKey>[] {
  const t = useTexts(keyTexts);
  return [
    {
      key: 'label',
      title: t.label,
      sort: 'label',
      csv: (key) => key.label,
      render: (key) => (
        <span className="cell-two">
          <strong>{nameOf(key)}</strong>
          {key.user_id ? <small>{key.user_id}</small> : null}
        </span>
      ),
    },
    {
      key: 'key',
      title: t.key,
      isHiddenOnPhone: true,
      csv: (key) => key.masked,
      render: (key) => <code>{key.masked}</code>,
    },
    {
      key: 'state',
      title: t.state,
      csv: (key) => (key.is_active ? 'active' : 'inactive'),
      render: (key) => <State of={key} />,
    },
    {
      key: 'daily_limit',
      title: t.daily,
      isNumber: true,
      csv: (key) => key.daily_limit,
      render: (key) => <span className="number">{key.daily_limit ?? t.unlimited}</span>,
    },
    {
      key: 'models',
      title: t.models,
      isHiddenOnPhone: true,
      csv: (key) => key.models?.join(' '),
      render: (key) => (
        <span className="cell-two">
          {key.models?.join(', ') ?? <span className="muted">{t.everyModel}</span>}
          {key.scopes.length > 0 ? <small title={t.scopes}>{key.scopes.join(', ')}</small> : null}
        </span>
      ),
    },
    {
      key: 'last_used',
      title: t.lastUsed,
      sort: 'last_used',
      csv: (key) => key.last_used,
      render: (key) => <Time at={key.last_used} />,
    },
    {
      key: 'created_at',
      title: t.created,
      sort: 'created_at',
      isHiddenOnPhone: true,
      csv: (key) => key.created_at,
      render: (key) => <Time at={key.created_at} />,
    },
    {
      key: 'expires_at',
      title: t.expires,
      sort: 'expires_at',
      isHiddenOnPhone: true,
      csv: (key) => key.expires_at,
      render: (key) => <Time at={key.expires_at} otherwise={t.expiresNever} />,
    },
  ];
}

function State({ of: key }: { readonly of: ApiKey }) {
  const t = useTexts(keyTexts);
  if (!key.is_active) return <Status tone="plain">{t.inactive}</Status>;
  if (isExpired(key)) return <Status tone="warn">{t.expired}</Status>;
  return <Status tone="good">{t.active}</Status>;
}

function useFilters(): readonly Filter[] {
  const t = useTexts(keyTexts);
  return [
    { kind: 'text', name: 'q', label: t.search },
    {
      kind: 'choice',
      name: 'is_active',
      label: t.state,
      options: [
        { value: 'true', label: t.active },
        { value: 'false', label: t.inactive },
      ],
    },
  ];
}

function useActions(
  again: () => Promise<void>,
  onEdit: (key: ApiKey) => void,
  onMade: (key: ApiKey) => void,
): (key: ApiKey) => readonly RowAction[] {
  const t = useTexts(keyTexts);
  const navigate = useNavigate();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const patch = (key: ApiKey, is_active: boolean): Promise<Result<ApiKey>> =>
    api.patch('/api/keys/{key}', { path: { key: key.id }, body: { is_active } });
  const after = async (isDone: boolean, said: string): Promise<void> => {
    if (!isDone) return;
    message.success(said);
    await again();
  };
  const toggle = async (key: ApiKey): Promise<void> => {
    if (key.is_active) {
      const question = { title: t.askDeactivate(nameOf(key)), deed: t.deactivate, canUndo: true };
      await after(await confirm(question, () => patch(key, false)), t.saved);
    } else {
      const result = await patch(key, true);
      if (!result.ok) message.error(wordsOf(result.error));
      await after(result.ok, t.saved);
    }
  };
  const rotate = (key: ApiKey): Promise<boolean> =>
    confirm({ title: t.askRotate(nameOf(key)), deed: t.rotate }, async () => {
      const result = await api.post('/api/keys/{key}/rotate', { path: { key: key.id }, body: {} });
      if (result.ok) onMade(result.value);
      return result;
    });
  const remove = (key: ApiKey): Promise<boolean> =>
    confirm({ title: t.askRemove(nameOf(key)), deed: t.remove }, () =>
      api.delete('/api/keys/{key}', { path: { key: key.id } }),
    );
  return (key) => {
    const usage = {
      key: 'usage',
      label: t.usage,
      onPick: () => void navigate(pageUrl('usage', { token: key.id })),
    };
    if (!mayChange) return [usage];
    return [
      usage,
      {
        key: 'edit',
        label: t.edit,
        onPick: () => {
          onEdit(key);
        },
      },
      {
        key: 'toggle',
        label: key.is_active ? t.deactivate : t.activate,
        onPick: () => void toggle(key),
      },
      { key: 'rotate', label: t.rotate, onPick: () => void rotate(key).then(again) },
      {
        key: 'remove',
        label: t.remove,
        isDanger: true,
        onPick: () => void remove(key).then((isDone) => after(isDone, t.removed)),
      },
    ];
  };
}

function useBulk(onDone: () => Promise<void>): readonly BulkAction<ApiKey>[] {
  const t = useTexts(keyTexts);
  const set = (is_active: boolean) => (key: ApiKey) =>
    api.patch('/api/keys/{key}', { path: { key: key.id }, body: { is_active } });
  return [
    {
      key: 'on',
      label: t.activate,
      question: (keys) => t.askActivateMany(keys.length),
      canUndo: true,
      act: set(true),
      onDone,
    },
    {
      key: 'off',
      label: t.deactivate,
      question: (keys) => t.askDeactivateMany(keys.length),
      canUndo: true,
      act: set(false),
      onDone,
    },
    {
      key: 'remove',
      label: t.remove,
      isDanger: true,
      question: (keys) => t.askRemoveMany(keys.length),
      act: (key) => api.delete('/api/keys/{key}', { path: { key: key.id } }),
      onDone,
    },
  ];
}
