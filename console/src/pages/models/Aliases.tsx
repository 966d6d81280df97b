// The other names of a model.

import { App, Button, Input, Modal } from 'antd';
import { useState } from 'react';
import { api } from '../../api/client';
import type { ApiError } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useConfirm } from '../../ui/confirm';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { modelTexts } from './texts';

interface Props {
  readonly model: string | null;
  readonly onClose: () => void;
}

export function Aliases({ model, onClose }: Props) {
  const t = useTexts(modelTexts);
  return (
    <Modal
      title={model ? t.aliasesOf(model) : ''}
      open={model !== null}
      okText={t.close}
      cancelButtonProps={{ hidden: true }}
      onOk={onClose}
      onCancel={onClose}
    >
      <p className="muted">{t.aliasesHint}</p>
      {model ? <Names model={model} /> : null}
    </Modal>
  );
}

function Names({ model }: { readonly model: string }) {
  const t = useTexts(modelTexts);
  const path = { model_name: model };
  const refresh = useRefresh();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const shown = useRead('/api/models/{model_name}', { path });
  const again = async (): Promise<void> => {
    message.success(t.saved);
    await refresh('/api/models/{model_name}', '/api/models');
  };
  const remove = async (alias: string): Promise<void> => {
    const question = {
      title: t.askRemoveAlias(alias, model),
      deed: t.removeAlias,
      canUndo: true,
    };
    const isDone = await confirm(question, () =>
      api.delete('/api/models/{model_name}/aliases/{alias}', { path: { ...path, alias } }),
    );
    if (isDone) await again();
  };
  const aliases = shown.data?.aliases ?? [];
  return (
    <>
      {shown.data && aliases.length === 0 ? <p>{t.noAliases}</p> : null}
      <ul className="plain-list">
        {aliases.map((alias) => (
          <li key={alias}>
            <code>{alias}</code>
            {mayChange ? (
              <Button
                size="small"
                aria-label={`${t.removeAlias}: ${alias}`}
                onClick={() => void remove(alias)}
              >
                {t.removeAlias}
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
      {mayChange ? <Add model={model} onAdded={again} /> : null}
    </>
  );
}

function Add({
  model,
  onAdded,
}: {
  readonly model: string;
  readonly onAdded: () => Promise<void>;
}) {
  const t = useTexts(modelTexts);
  const [alias, setAlias] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const add = async (): Promise<void> => {
    const result = await api.post('/api/models/{model_name}/aliases', {
      path: { model_name: model },
      body: { alias: alias.trim() },
    });
    setError(result.ok ? null : result.error);
    if (!result.ok) return;
    setAlias('');
    await onAdded();
  };
  return (
    <form
      className="inline-form"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Input
        aria-label={t.alias}
        placeholder={t.alias}
        maxLength={256}
        value={alias}
        onChange={(event) => {
          setAlias(event.target.value);
        }}
      />
      <Button htmlType="submit" disabled={alias.trim() === ''}>
        {t.addAlias}
      </Button>
      {error ? <ErrorBanner error={error} /> : null}
    </form>
  );
}
