// What a call would cost: the server computes it, as it computes a charge.

import { AutoComplete, Button, Form, InputNumber } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { type ApiError, fieldOf } from '../../api/errors';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { formatCount } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Points } from '../../ui/Points';
import { calculatorTexts } from './texts';

type Calculated = Schemas['Calculated'];
const MODELS_OFFERED = 500;

interface Values {
  model: string;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
}

const NOTHING: Values = {
  model: '',
  input_tokens: 1000,
  output_tokens: 1000,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
};

export default function Calculator() {
  const t = useTexts(calculatorTexts);
  const [form] = Form.useForm<Values>();
  const [found, setFound] = useState<Calculated | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const models = useRead('/api/models', { query: { limit: MODELS_OFFERED } });

  const compute = async (values: Values): Promise<void> => {
    const result = await api.post('/api/prices/calculate', {
      body: {
        model: values.model.trim(),
        input_tokens: values.input_tokens ?? 0,
        output_tokens: values.output_tokens ?? 0,
        cache_read_tokens: values.cache_read_tokens ?? 0,
        cache_write_tokens: values.cache_write_tokens ?? 0,
      },
    });
    setError(null);
    setFound(result.ok ? result.value : null);
    if (result.ok) return;
    const about = fieldOf(result.error);
    if (about && about.name in NOTHING) {
      form.setFields([{ name: about.name as keyof Values, errors: [about.reason] }]);
    } else {
      setError(result.error);
    }
  };

  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <Panel>
        {error ? <ErrorBanner error={error} /> : null}
        <Form<Values>
          form={form}
          layout="vertical"
          requiredMark="optional"
          initialValues={NOTHING}
          onFinish={(values) => {
            void compute(values);
          }}
        >
          <Form.Item name="model" label={t.model} rules={[{ required: true }]}>
            <AutoComplete
              defaultActiveFirstOption={false}
              options={(models.data?.items ?? []).map((one) => ({ value: one.model_name }))}
              filterOption={(typed, option) =>
                (option?.value ?? '').toLowerCase().includes(typed.toLowerCase())
              }
            />
          </Form.Item>
          <div className="form-grid">
            <Count name="input_tokens" label={t.input} />
            <Count name="output_tokens" label={t.output} />
            <Count name="cache_read_tokens" label={t.cacheRead} />
            <Count name="cache_write_tokens" label={t.cacheWrite} />
          </div>
          <Button type="primary" htmlType="submit">
            {t.compute}
          </Button>
        </Form>
      </Panel>
      <div aria-live="polite">{found ? <Computed found={found} /> : null}</div>
    </div>
  );
}

function Count({ name, label }: { readonly name: keyof Values; readonly label: string }) {
  return (
    <Form.Item name={name} label={label}>
      <InputNumber min={0} max={10_000_000} precision={0} style={{ width: '100%' }} />
    </Form.Item>
  );
}

function Computed({ found }: { readonly found: Calculated }) {
  const t = useTexts(calculatorTexts);
  const { language } = useLanguage();
  const currency = found.currency === 'usd' ? t.usd : t.points;
  const names: Readonly<Record<string, string>> = {
    input_tokens: t.input_tokens,
    output_tokens: t.output_tokens,
    cache_read_tokens: t.cache_read_tokens,
    cache_write_tokens: t.cache_write_tokens,
    request: t.request,
  };
  return (
    <Panel title={t.cost}>
      <p className="figure">
        <Points micros={found.points_micros} withUnit />
      </p>
      {found.model_name === found.model ? null : (
        <p className="muted">{t.priced(found.model_name)}</p>
      )}
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">{t.part}</th>
            <th scope="col" className="end">
              {t.count}
            </th>
            <th scope="col" className="end">
              {t.partCost(currency)}
            </th>
          </tr>
        </thead>
        <tbody>
          {found.parts.map((part) => (
            <tr key={part.name}>
              <th scope="row">{names[part.name] ?? part.name}</th>
              <td className="number end">{formatCount(part.count, language)}</td>
              <td className="number end">{part.cost}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">{t.total}</th>
            <td />
            <td className="number end">{found.total}</td>
          </tr>
        </tbody>
      </table>
    </Panel>
  );
}
