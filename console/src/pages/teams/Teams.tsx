// Teams: list, create, rename, delete; who is in them.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Form, Input } from 'antd';
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
import { FormDialog } from '../../ui/FormDialog';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { SubjectLimits } from '../../ui/SubjectLimits';
import { Time } from '../../ui/Time';
import { Members } from './Members';
import { teamTexts } from './texts';

export type Team = Schemas['Team'];
const source = listOf('/api/teams');

export default function Teams() {
  const t = useTexts(teamTexts);
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const [edited, setEdited] = useState<Team | 'new' | null>(null);
  const [limited, setLimited] = useState<Team | null>(null);
  const [opened, setOpened] = useState<Team | null>(null);
  const again = (): Promise<void> => refresh('/api/teams');
  const actions = useActions(again, setEdited, setOpened, setLimited);
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
        name="teams"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(team) => team.id}
        rowName={(team) => team.name}
        actions={actions}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <SubjectLimits
        path="/api/teams/{id}/limits"
        id={limited?.id ?? null}
        name={limited?.name ?? ''}
        onClose={() => {
          setLimited(null);
        }}
      />
      <TeamForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={again}
      />
      <Members
        team={opened}
        onClose={() => {
          setOpened(null);
        }}
        onChanged={again}
      />
    </div>
  );
}

function useColumns(): readonly Column<Team>[] {
  const t = useTexts(teamTexts);
  return [
    {
      key: 'name',
      title: t.name,
      csv: (team) => team.name,
      render: (team) => <strong>{team.name}</strong>,
    },
    { key: 'id', title: t.id, csv: (team) => team.id, render: (team) => <code>{team.id}</code> },
    {
      key: 'members',
      title: t.members,
      isNumber: true,
      csv: (team) => team.members,
      render: (team) => <span className="number">{team.members}</span>,
    },
    {
      key: 'created_at',
      title: t.created,
      isHiddenOnPhone: true,
      csv: (team) => team.created_at,
      render: (team) => <Time at={team.created_at} />,
    },
  ];
}

function useActions(
  again: () => Promise<void>,
  onEdit: (team: Team) => void,
  onOpen: (team: Team) => void,
  onLimits: (team: Team) => void,
): (team: Team) => readonly RowAction[] {
  const t = useTexts(teamTexts);
  const navigate = useNavigate();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const remove = async (team: Team): Promise<void> => {
    const isDone = await confirm({ title: t.askRemove(team.name), deed: t.remove }, () =>
      api.delete('/api/teams/{id}', { path: { id: team.id } }),
    );
    if (!isDone) return;
    message.success(t.removed);
    await again();
  };
  return (team) => {
    const seen: readonly RowAction[] = [
      {
        key: 'members',
        label: t.members,
        onPick: () => {
          onOpen(team);
        },
      },
      {
        key: 'limits',
        label: t.limits,
        onPick: () => {
          onLimits(team);
        },
      },
      {
        key: 'usage',
        label: t.usage,
        onPick: () => void navigate(pageUrl('usage', { team: team.id })),
      },
    ];
    if (!mayChange) return seen;
    return [
      ...seen,
      {
        key: 'rename',
        label: t.rename,
        onPick: () => {
          onEdit(team);
        },
      },
      { key: 'remove', label: t.remove, isDanger: true, onPick: () => void remove(team) },
    ];
  };
}

interface FormProps {
  readonly edited: Team | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

function TeamForm({ edited, onClose, onSaved }: FormProps) {
  const t = useTexts(teamTexts);
  const team = edited === 'new' ? null : edited;
  return (
    <FormDialog<{ name: string; id: string }>
      title={team ? t.rename : t.create}
      isOpen={edited !== null}
      initial={{ name: team?.name ?? '', id: '' }}
      submitText={team ? undefined : t.create}
      onClose={onClose}
      onSubmit={async ({ name, id }) => {
        const result = team
          ? await api.patch('/api/teams/{id}', { path: { id: team.id }, body: { name } })
          : await api.post('/api/teams', { body: id ? { name, id } : { name } });
        if (result.ok) await onSaved();
        return result;
      }}
    >
      <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
        <Input maxLength={200} autoFocus />
      </Form.Item>
      {team ? null : (
        <Form.Item name="id" label={t.id} extra={t.idHint}>
          <Input maxLength={128} />
        </Form.Item>
      )}
    </FormDialog>
  );
}
