// A deed that is asked about with its reason: what will happen, whether it can be undone, and why
// it is done.

import { App, Form, Input } from 'antd';
import type { Result } from '../api/errors';
import { useTexts } from '../i18n/language';
import { FormDialog } from './FormDialog';
import { partTexts } from './texts';

export interface Deed {
  /** What will happen, with the name of what it will happen to. */
  readonly title: string;
  readonly note?: string;
  /** The button's word. */
  readonly deed: string;
  readonly canUndo?: boolean;
  readonly act: (reason: string) => Promise<Result<unknown>>;
  readonly onDone: () => Promise<void>;
}

interface Props {
  readonly asked: Deed | null;
  readonly onClose: () => void;
}

export function ReasonDialog({ asked, onClose }: Props) {
  const t = useTexts(partTexts);
  const { message } = App.useApp();
  return (
    <FormDialog<{ reason: string }>
      title={asked?.title ?? ''}
      isOpen={asked !== null}
      initial={{ reason: '' }}
      submitText={asked?.deed}
      onClose={onClose}
      onSubmit={async ({ reason }) => {
        if (!asked) return { ok: true, value: null };
        const result = await asked.act(reason);
        if (result.ok) {
          message.success(t.saved);
          await asked.onDone();
        }
        return result;
      }}
    >
      {asked?.note ? <p>{asked.note}</p> : null}
      {asked && !asked.canUndo ? <p className="muted">{t.undone}</p> : null}
      <Form.Item name="reason" label={t.reason} extra={t.reasonHint}>
        <Input maxLength={500} autoFocus />
      </Form.Item>
    </FormDialog>
  );
}
