// The form that makes a token or changes one.

import { DatePicker, Form, Input, Select } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { api } from '../../api/client';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { SubjectField } from '../../ui/SubjectField';
import { LimitFields } from '../../ui/LimitFields';
import { limitOf, type LimitRow, rowOf } from '../../ui/limits';
import { tokenTexts } from './texts';
import type { Token } from './Tokens';
import { useTeams } from './useTeams';

const EVERY_ROUTE = 200;

interface Values {
  name: string;
  team_id: string | null;
  scopes: string[];
  expires_at: Dayjs | null;
  limits: LimitRow[];
  models: string[];
  addresses: string[];
  user_id: string;
}

interface Props {
  readonly edited: Token | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: (token: Token) => void;
}

export function TokenForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(tokenTexts);
  const token = edited === 'new' ? null : edited;
  return (
    <FormDialog<Values>
      title={token ? t.edit : t.create}
      isOpen={edited !== null}
      initial={initialOf(token)}
      submitText={token ? undefined : t.create}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(token, values);
        if (result.ok) onSaved(result.value);
        return result;
      }}
    >
      <Identity isNew={token === null} />
      <Form.Item name="expires_at" label={t.expires}>
        <DatePicker
          showTime={{ format: 'HH:mm' }}
          style={{ width: '100%' }}
          placeholder={t.expiresNever}
        />
      </Form.Item>
      <LimitFields first="dimension" />
      <Form.Item name="models" label={t.models} extra={t.modelsHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
      <Form.Item name="addresses" label={t.addresses} extra={t.addressesHint}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
      </Form.Item>
    </FormDialog>
  );
}

/** Who it is and what it opens. */
function Identity({ isNew }: { readonly isNew: boolean }) {
  const t = useTexts(tokenTexts);
  const teams = useTeams();
  const routes = useRead('/api/routes', { query: { limit: EVERY_ROUTE } });
  const asked = (routes.data?.items ?? []).flatMap((route) => route.scope ?? []);
  return (
    <>
      <Form.Item
        name="name"
        label={t.name}
        extra={t.nameHint}
        rules={[{ required: true, whitespace: true, message: t.needed }]}
      >
        <Input maxLength={500} autoFocus />
      </Form.Item>
      <Form.Item name="team_id" label={t.team}>
        <Select
          allowClear
          placeholder={t.noTeam}
          showSearch={{ optionFilterProp: 'label' }}
          options={teams.map((team) => ({ value: team.id, label: team.name }))}
        />
      </Form.Item>
      <Form.Item name="scopes" label={t.scopes} extra={t.scopesHint}>
        <Select
          mode="tags"
          tokenSeparators={[' ', ',']}
          options={[...new Set(['*', ...asked])].map((scope) => ({ value: scope, label: scope }))}
        />
      </Form.Item>
      {isNew ? <SubjectField name="user_id" kind="user" label={t.user} extra={t.userHint} /> : null}
    </>
  );
}

function initialOf(token: Token | null): Values {
  return {
    name: token?.name ?? '',
    team_id: token?.team_id ?? null,
    scopes: token?.scopes ?? [],
    expires_at: token?.expires_at ? dayjs(token.expires_at) : null,
    limits: token?.limits.map(rowOf) ?? [],
    models: token ? (token.models ?? ['*']) : [],
    addresses: token?.addresses ?? [],
    user_id: '',
  };
}

function save(token: Token | null, values: Values) {
  const body = {
    name: values.name,
    team_id: values.team_id ?? null,
    scopes: values.scopes,
    expires_at: values.expires_at?.toISOString() ?? null,
    limits: values.limits.map(limitOf),
    models: values.models.includes('*') ? null : values.models,
    addresses: values.addresses.length > 0 ? values.addresses : null,
  };
  if (token) return api.patch('/api/tokens/{token}', { path: { token: token.id }, body });
  return api.post('/api/tokens', { body: { ...body, user_id: values.user_id } });
}
