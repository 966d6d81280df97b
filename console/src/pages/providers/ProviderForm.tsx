// The form that adds a provider or changes one; also a step of the first-run guide.

import { Form, Input, InputNumber, Select } from 'antd';
import { api, type Schemas } from '../../api/client';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { PairFields } from '../../ui/PairFields';
import { numbersOf, type Pair, pairsOf, textsOf } from '../../ui/pairs';
import { PRESETS } from './presets';
import { providerTexts } from './texts';

export type Provider = Schemas['ProviderView'];

interface Values {
  name: string;
  protocol: 'openai' | 'anthropic';
  base_url: string;
  secret: string;
  credentials: string;
  models: string[];
  aliases: Pair[];
  output_tokens_max: Pair[];
  passthrough: string[];
  weight: number;
  priority: number;
}

interface Props {
  readonly edited: Provider | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: (provider: Provider) => void;
}

export function ProviderForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(providerTexts);
  const isNew = edited === 'new';
  // Only an admin says where a secret is sent.
  const mayReach = useMay('administer');
  return (
    <FormDialog<Values>
      title={isNew ? t.add : t.edit}
      isOpen={edited !== null}
      initial={initialOf(edited)}
      submitText={isNew ? t.add : undefined}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(edited, values, mayReach);
        if (result.ok) onSaved(result.value);
        return result;
      }}
    >
      {isNew ? <Identity /> : null}
      {mayReach ? <Reach isNew={isNew} /> : null}
      <Form.Item name="credentials" label={t.pool} extra={t.poolHint}>
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
      <Answered />
      <div className="form-grid">
        <Form.Item name="priority" label={t.priority} extra={t.priorityHint}>
          <InputNumber min={0} max={1_000_000} precision={0} style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item name="weight" label={t.weight} extra={t.weightHint}>
          <InputNumber min={1} max={1_000_000} precision={0} style={{ width: '100%' }} />
        </Form.Item>
      </div>
    </FormDialog>
  );
}

/** What it is asked for, and by which names. */
function Answered() {
  const t = useTexts(providerTexts);
  return (
    <>
      <Form.Item name="models" label={t.models} extra={t.modelsHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
      <PairFields
        field="aliases"
        title={t.aliases}
        hint={t.aliasesHint}
        nameLabel={t.askedName}
        valueLabel={t.ownName}
        addLabel={t.addAlias}
      />
      <PairFields
        field="output_tokens_max"
        title={t.outputMax}
        hint={t.outputMaxHint}
        nameLabel={t.model}
        valueLabel={t.tokens}
        addLabel={t.addOutputMax}
        isNumber
      />
      <Form.Item name="passthrough" label={t.passthrough} extra={t.passthroughHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
    </>
  );
}

/** Which provider it is, perhaps one of the well-known ones. */
function Identity() {
  const t = useTexts(providerTexts);
  const form = Form.useFormInstance<Values>();
  return (
    <div className="form-grid">
      <Form.Item label={t.preset} extra={t.presetHint} htmlFor="preset">
        <Select
          id="preset"
          allowClear
          options={PRESETS.map((preset) => ({ value: preset.title, label: preset.title }))}
          onChange={(title?: string) => {
            const preset = PRESETS.find((one) => one.title === title);
            if (!preset) return;
            const { name, protocol, base_url } = preset;
            form.setFieldsValue({ name, protocol, base_url });
          }}
        />
      </Form.Item>
      <Form.Item
        name="name"
        label={t.name}
        extra={t.nameHint}
        rules={[{ required: true, message: t.needed }]}
      >
        <Input maxLength={64} />
      </Form.Item>
    </div>
  );
}

/** Where it is, what it speaks, and what it wants to see. */
function Reach({ isNew }: { readonly isNew: boolean }) {
  const t = useTexts(providerTexts);
  const protocols = [
    { value: 'openai', label: 'OpenAI' },
    { value: 'anthropic', label: 'Anthropic' },
  ];
  return (
    <>
      <Form.Item name="protocol" label={t.protocol}>
        <Select options={protocols} />
      </Form.Item>
      <Form.Item
        name="base_url"
        label={t.baseUrl}
        extra={t.baseUrlHint}
        rules={[{ required: true, message: t.needed }]}
      >
        <Input maxLength={2048} inputMode="url" />
      </Form.Item>
      <Form.Item name="secret" label={t.secret} extra={isNew ? t.secretHint : t.secretKept}>
        <Input.Password maxLength={4096} autoComplete="new-password" />
      </Form.Item>
    </>
  );
}

function initialOf(edited: Provider | 'new' | null): Values {
  const provider = edited === 'new' ? null : edited;
  return {
    name: provider?.name ?? '',
    protocol: provider?.protocol === 'anthropic' ? 'anthropic' : 'openai',
    base_url: provider?.base_url ?? '',
    secret: '',
    credentials: provider?.credentials ?? '',
    models: provider?.models ?? [],
    aliases: pairsOf(provider?.aliases),
    output_tokens_max: pairsOf(provider?.output_tokens_max),
    passthrough: provider?.passthrough ?? [],
    weight: provider?.weight ?? 1,
    priority: provider?.priority ?? 0,
  };
}

function save(edited: Provider | 'new' | null, values: Values, mayReach: boolean) {
  const models = values.models.length > 0 ? values.models : null;
  const shared = {
    credentials: values.credentials.trim() || null,
    models,
    aliases: textsOf(values.aliases),
    output_tokens_max: numbersOf(values.output_tokens_max),
    passthrough: values.passthrough,
    weight: values.weight,
    priority: values.priority,
  };
  const secret = values.secret ? { secret: values.secret } : {};
  const reach = { protocol: values.protocol, base_url: values.base_url, ...secret };
  if (edited === 'new' || edited === null) {
    return api.post('/api/providers', { body: { name: values.name, ...reach, ...shared } });
  }
  const body = mayReach ? { ...reach, ...shared } : shared;
  return api.patch('/api/providers/{name}', { path: { name: edited.name }, body });
}
