// The form that takes a credential in, or changes one. Its variables are those of its kind.

import { App, Form, Input, Select } from 'antd';
import { api, type Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { credentialTexts } from './texts';

type Credential = Schemas['Credential'];
type Kind = Schemas['KindView'];

interface Values {
  kind: string | undefined;
  name: string;
  user: string;
  pool: string;
  secret: string;
  variables?: Record<string, string>;
}

interface Props {
  readonly edited: Credential | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function CredentialForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(credentialTexts);
  const { message } = App.useApp();
  const kinds = useRead('/api/credentials/kinds', { enabled: edited !== null });
  const credential = edited === 'new' ? null : edited;
  const usable = (kinds.data ?? []).filter((kind) => kind.problem === '');
  return (
    <FormDialog<Values>
      title={credential ? `${t.edit} · ${credential.name}` : t.create}
      isOpen={edited !== null}
      initial={{
        kind: credential?.kind,
        name: credential?.name ?? '',
        user: credential?.user ?? '',
        pool: credential?.pool ?? '',
        secret: '',
        variables: credential?.variables ?? {},
      }}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(credential, values);
        if (result.ok) {
          message.success(t.saved);
          await onSaved();
        }
        return result;
      }}
    >
      <Form.Item
        name="kind"
        label={t.kind}
        extra={t.kindHint}
        rules={[{ required: true, message: t.kindNeeded }]}
      >
        <Select
          disabled={credential !== null}
          options={usable.map((kind) => ({ value: kind.name, label: kind.title || kind.name }))}
        />
      </Form.Item>
      <Form.Item
        name="name"
        label={t.name}
        rules={[{ required: true, whitespace: true, message: t.nameNeeded }]}
      >
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
      <Form.Item name="user" label={t.user} extra={t.userHint}>
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
      <OfKind kinds={usable} isNew={credential === null} />
      <Form.Item name="pool" label={t.pool} extra={t.poolHint}>
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
    </FormDialog>
  );
}

function OfKind({ kinds, isNew }: { readonly kinds: readonly Kind[]; readonly isNew: boolean }) {
  const t = useTexts(credentialTexts);
  const chosen = Form.useWatch<string | undefined>('kind');
  const kind = kinds.find((one) => one.name === chosen);
  const parts = kind?.parts ?? [];
  const hint = parts.length > 1 ? t.secretParts(parts.join(', ')) : t.secretHint;
  return (
    <>
      {kind && !kind.is_probed ? <p className="muted">{t.cannotCheck}</p> : null}
      {Object.entries(kind?.variables ?? {}).map(([name, usual]) => (
        <Form.Item
          key={name}
          name={['variables', name]}
          label={name}
          rules={usual === null ? [{ required: true, message: t.valueNeeded }] : []}
        >
          <Input maxLength={4096} placeholder={usual ?? ''} autoComplete="off" />
        </Form.Item>
      ))}
      <Form.Item
        name="secret"
        label={t.secret}
        extra={isNew ? hint : `${t.secretKept} ${hint}`}
        rules={isNew ? [{ required: true, message: t.secretNeeded }] : []}
      >
        <Input.Password maxLength={16_384} autoComplete="new-password" />
      </Form.Item>
    </>
  );
}

function save(credential: Credential | null, values: Values) {
  const given = Object.entries(values.variables ?? {}).filter(([, value]) => value);
  const variables = Object.fromEntries(given);
  const shared = {
    name: values.name.trim(),
    user: values.user.trim(),
    variables,
    ...(values.pool.trim() ? { pool: values.pool.trim() } : {}),
  };
  if (!credential) {
    const body = { ...shared, kind: values.kind ?? '', secret: values.secret };
    return api.post('/api/credentials', { body });
  }
  const body = { ...shared, ...(values.secret ? { secret: values.secret } : {}) };
  return api.patch('/api/credentials/{id}', { path: { id: credential.id }, body });
}
