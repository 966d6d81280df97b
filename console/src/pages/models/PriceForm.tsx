// The form that gives a model its first price, or a new version of it.

import { App, DatePicker, Form, Input, Select, Switch } from 'antd';
import type { Dayjs } from 'dayjs';
import { api, type Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { isPrice } from './isPrice';
import { modelTexts } from './texts';

type Model = Schemas['ListedModel'];

interface Values {
  model_name: string;
  currency: 'usd' | 'points';
  per_tokens: 1000 | 1000000;
  input_token_price: string;
  output_token_price: string;
  cache_read_token_price: string;
  cache_write_token_price: string;
  request_price: string;
  is_active: boolean;
  effective_from: Dayjs | null;
  reason: string;
}

interface Props {
  readonly edited: Model | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function PriceForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(modelTexts);
  const { message } = App.useApp();
  const model = edited === 'new' ? null : edited;
  return (
    <FormDialog<Values>
      title={model ? `${t.change} · ${model.model_name}` : t.create}
      isOpen={edited !== null}
      width={640}
      initial={initialOf(model)}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(model, values);
        if (result.ok) {
          message.success(t.saved);
          await onSaved();
        }
        return result;
      }}
    >
      {model ? null : (
        <Form.Item
          name="model_name"
          label={t.name}
          extra={t.nameHint}
          rules={[{ required: true, whitespace: true, message: t.nameNeeded }]}
        >
          <Input maxLength={256} autoFocus autoComplete="off" />
        </Form.Item>
      )}
      <PriceFields />
      <Form.Item name="is_active" label={t.isActive} extra={t.isActiveHint} valuePropName="checked">
        <Switch />
      </Form.Item>
      <Form.Item name="effective_from" label={t.from} extra={t.fromHint}>
        <DatePicker
          showTime={{ format: 'HH:mm' }}
          style={{ width: '100%' }}
          placeholder={t.fromNow}
        />
      </Form.Item>
      <Form.Item name="reason" label={t.reason} extra={t.reasonHint}>
        <Input maxLength={500} />
      </Form.Item>
    </FormDialog>
  );
}

function PriceFields() {
  const t = useTexts(modelTexts);
  const field = (name: keyof Values, label: string, isOptional = false) => (
    <Form.Item
      name={name}
      label={label}
      extra={isOptional ? t.cacheHint : undefined}
      required={!isOptional}
      rules={[
        {
          validator: (_rule: unknown, typed: string) =>
            isPrice(typed, isOptional) ? Promise.resolve() : Promise.reject(new Error(t.notAPrice)),
        },
      ]}
    >
      <Input inputMode="decimal" autoComplete="off" />
    </Form.Item>
  );
  return (
    <div className="form-grid">
      <Form.Item name="currency" label={t.currency}>
        <Select
          options={[
            { value: 'usd', label: t.usd },
            { value: 'points', label: t.points },
          ]}
        />
      </Form.Item>
      <Form.Item name="per_tokens" label={t.unit}>
        <Select
          options={[
            { value: 1000, label: '1,000' },
            { value: 1_000_000, label: '1,000,000' },
          ]}
        />
      </Form.Item>
      {field('input_token_price', t.input)}
      {field('output_token_price', t.output)}
      {field('cache_read_token_price', t.cacheRead, true)}
      {field('cache_write_token_price', t.cacheWrite, true)}
      {field('request_price', t.request)}
    </div>
  );
}

function initialOf(model: Model | null): Values {
  return {
    model_name: '',
    currency: model?.currency === 'points' ? 'points' : 'usd',
    per_tokens: model?.per_tokens === 1000 ? 1000 : 1_000_000,
    input_token_price: model?.input_token_price ?? '',
    output_token_price: model?.output_token_price ?? '',
    cache_read_token_price: model?.cache_read_token_price ?? '',
    cache_write_token_price: model?.cache_write_token_price ?? '',
    request_price: model?.request_price ?? '0',
    is_active: model?.is_active ?? true,
    effective_from: null,
    reason: '',
  };
}

function save(model: Model | null, values: Values) {
  const { cache_read_token_price: read, cache_write_token_price: write } = values;
  // The contract's type has no null; the API takes it: cached input costs as input.
  const asInput = null as unknown as string;
  const shared = {
    currency: values.currency,
    per_tokens: values.per_tokens,
    input_token_price: values.input_token_price.trim(),
    output_token_price: values.output_token_price.trim(),
    cache_read_token_price: read.trim() || asInput,
    cache_write_token_price: write.trim() || asInput,
    request_price: values.request_price.trim(),
    is_active: values.is_active,
    reason: values.reason,
    ...(values.effective_from ? { effective_from: values.effective_from.toISOString() } : {}),
  };
  if (!model) {
    const body = { ...shared, model_name: values.model_name.trim() };
    return api.post('/api/models', { body });
  }
  const path = { model_name: model.model_name };
  return api.patch('/api/models/{model_name}', { path, body: shared });
}
