// The form that adds a route or changes one: what most need first, the rest below it.

import { AutoComplete, Form, Input, InputNumber, Select, Switch } from 'antd';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { LimitFields } from '../../ui/LimitFields';
import { HeaderFields } from './HeaderFields';
import type { Route } from './Routes';
import { routeTexts } from './texts';
import { DEADLINES, initialOf, METHODS, save, type Values } from './values';

const EVERY_CREDENTIAL = 1000;

interface Props {
  readonly edited: Route | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function RouteForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(routeTexts);
  const route = edited === 'new' ? null : edited;
  return (
    <FormDialog<Values>
      title={route ? t.edit : t.create}
      isOpen={edited !== null}
      width={720}
      initial={initialOf(route)}
      submitText={route ? undefined : t.create}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(route, values);
        if (result.ok) await onSaved();
        return result;
      }}
    >
      <Target />
      <Matching />
      <LimitFields first="per" />
      <HeaderFields field="request_headers" title={t.requestHeaders} before={route} />
      <HeaderFields field="response_headers" title={t.responseHeaders} before={route} />
      <Deadlines />
      <Credentials />
    </FormDialog>
  );
}

/** Which path leads where. */
function Target() {
  const t = useTexts(routeTexts);
  const needed = [{ required: true, whitespace: true, message: t.needed }];
  return (
    <>
      <Form.Item name="path" label={t.path} extra={t.pathHint} rules={needed}>
        <Input maxLength={512} autoFocus />
      </Form.Item>
      <Form.Item name="backend_url" label={t.backend} extra={t.backendHint} rules={needed}>
        <Input maxLength={2048} inputMode="url" />
      </Form.Item>
      <div className="form-grid">
        <Form.Item name="strip_prefix" label={t.strip} extra={t.stripHint} valuePropName="checked">
          <Switch />
        </Form.Item>
        <Form.Item name="rewrite" label={t.rewrite} extra={t.rewriteHint}>
          <Input maxLength={512} />
        </Form.Item>
      </div>
    </>
  );
}

/** Which requests it takes. */
function Matching() {
  const t = useTexts(routeTexts);
  return (
    <div className="form-grid">
      <Form.Item name="scope" label={t.scope} extra={t.scopeHint}>
        <Input maxLength={500} />
      </Form.Item>
      <Form.Item name="methods" label={t.methods} extra={t.methodsHint}>
        <Select mode="multiple" options={METHODS.map((one) => ({ value: one, label: one }))} />
      </Form.Item>
      <Form.Item name="host" label={t.host} extra={t.hostHint}>
        <Input maxLength={253} />
      </Form.Item>
      <Form.Item name="is_active" label={t.isActive} valuePropName="checked">
        <Switch />
      </Form.Item>
    </div>
  );
}

function Deadlines() {
  const t = useTexts(routeTexts);
  const labels = {
    connect_ms: t.connect,
    first_byte_ms: t.firstByte,
    between_bytes_ms: t.betweenBytes,
    total_ms: t.total,
  };
  return (
    <fieldset className="field-list">
      <legend>{t.deadlines}</legend>
      <div className="form-grid">
        {DEADLINES.map((name) => (
          <Form.Item
            key={name}
            name={name}
            label={labels[name]}
            extra={name === 'total_ms' ? t.totalHint : undefined}
          >
            <InputNumber
              min={name === 'total_ms' ? 0 : 1}
              max={86_400_000}
              precision={0}
              placeholder={t.usual}
              style={{ width: '100%' }}
            />
          </Form.Item>
        ))}
      </div>
    </fieldset>
  );
}

/** Which secret the backend is shown, and where. */
function Credentials() {
  const t = useTexts(routeTexts);
  const known = useRead('/api/credentials', { query: { limit: EVERY_CREDENTIAL } });
  const pools = new Set((known.data?.items ?? []).map((one) => one.pool).filter(Boolean));
  return (
    <fieldset className="field-list">
      <legend>{t.credentials}</legend>
      <div className="form-grid">
        <Form.Item name="credentials" label={t.pool} extra={t.poolHint}>
          <AutoComplete options={[...pools].map((pool) => ({ value: pool, label: pool }))} />
        </Form.Item>
        <Form.Item
          name="credential_header"
          label={t.credentialHeader}
          extra={t.credentialHeaderHint}
        >
          <Input maxLength={512} />
        </Form.Item>
        <Form.Item name="credential_query" label={t.credentialQuery} extra={t.credentialQueryHint}>
          <Input maxLength={128} />
        </Form.Item>
      </div>
    </fieldset>
  );
}
