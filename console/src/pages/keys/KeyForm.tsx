// The form that makes a key or changes one.

import { DatePicker, Form, Input, InputNumber, Select } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { api } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { SubjectField } from '../../ui/SubjectField';
import type { ApiKey } from './Keys';
import { keyTexts } from './texts';

/** Those that mean something to the server itself. */
const SCOPES = ['dify', 'passthrough'] as const;

interface Values {
  label: string;
  daily_limit: number | null;
  expires_at: Dayjs | null;
  models: string[];
  addresses: string[];
  scopes: string[];
  user_id: string;
}

interface Props {
  readonly edited: ApiKey | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: (key: ApiKey) => void;
}

export function KeyForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(keyTexts);
  const isNew = edited === 'new';
  return (
    <FormDialog<Values>
      title={isNew ? t.create : t.edit}
      isOpen={edited !== null}
      initial={initialOf(edited)}
      submitText={isNew ? t.create : undefined}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(edited, values);
        if (result.ok) onSaved(result.value);
        return result;
      }}
    >
      <Form.Item name="label" label={t.label} extra={t.labelHint}>
        <Input maxLength={1000} autoFocus />
      </Form.Item>
      <div className="form-grid">
        <Form.Item name="daily_limit" label={t.daily} extra={isNew ? t.dailyNewHint : t.dailyHint}>
          <InputNumber min={0} precision={0} style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item name="expires_at" label={t.expires}>
          <DatePicker
            showTime={{ format: 'HH:mm' }}
            style={{ width: '100%' }}
            placeholder={t.expiresNever}
          />
        </Form.Item>
      </div>
      {isNew ? <SubjectField name="user_id" kind="user" label={t.user} extra={t.userHint} /> : null}
      <Form.Item name="models" label={t.models} extra={t.modelsHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
      <Form.Item name="addresses" label={t.addresses} extra={t.addressesHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
      <Form.Item name="scopes" label={t.scopes} extra={t.scopesHint}>
        <Select
          mode="tags"
          tokenSeparators={[' ', ',']}
          options={SCOPES.map((scope) => ({ value: scope, label: scope }))}
        />
      </Form.Item>
    </FormDialog>
  );
}

function initialOf(edited: ApiKey | 'new' | null): Values {
  const key = edited === 'new' ? null : edited;
  return {
    label: key?.label ?? '',
    daily_limit: key?.daily_limit ?? null,
    expires_at: key?.expires_at ? dayjs(key.expires_at) : null,
    models: key?.models ?? [],
    addresses: key?.addresses ?? [],
    scopes: key?.scopes ?? [],
    user_id: key?.user_id ?? '',
  };
}

function save(edited: ApiKey | 'new' | null, values: Values) {
  const shared = {
    label: values.label,
    expires_at: values.expires_at?.toISOString() ?? null,
    models: values.models.length > 0 ? values.models : null,
    addresses: values.addresses.length > 0 ? values.addresses : null,
    scopes: values.scopes,
  };
  if (edited === 'new' || edited === null) {
    const limit = values.daily_limit === null ? {} : { daily_limit: values.daily_limit };
    return api.post('/api/keys', { body: { ...shared, ...limit, user_id: values.user_id } });
  }
  const body = { ...shared, daily_limit: values.daily_limit };
  return api.patch('/api/keys/{key}', { path: { key: edited.id }, body });
}
