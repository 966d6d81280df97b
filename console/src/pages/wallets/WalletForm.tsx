// What changes a wallet: a top-up, a grant, a correction, its limits.

import { App, Checkbox, DatePicker, Form, Input, InputNumber, Select } from 'antd';
import type { Dayjs } from 'dayjs';
import { api } from '../../api/client';
import type { Result } from '../../api/errors';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { PointsField } from '../../ui/PointsField';
import { plainPoints } from '../../ui/points';
import { partTexts } from '../../ui/texts';
import type { Wallet } from './OneWallet';
import { walletTexts } from './texts';

export type Change = 'topUp' | 'adjust' | 'grant' | 'limits';

interface Values {
  points: string;
  reason: string;
  force: boolean;
  category: 'paid' | 'promotional';
  priority: number | null;
  expires_at: Dayjs | null;
  floor: string;
  warn_below: string;
}

interface Props {
  readonly change: Change | null;
  readonly wallet: Wallet;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function WalletForm({ change, wallet, onClose, onSaved }: Props) {
  const t = useTexts(walletTexts);
  const shared = useTexts(partTexts);
  const { message } = App.useApp();
  return (
    <FormDialog<Values>
      title={change ? t[change] : ''}
      isOpen={change !== null}
      initial={initialOf(wallet)}
      submitText={change ? t[change] : undefined}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(wallet.user_id, change, values);
        if (result.ok) {
          message.success(t.done);
          await onSaved();
        }
        return result;
      }}
    >
      <Fields change={change} />
      {change === 'limits' ? null : (
        <Form.Item name="reason" label={shared.reason} extra={shared.reasonHint}>
          <Input maxLength={500} />
        </Form.Item>
      )}
    </FormDialog>
  );
}

function Fields({ change }: { readonly change: Change | null }) {
  const t = useTexts(walletTexts);
  if (change === 'limits') {
    return (
      <>
        <PointsField name="floor" label={t.floor} extra={t.floorHint} sign="notPlus" autoFocus />
        <PointsField
          name="warn_below"
          label={t.warnField}
          extra={t.warnHint}
          sign="notMinus"
          isOptional
        />
      </>
    );
  }
  if (change === 'adjust') {
    return (
      <>
        <PointsField name="points" label={t.points} extra={t.adjustHint} sign="any" autoFocus />
        <Form.Item name="force" valuePropName="checked" extra={t.forceHint}>
          <Checkbox>{t.force}</Checkbox>
        </Form.Item>
      </>
    );
  }
  if (change === 'grant') return <GrantFields />;
  return <PointsField name="points" label={t.points} extra={t.topUpHint} autoFocus />;
}

function GrantFields() {
  const t = useTexts(walletTexts);
  return (
    <>
      <PointsField name="points" label={t.points} autoFocus />
      <Form.Item name="category" label={t.category}>
        <Select
          options={[
            { value: 'promotional', label: t.promotional },
            { value: 'paid', label: t.paid },
          ]}
        />
      </Form.Item>
      <Form.Item name="priority" label={t.priority} extra={t.priorityHint}>
        <InputNumber precision={0} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="expires_at" label={t.expires} extra={t.expiresHint}>
        <DatePicker
          showTime={{ format: 'HH:mm' }}
          style={{ width: '100%' }}
          placeholder={t.expiresNever}
        />
      </Form.Item>
    </>
  );
}

function initialOf(wallet: Wallet): Values {
  const warning = wallet.warn_below_micros;
  return {
    points: '',
    reason: '',
    force: false,
    category: 'promotional',
    priority: null,
    expires_at: null,
    floor: plainPoints(wallet.floor_micros),
    warn_below: warning === null ? '' : plainPoints(warning),
  };
}

function save(user_id: string, change: Change | null, values: Values): Promise<Result<unknown>> {
  const path = { user_id };
  if (change === 'limits') {
    const body = { floor: values.floor.trim(), warn_below: values.warn_below.trim() || null };
    return api.patch('/api/users/{user_id}/wallet', { path, body });
  }
  const points = values.points.trim();
  const { reason } = values;
  if (change === 'adjust') {
    const body = { points, reason, force: values.force };
    return api.post('/api/users/{user_id}/wallet/adjust', { path, body });
  }
  if (change === 'grant') {
    const { category, priority, expires_at } = values;
    const order = priority === null ? {} : { priority };
    const end = expires_at ? { expires_at: expires_at.toISOString() } : {};
    const body = { points, reason, category, ...order, ...end };
    return api.post('/api/users/{user_id}/wallet/grant', { path, body });
  }
  return api.post('/api/users/{user_id}/wallet/top-up', { path, body: { points, reason } });
}
