// The form that makes a batch of codes.

import { DatePicker, Form, Input, InputNumber } from 'antd';
import type { Dayjs } from 'dayjs';
import { api, type Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { PointsField } from '../../ui/PointsField';
import { redeemTexts } from './texts';

const CODES_MAX = 10_000;
const DAYS_MAX = 36_500;

interface Values {
  label: string;
  count: number | null;
  points: string;
  expires_at: Dayjs | null;
  grant_days: number | null;
}
const INITIAL: Values = { label: '', count: 10, points: '', expires_at: null, grant_days: null };

interface Props {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly onMade: (batch: Schemas['Batch']) => void;
}

export function BatchForm({ isOpen, onClose, onMade }: Props) {
  const t = useTexts(redeemTexts);
  return (
    <FormDialog<Values>
      title={t.create}
      isOpen={isOpen}
      initial={INITIAL}
      submitText={t.create}
      onClose={onClose}
      onSubmit={async ({ label, count, points, expires_at, grant_days }) => {
        const result = await api.post('/api/redeem-batches', {
          body: {
            label,
            count: count ?? 0,
            points: points.trim(),
            expires_at: expires_at?.toISOString() ?? null,
            grant_days,
          },
        });
        if (result.ok) onMade(result.value);
        return result;
      }}
    >
      <Form.Item name="label" label={t.label} extra={t.labelHint}>
        <Input maxLength={500} autoFocus />
      </Form.Item>
      <Form.Item
        name="count"
        label={t.count}
        extra={t.countHint}
        rules={[{ required: true, message: t.countNeeded }]}
      >
        <InputNumber min={1} max={CODES_MAX} precision={0} style={{ width: '100%' }} />
      </Form.Item>
      <PointsField name="points" label={t.points} />
      <Form.Item name="expires_at" label={t.expires}>
        <DatePicker
          showTime={{ format: 'HH:mm' }}
          style={{ width: '100%' }}
          placeholder={t.expiresNever}
        />
      </Form.Item>
      <Form.Item name="grant_days" label={t.grantDaysField} extra={t.grantDaysHint}>
        <InputNumber min={1} max={DAYS_MAX} precision={0} style={{ width: '100%' }} />
      </Form.Item>
    </FormDialog>
  );
}
