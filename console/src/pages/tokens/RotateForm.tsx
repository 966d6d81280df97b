// Another token in the place of one, and how long the old one still works.

import { Form, Select } from 'antd';
import { api } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { tokenTexts } from './texts';
import type { Token } from './Tokens';

const HOUR_S = 3600;

interface Props {
  readonly rotated: Token | null;
  readonly onClose: () => void;
  readonly onMade: (token: Token) => void;
}

export function RotateForm({ rotated, onClose, onMade }: Props) {
  const t = useTexts(tokenTexts);
  const choices = [
    { value: 0, label: t.graceNone },
    { value: HOUR_S, label: t.graceHour },
    { value: 24 * HOUR_S, label: t.graceDay },
    { value: 7 * 24 * HOUR_S, label: t.graceWeek },
  ];
  return (
    <FormDialog<{ grace_s: number }>
      title={t.rotateTitle(rotated?.name ?? '')}
      isOpen={rotated !== null}
      initial={{ grace_s: 0 }}
      submitText={t.rotate}
      onClose={onClose}
      onSubmit={async (body) => {
        const path = { token: rotated?.id ?? '' };
        const result = await api.post('/api/tokens/{token}/rotate', { path, body });
        if (result.ok) onMade(result.value);
        return result;
      }}
    >
      <p>{t.rotateHint}</p>
      <Form.Item name="grace_s" label={t.grace}>
        <Select options={choices} />
      </Form.Item>
    </FormDialog>
  );
}
