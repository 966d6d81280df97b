// The form that makes a key of one's own: all that it says can only restrict it.

import { DatePicker, Form, Input, InputNumber, Select } from 'antd';
import type { Dayjs } from 'dayjs';
import { api, type Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { keyTexts } from '../keys/texts';
import { ownKeyTexts } from './texts';

interface Values {
  label: string;
  daily_limit: number | null;
  expires_at: Dayjs | null;
  models: string[];
}

interface Props {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly onMade: (key: Schemas['ApiKey']) => void;
}

const INITIAL: Values = { label: '', daily_limit: null, expires_at: null, models: [] };

export function OwnKeyForm({ isOpen, onClose, onMade }: Props) {
  const t = useTexts(keyTexts);
  const own = useTexts(ownKeyTexts);
  return (
    <FormDialog<Values>
      title={t.create}
      isOpen={isOpen}
      initial={INITIAL}
      submitText={t.create}
      onClose={onClose}
      onSubmit={async ({ label, daily_limit, expires_at, models }) => {
        const body = {
          label,
          ...(daily_limit === null ? {} : { daily_limit }),
          ...(expires_at ? { expires_at: expires_at.toISOString() } : {}),
          ...(models.length > 0 ? { models } : {}),
        };
        const result = await api.post('/api/user/keys', { body });
        if (result.ok) onMade(result.value);
        return result;
      }}
    >
      <Form.Item name="label" label={t.label} extra={t.labelHint}>
        <Input maxLength={1000} autoFocus />
      </Form.Item>
      <Form.Item name="daily_limit" label={t.daily} extra={own.dailyHint}>
        <InputNumber min={0} precision={0} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="expires_at" label={t.expires}>
        <DatePicker
          showTime={{ format: 'HH:mm' }}
          style={{ width: '100%' }}
          placeholder={t.expiresNever}
        />
      </Form.Item>
      <Form.Item name="models" label={t.models} extra={t.modelsHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
    </FormDialog>
  );
}
