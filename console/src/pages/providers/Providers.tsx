// Providers: where requests go, in which order, with which models.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { api } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import { type Provider, ProviderForm } from './ProviderForm';
import { providerTexts } from './texts';

const source = listOf('/api/providers');

export default function Providers() {
  const t = useTexts(providerTexts);
  const refresh = useRefresh();
  const [search] = useSearchParams();
  const mayAdd = useMay('administer');
  const [edited, setEdited] = useState<Provider | 'new' | null>(
    mayAdd && search.has('add') ? 'new' : null,
  );
  const again = (): Promise<void> => refresh('/api/providers');
  const actions = useActions(again, setEdited);
  const columns = useColumns();
  const add = mayAdd ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setEdited('new');
      }}
    >
      {t.add}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={add} />
      <DataTable
        name="providers"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(provider) => provider.name}
        actions={actions}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={add} />}
      />
      <ProviderForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={() => void again()}
      />
    </div>
  );
}

function useColumns(): readonly Column<Provider>[] {
  const t = useTexts(providerTexts);
  return [
    {
      key: 'name',
      title: t.name,
      csv: (one) => one.name,
      render: (one) => (
        <span className="cell-two">
          <strong>{one.name}</strong>
          {one.is_from_settings ? <small title={t.fromSettingsHint}>{t.fromSettings}</small> : null}
        </span>
      ),
    },
    {
      key: 'base_url',
      title: t.baseUrl,
      csv: (one) => one.base_url,
      render: (one) => <code>{one.base_url}</code>,
    },
    {
      key: 'state',
      title: t.state,
      csv: (one) => (one.is_active ? 'active' : 'inactive'),
      render: (one) => <State of={one} />,
    },
    {
      key: 'protocol',
      title: t.protocol,
      isHiddenOnPhone: true,
      csv: (one) => one.protocol,
      render: (one) => (one.protocol === 'anthropic' ? 'Anthropic' : 'OpenAI'),
    },
    {
      key: 'models',
      title: t.models,
      isHiddenOnPhone: true,
      csv: (one) => one.models?.join(' '),
      render: (one) => one.models?.join(', ') ?? <span className="muted">{t.everyModel}</span>,
    },
    {
      key: 'priority',
      title: t.priority,
      isNumber: true,
      csv: (one) => one.priority,
      render: (one) => one.priority,
    },
    {
      key: 'weight',
      title: t.weight,
      isNumber: true,
      csv: (one) => one.weight,
      render: (one) => one.weight,
    },
  ];
}

function State({ of: provider }: { readonly of: Provider }) {
  const t = useTexts(providerTexts);
  if (!provider.is_active) return <Status tone="plain">{t.inactive}</Status>;
  if (!provider.has_secret && !provider.credentials)
    return <Status tone="warn">{t.noSecret}</Status>;
  return <Status tone="good">{t.active}</Status>;
}

function useActions(
  again: () => Promise<void>,
  onEdit: (provider: Provider) => void,
): (provider: Provider) => readonly RowAction[] {
  const t = useTexts(providerTexts);
  const confirm = useConfirm();
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const mayChange = useMay('operate');
  const mayRemove = useMay('administer');
  const set = (name: string, is_active: boolean) =>
    api.patch('/api/providers/{name}', { path: { name }, body: { is_active } });
  const toggle = async ({ name, is_active }: Provider): Promise<void> => {
    if (is_active) {
      const question = { title: t.askDeactivate(name), deed: t.deactivate, canUndo: true };
      await confirm(question, () => set(name, false));
    } else {
      const result = await set(name, true);
      if (!result.ok) message.error(wordsOf(result.error));
    }
    await again();
  };
  const remove = async ({ name }: Provider): Promise<void> => {
    const question = { title: t.askRemove(name), deed: t.remove, typed: name };
    await confirm(question, () => api.delete('/api/providers/{name}', { path: { name } }));
    await again();
  };
  return (provider) => {
    if (!mayChange || provider.is_from_settings) return [];
    const change: RowAction[] = [
      {
        key: 'edit',
        label: t.edit,
        onPick: () => {
          onEdit(provider);
        },
      },
      {
        key: 'toggle',
        label: provider.is_active ? t.deactivate : t.activate,
        onPick: () => void toggle(provider),
      },
    ];
    const removal = {
      key: 'remove',
      label: t.remove,
      isDanger: true,
      onPick: () => void remove(provider),
    };
    return mayRemove ? [...change, removal] : change;
  };
}
