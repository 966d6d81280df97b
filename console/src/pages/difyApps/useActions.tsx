// What can be done with one Dify app, each asked first where it takes something from somebody.

import { App } from 'antd';
import { api } from '../../api/client';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useConfirm } from '../../ui/confirm';
import { useErrorWords } from '../../ui/errorWords';
import type { RowAction } from '../../ui/RowMenu';
import type { DifyApp } from './AppForm';
import { appTexts } from './texts';

interface Asked {
  readonly again: () => Promise<void>;
  readonly onEdit: (app: DifyApp) => void;
  /** Has a new pair for its tracing, to be shown. */
  readonly onMade: (app: DifyApp) => void;
}

export function useActions({
  again,
  onEdit,
  onMade,
}: Asked): (app: DifyApp) => readonly RowAction[] {
  const t = useTexts(appTexts);
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const confirm = useConfirm();
  const mayChange = useMay('administer');
  const toggle = useToggle(again);
  const renew = async ({ name, tracing }: DifyApp): Promise<void> => {
    const act = async () => {
      const result = await api.post('/api/dify/apps/{name}/tracing', { path: { name } });
      if (result.ok) onMade(result.value);
      return result;
    };
    if (tracing) {
      await confirm({ title: t.askRenew(name), deed: t.renew }, act);
    } else {
      const result = await act();
      if (!result.ok) message.error(wordsOf(result.error));
    }
    await again();
  };
  const remove = async ({ name }: DifyApp): Promise<void> => {
    const question = { title: t.askRemove(name), deed: t.remove, typed: name };
    const act = () => api.delete('/api/dify/apps/{name}', { path: { name } });
    if (await confirm(question, act)) message.success(t.removed);
    await again();
  };
  return (app) => {
    if (!mayChange) return [];
    const pick = (key: string, label: string, act: (app: DifyApp) => unknown): RowAction => ({
      key,
      label,
      onPick: () => {
        act(app);
      },
    });
    if (app.is_from_settings) return [pick('edit', t.takeOver, onEdit)];
    return [
      pick('edit', t.edit, onEdit),
      pick('tracing', app.tracing ? t.renew : t.makeTracing, renew),
      pick('toggle', app.is_active ? t.deactivate : t.activate, toggle),
      { ...pick('remove', t.remove, remove), isDanger: true },
    ];
  };
}

function useToggle(again: () => Promise<void>): (app: DifyApp) => Promise<void> {
  const t = useTexts(appTexts);
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const confirm = useConfirm();
  return async ({ name, is_active }) => {
    const set = (wanted: boolean) =>
      api.patch('/api/dify/apps/{name}', { path: { name }, body: { is_active: wanted } });
    if (is_active) {
      const question = { title: t.askDeactivate(name), deed: t.deactivate, canUndo: true };
      await confirm(question, () => set(false));
    } else {
      const result = await set(true);
      if (!result.ok) message.error(wordsOf(result.error));
    }
    await again();
  };
}
