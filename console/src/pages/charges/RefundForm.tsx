// Gives back what was charged, all of it or a part.

import { App, Form, Input } from 'antd';
import { api } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { Points } from '../../ui/Points';
import { PointsField } from '../../ui/PointsField';
import { partTexts } from '../../ui/texts';
import type { Charge } from './columns';
import { chargeTexts } from './texts';

interface Props {
  readonly charge: Charge | null;
  readonly onClose: () => void;
  readonly onDone: () => Promise<void>;
}

export function RefundForm({ charge, onClose, onDone }: Props) {
  const t = useTexts(chargeTexts);
  const shared = useTexts(partTexts);
  const { message } = App.useApp();
  return (
    <FormDialog<{ points: string; reason: string }>
      title={t.refundTitle}
      isOpen={charge !== null}
      initial={{ points: '', reason: '' }}
      submitText={t.refund}
      onClose={onClose}
      onSubmit={async ({ points, reason }) => {
        const result = await api.post('/api/charges/{charge_id}/refund', {
          path: { charge_id: charge?.id ?? '' },
          body: { points: points.trim() || null, reason },
        });
        if (result.ok) {
          message.success(t.refundDone);
          await onDone();
        }
        return result;
      }}
    >
      <p>
        {charge?.user_id} · {charge?.model} · <Points micros={charge?.points_micros ?? '0'} />
      </p>
      <p className="muted">{t.refundNote}</p>
      <PointsField name="points" label={t.refundPoints} extra={t.refundHint} isOptional autoFocus />
      <Form.Item name="reason" label={shared.reason} extra={shared.reasonHint}>
        <Input maxLength={500} />
      </Form.Item>
    </FormDialog>
  );
}
