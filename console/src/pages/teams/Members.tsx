// Who is in a team: a drawer over the list.

import { App, Button, Drawer, Form, Input } from 'antd';
import { api } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import { ErrorBanner } from '../../ui/ErrorBanner';
import type { Team } from './Teams';
import { teamTexts } from './texts';

const MOST = 200;

interface Props {
  readonly team: Team | null;
  readonly onClose: () => void;
  readonly onChanged: () => Promise<void>;
}

export function Members({ team, onClose, onChanged }: Props) {
  const t = useTexts(teamTexts);
  return (
    <Drawer
      title={team ? t.membersOf(team.name) : ''}
      open={team !== null}
      onClose={onClose}
      destroyOnHidden
      size="default"
    >
      {team ? <MemberList team={team} onChanged={onChanged} /> : null}
    </Drawer>
  );
}

function MemberList({
  team,
  onChanged,
}: {
  readonly team: Team;
  readonly onChanged: () => Promise<void>;
}) {
  const t = useTexts(teamTexts);
  const mayChange = useMay('operate');
  const refresh = useRefresh();
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const [form] = Form.useForm<{ user_id: string }>();
  const path = { id: team.id };
  const list = useRead('/api/teams/{id}/members', { path, query: { limit: MOST } });
  const again = async (): Promise<void> => {
    await refresh('/api/teams/{id}/members');
    await onChanged();
  };
  const add = async (user_id: string): Promise<void> => {
    const result = await api.post('/api/teams/{id}/members', { path, body: { user_id } });
    if (result.ok) {
      form.resetFields();
      message.success(t.added);
      await again();
    } else {
      form.setFields([{ name: 'user_id', errors: [wordsOf(result.error)] }]);
    }
  };
  const takeOut = async (user_id: string): Promise<void> => {
    const result = await api.delete('/api/teams/{id}/members/{user_id}', {
      path: { ...path, user_id },
    });
    if (!result.ok) message.error(wordsOf(result.error));
    await again();
  };
  const members = list.data?.items ?? [];
  return (
    <>
      {list.error ? (
        <ErrorBanner error={errorOf(list.error)} onRetry={() => void list.refetch()} />
      ) : null}
      {mayChange ? (
        <Form
          form={form}
          layout="vertical"
          onFinish={({ user_id }) => {
            void add(user_id);
          }}
        >
          <Form.Item name="user_id" label={t.user} rules={[{ required: true }]}>
            <Input.Search maxLength={256} enterButton={t.add} onSearch={form.submit} />
          </Form.Item>
        </Form>
      ) : null}
      {list.data && members.length === 0 ? <p className="muted">{t.noMembers}</p> : null}
      <ul className="plain-list">
        {members.map((member) => (
          <li key={member.user_id}>
            <span className="cell-two">
              <strong>{member.name || member.user_id}</strong>
              <small>{member.email ?? member.user_id}</small>
            </span>
            {mayChange ? (
              <Button size="small" onClick={() => void takeOut(member.user_id)}>
                {t.takeOut}
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
    </>
  );
}
