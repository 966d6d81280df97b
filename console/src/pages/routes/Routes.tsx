// Routes: list, add, edit, deactivate, delete. Only an admin says where requests are sent.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { LimitWords } from '../../ui/LimitFields';
import { rowOf } from '../../ui/limits';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { RouteForm } from './RouteForm';
import { routeTexts } from './texts';

export type Route = Schemas['Route'];
const source = listOf('/api/routes');

export default function Routes() {
  const t = useTexts(routeTexts);
  const refresh = useRefresh();
  const mayChange = useMay('administer');
  const { message } = App.useApp();
  const [edited, setEdited] = useState<Route | 'new' | null>(null);
  const again = (): Promise<void> => refresh('/api/routes');
  const actions = useActions(again, setEdited);
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
        name="routes"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(route) => route.id}
        rowName={(route) => `${route.host ?? ''}${route.path}`}
        actions={actions}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <RouteForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={async () => {
          message.success(t.saved);
          await again();
        }}
      />
    </div>
  );
}

function nameOf(route: Route): string {
  return (route.host ?? '') + route.path;
}

function useColumns(): readonly Column<Route>[] {
  const t = useTexts(routeTexts);
  return [
    {
      key: 'path',
      title: t.path,
      csv: nameOf,
      render: (route) => (
        <span className="cell-two">
          <strong>{route.path}</strong>
          <small>{route.host ?? t.anyHost}</small>
        </span>
      ),
    },
    {
      key: 'backend_url',
      title: t.backend,
      csv: (route) => route.backend_url,
      render: (route) => <code>{route.backend_url}</code>,
    },
    {
      key: 'scope',
      title: t.scope,
      csv: (route) => route.scope,
      render: (route) => route.scope ?? <span className="muted">{t.anyToken}</span>,
    },
    {
      key: 'methods',
      title: t.methods,
      isHiddenOnPhone: true,
      csv: (route) => route.methods?.join(' '),
      render: (route) => route.methods?.join(', ') ?? <span className="muted">{t.allMethods}</span>,
    },
    {
      key: 'limits',
      title: t.limits,
      isHiddenOnPhone: true,
      render: (route) => <LimitWords of={route.limits.map(rowOf)} withPer />,
    },
    {
      key: 'state',
      title: t.state,
      csv: (route) => (route.is_active ? 'active' : 'inactive'),
      render: (route) => (
        <Status tone={route.is_active ? 'good' : 'plain'}>
          {route.is_active ? t.active : t.inactive}
        </Status>
      ),
    },
    {
      key: 'created_at',
      title: t.created,
      isHiddenOnPhone: true,
      csv: (route) => route.created_at,
      render: (route) => <Time at={route.created_at} />,
    },
  ];
}

function useActions(
  again: () => Promise<void>,
  onEdit: (route: Route) => void,
): (route: Route) => readonly RowAction[] {
  const t = useTexts(routeTexts);
  const navigate = useNavigate();
  const confirm = useConfirm();
  const mayChange = useMay('administer');
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const patch = (route: Route, is_active: boolean) =>
    api.patch('/api/routes/{id}', { path: { id: route.id }, body: { is_active } });
  const after = async (isDone: boolean, said: string): Promise<void> => {
    if (!isDone) return;
    message.success(said);
    await again();
  };
  const toggle = async (route: Route): Promise<void> => {
    if (route.is_active) {
      const question = { title: t.askDeactivate(nameOf(route)), deed: t.deactivate, canUndo: true };
      await after(await confirm(question, () => patch(route, false)), t.saved);
      return;
    }
    const result = await patch(route, true);
    if (!result.ok) message.error(wordsOf(result.error));
    await after(result.ok, t.saved);
  };
  const remove = async (route: Route): Promise<void> => {
    const title = t.askDelete(nameOf(route));
    const question = { title, body: <p>{t.askDeleteHint}</p>, deed: t.delete };
    const act = () => api.delete('/api/routes/{id}', { path: { id: route.id } });
    await after(await confirm(question, act), t.deleted);
  };
  return (route) => {
    const pick = (key: string, label: string, onPick: () => void): RowAction => ({
      key,
      label,
      onPick,
    });
    const toUsage = (): void => void navigate(pageUrl('usage', { route: route.path }));
    const usage = pick('usage', t.usage, toUsage);
    if (!mayChange) return [usage];
    const toggled = route.is_active ? t.deactivate : t.activate;
    return [
      usage,
      pick('edit', t.edit, () => {
        onEdit(route);
      }),
      pick('toggle', toggled, () => void toggle(route)),
      { ...pick('delete', t.delete, () => void remove(route)), isDanger: true },
    ];
  };
}
