// The form that adds a Dify app or changes one. The app that the settings describe is changed by
// adding one of its name, which then stands in its place.

import { AutoComplete, Form, Input, Select } from 'antd';
import { api, type Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { plainPoints } from '../../ui/points';
import { PointsField } from '../../ui/PointsField';
import { appTexts } from './texts';

export type DifyApp = Schemas['DifyApp'];

const PRICED = 200;
const SAME_INSTANCE = 'dify'; // as the server takes it where none is said
const USUAL_HOLD = '100';

interface Values {
  name: string;
  api_url: string;
  api_key: string;
  instance: string;
  model: string;
  billed_by: 'dify' | 'gateway';
  hold_points: string;
}

interface Props {
  readonly edited: DifyApp | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: (app: DifyApp, isNew: boolean) => void;
}

export function AppForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(appTexts);
  const app = edited === 'new' ? null : edited;
  const isNew = app?.is_from_settings ?? true;
  const title = app ? (isNew ? t.takeOver : t.edit) : t.add;
  return (
    <FormDialog<Values>
      title={app ? `${title} · ${app.name}` : title}
      isOpen={edited !== null}
      initial={initialOf(app)}
      submitText={isNew ? t.add : undefined}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(app, values);
        if (result.ok) onSaved(result.value, isNew);
        return result;
      }}
    >
      {app && isNew ? <p>{t.takeOverHint}</p> : null}
      {app ? null : <Name />}
      <Reach isNew={isNew} />
      <Billing />
    </FormDialog>
  );
}

function Name() {
  const t = useTexts(appTexts);
  return (
    <Form.Item
      name="name"
      label={t.name}
      extra={t.nameHint}
      rules={[
        { required: true, message: t.needed },
        { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/, message: t.notAName },
      ]}
    >
      <Input maxLength={64} autoFocus autoComplete="off" />
    </Form.Item>
  );
}

/** Where it is, and what it wants to see. */
function Reach({ isNew }: { readonly isNew: boolean }) {
  const t = useTexts(appTexts);
  return (
    <>
      <Form.Item
        name="api_url"
        label={t.apiUrl}
        extra={t.apiUrlHint}
        rules={[{ required: true, message: t.needed }]}
      >
        <Input maxLength={2048} inputMode="url" autoComplete="off" />
      </Form.Item>
      <Form.Item name="api_key" label={t.apiKey} extra={isNew ? t.apiKeyHint : t.apiKeyKept}>
        <Input.Password maxLength={4096} autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="instance"
        label={t.instance}
        extra={t.instanceHint}
        rules={[{ required: true, whitespace: true, message: t.needed }]}
      >
        <Input maxLength={256} autoComplete="off" />
      </Form.Item>
    </>
  );
}

/** Who charges, by which price, and what is set aside until that is known. */
function Billing() {
  const t = useTexts(appTexts);
  const priced = useRead('/api/models', { query: { limit: PRICED } });
  const billers = [
    { value: 'dify', label: t.byDify },
    { value: 'gateway', label: t.byGateway },
  ];
  return (
    <>
      <Form.Item name="billed_by" label={t.billedBy} extra={t.billedByHint}>
        <Select options={billers} />
      </Form.Item>
      <Form.Item name="model" label={t.model} extra={t.modelHint}>
        <AutoComplete
          maxLength={256}
          options={(priced.data?.items ?? []).map((one) => ({ value: one.model_name }))}
          showSearch={{
            filterOption: (typed, option) =>
              String(option?.value).toLowerCase().includes(typed.toLowerCase()),
          }}
        />
      </Form.Item>
      <PointsField name="hold_points" label={t.hold} extra={t.holdHint} sign="notMinus" />
    </>
  );
}

function initialOf(app: DifyApp | null): Values {
  return {
    name: app?.name ?? '',
    api_url: app?.api_url ?? '',
    api_key: '',
    instance: app?.instance ?? SAME_INSTANCE,
    model: app?.model ?? '',
    billed_by: app?.billed_by === 'gateway' ? 'gateway' : 'dify',
    hold_points: app ? plainPoints(app.hold_micros) : USUAL_HOLD,
  };
}

function save(app: DifyApp | null, values: Values) {
  const body = {
    api_url: values.api_url.trim(),
    ...(values.api_key ? { api_key: values.api_key } : {}),
    instance: values.instance.trim(),
    model: values.model.trim(),
    billed_by: values.billed_by,
    hold_points: values.hold_points.trim(),
  };
  if (app && !app.is_from_settings)
    return api.patch('/api/dify/apps/{name}', { path: { name: app.name }, body });
  const name = app?.name ?? values.name.trim();
  return api.post('/api/dify/apps', { body: { ...body, name } });
}
