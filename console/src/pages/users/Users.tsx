// Users: list, create, change role or password, deactivate.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import type { Filter } from '../../ui/TableFilters';
import { SubjectLimits } from '../../ui/SubjectLimits';
import { Time } from '../../ui/Time';
import { userTexts } from './texts';
import { ROLES, roleOf, UserForm } from './UserForm';

export type User = Schemas['User'];
const source = listOf('/api/users');

export default function Users() {
  const t = useTexts(userTexts);
  const refresh = useRefresh();
  const mayCreate = useMay('operate');
  const [edited, setEdited] = useState<User | 'new' | null>(null);
  const [limited, setLimited] = useState<User | null>(null);
  const again = (): Promise<void> => refresh('/api/users');
  const actions = useActions(again, setEdited, setLimited);
  const columns = useColumns();
  const filters = useFilters();
  const create = mayCreate ? (
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
        name="users"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(user) => user.id}
        rowName={(user) => user.name || user.id}
        actions={actions}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <SubjectLimits
        path="/api/users/{id}/limits"
        id={limited?.id ?? null}
        name={limited?.name || (limited?.id ?? '')}
        onClose={() => {
          setLimited(null);
        }}
      />
      <UserForm
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
  const t = useTexts(userTexts);
  return [
    { kind: 'text', name: 'q', label: t.search },
    {
      kind: 'choice',
      name: 'role',
      label: t.role,
      options: ROLES.map((role) => ({ value: role, label: t[role] })),
    },
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

function useColumns(): readonly Column<User>[] {
  const t = useTexts(userTexts);
  return [
    {
      key: 'name',
      title: t.name,
      csv: (user) => user.name,
      render: (user) => (
        <span className="cell-two">
          <strong>{user.name || user.id}</strong>
          <small>{user.email ?? user.id}</small>
        </span>
      ),
    },
    {
      key: 'id',
      title: t.id,
      isHiddenOnPhone: true,
      csv: (user) => user.id,
      render: (user) => <code>{user.id}</code>,
    },
    {
      key: 'role',
      title: t.role,
      csv: (user) => user.role,
      render: (user) => t[roleOf(user)],
    },
    {
      key: 'balance',
      title: t.balance,
      isNumber: true,
      csv: (user) => plainPoints(user.balance_micros),
      render: (user) => <Points micros={user.balance_micros} />,
    },
    {
      key: 'sign_in',
      title: t.signIn,
      isHiddenOnPhone: true,
      render: (user) => <SignsIn user={user} />,
    },
    {
      key: 'state',
      title: t.state,
      csv: (user) => (user.is_active ? 'active' : 'inactive'),
      render: (user) =>
        user.is_active ? (
          <Status tone="good">{t.active}</Status>
        ) : (
          <Status tone="plain">{t.inactive}</Status>
        ),
    },
    {
      key: 'created_at',
      title: t.created,
      isHiddenOnPhone: true,
      csv: (user) => user.created_at,
      render: (user) => <Time at={user.created_at} />,
    },
  ];
}

function SignsIn({ user }: { readonly user: User }) {
  const t = useTexts(userTexts);
  const ways = [user.has_password ? t.byPassword : '', user.has_oidc ? t.byOidc : ''];
  const said = ways.filter((way) => way !== '').join(', ');
  return said ? <span>{said}</span> : <span className="muted">{t.byNothing}</span>;
}

function useActions(
  again: () => Promise<void>,
  onEdit: (user: User) => void,
  onLimits: (user: User) => void,
): (user: User) => readonly RowAction[] {
  const t = useTexts(userTexts);
  const navigate = useNavigate();
  const confirm = useConfirm();
  const mayOperate = useMay('operate');
  const mayAdminister = useMay('administer');
  /** An operator's reach are members. */
  const mayChange = (user: User): boolean =>
    mayAdminister || (mayOperate && user.role === 'member');
  const { message } = App.useApp();
  const set = (user: User, is_active: boolean) =>
    api.patch('/api/users/{id}', { path: { id: user.id }, body: { is_active } });
  const toggle = async (user: User): Promise<void> => {
    if (user.is_active) {
      const title = t.askDeactivate(user.name || user.id);
      const question = { title, deed: t.deactivate, canUndo: true };
      if (!(await confirm(question, () => set(user, false)))) return;
    } else {
      const result = await set(user, true);
      if (!result.ok) {
        message.error(result.error.message);
        return;
      }
    }
    message.success(t.saved);
    await again();
  };
  return (user) => {
    const seen: readonly RowAction[] = [
      {
        key: 'wallet',
        label: t.wallet,
        onPick: () => void navigate(pageUrl('wallets', { user: user.id })),
      },
      {
        key: 'limits',
        label: t.limits,
        onPick: () => {
          onLimits(user);
        },
      },
    ];
    if (!mayChange(user)) return seen;
    return [
      ...seen,
      {
        key: 'edit',
        label: t.edit,
        onPick: () => {
          onEdit(user);
        },
      },
      {
        key: 'toggle',
        label: user.is_active ? t.deactivate : t.activate,
        isDanger: user.is_active,
        onPick: () => void toggle(user),
      },
    ];
  };
}
