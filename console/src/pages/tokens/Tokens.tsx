// Tokens: list with their last use, create, edit, deactivate, rotate, revoke.

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
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import { useColumns, useFilters } from './columns';
import { RotateForm } from './RotateForm';
import { tokenTexts } from './texts';
import { TokenForm } from './TokenForm';
import { TokenShown } from './TokenShown';

export type Token = Schemas['Token'];
const source = listOf('/api/tokens');

const patch = (token: Token, is_active: boolean) =>
  api.patch('/api/tokens/{token}', { path: { token: token.id }, body: { is_active } });
const revoke = (token: Token) => api.delete('/api/tokens/{token}', { path: { token: token.id } });

export default function Tokens() {
  const t = useTexts(tokenTexts);
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const [edited, setEdited] = useState<Token | 'new' | null>(null);
  const [rotated, setRotated] = useState<Token | null>(null);
  const [made, setMade] = useState<Token | null>(null);
  const again = (): Promise<void> => refresh('/api/tokens');
  const actions = useActions(again, setEdited, setRotated);
  const bulk = useBulk(again);
  const filters = useFilters();
  const columns = useColumns();
  const saved = (token: Token): void => {
    if (token.token) setMade(token);
    void again();
  };
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
        name="tokens"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(token) => token.id}
        rowName={(token) => token.name || token.masked}
        actions={actions}
        {...(mayChange ? { bulk } : {})}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <TokenForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={saved}
      />
      <RotateForm
        rotated={rotated}
        onClose={() => {
          setRotated(null);
        }}
        onMade={saved}
      />
      <TokenShown
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
  onEdit: (token: Token) => void,
  onRotate: (token: Token) => void,
): (token: Token) => readonly RowAction[] {
  const t = useTexts(tokenTexts);
  const navigate = useNavigate();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const after = async (isDone: boolean, said: string): Promise<void> => {
    if (!isDone) return;
    message.success(said);
    await again();
  };
  const toggle = async (token: Token): Promise<void> => {
    if (token.is_active) {
      const question = { title: t.askDeactivate(token.name), deed: t.deactivate, canUndo: true };
      await after(await confirm(question, () => patch(token, false)), t.saved);
      return;
    }
    const result = await patch(token, true);
    if (!result.ok) message.error(wordsOf(result.error));
    await after(result.ok, t.saved);
  };
  const remove = async (token: Token): Promise<void> => {
    const question = { title: t.askRevoke(token.name), deed: t.revoke };
    await after(await confirm(question, () => revoke(token)), t.revoked);
  };
  return (token) => {
    const pick = (key: string, label: string, onPick: () => void): RowAction => ({
      key,
      label,
      onPick,
    });
    const usage = pick(
      'usage',
      t.usage,
      () => void navigate(pageUrl('usage', { token: token.id })),
    );
    if (!mayChange) return [usage];
    const toggled = token.is_active ? t.deactivate : t.activate;
    return [
      usage,
      pick('edit', t.edit, () => {
        onEdit(token);
      }),
      pick('toggle', toggled, () => void toggle(token)),
      pick('rotate', t.rotate, () => {
        onRotate(token);
      }),
      { ...pick('revoke', t.revoke, () => void remove(token)), isDanger: true },
    ];
  };
}

function useBulk(onDone: () => Promise<void>): readonly BulkAction<Token>[] {
  const t = useTexts(tokenTexts);
  return [
    {
      key: 'on',
      label: t.activate,
      question: (tokens) => t.askActivateMany(tokens.length),
      canUndo: true,
      act: (token) => patch(token, true),
      onDone,
    },
    {
      key: 'off',
      label: t.deactivate,
      question: (tokens) => t.askDeactivateMany(tokens.length),
      canUndo: true,
      act: (token) => patch(token, false),
      onDone,
    },
    {
      key: 'revoke',
      label: t.revoke,
      isDanger: true,
      question: (tokens) => t.askRevokeMany(tokens.length),
      act: revoke,
      onDone,
    },
  ];
}
