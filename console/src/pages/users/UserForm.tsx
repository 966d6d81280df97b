// The form that makes a user or changes one.

import { Form, Input, Select } from 'antd';
import { api } from '../../api/client';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { userTexts } from './texts';
import type { User } from './Users';

export const ROLES = ['admin', 'operator', 'viewer', 'member'] as const;
type Role = (typeof ROLES)[number];
const PASSWORD_MIN = 8;

interface Values {
  name: string;
  id: string;
  email: string;
  role: Role;
  password: string;
}

interface Props {
  readonly edited: User | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function UserForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(userTexts);
  const user = edited === 'new' ? null : edited;
  const roles = useMay('administer') ? ROLES : (['member'] as const);
  return (
    <FormDialog<Values>
      title={user ? t.edit : t.create}
      isOpen={edited !== null}
      initial={{
        name: user?.name ?? '',
        id: '',
        email: user?.email ?? '',
        role: roleOf(user),
        password: '',
      }}
      submitText={user ? undefined : t.create}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(user, values);
        if (result.ok) await onSaved();
        return result;
      }}
    >
      <Form.Item name="name" label={t.name}>
        <Input maxLength={200} autoFocus autoComplete="off" />
      </Form.Item>
      {user ? null : (
        <Form.Item name="id" label={t.id} extra={t.idHint}>
          <Input maxLength={256} autoComplete="off" />
        </Form.Item>
      )}
      <Form.Item name="email" label={t.email}>
        <Input type="email" maxLength={254} autoComplete="off" />
      </Form.Item>
      <Form.Item name="role" label={t.role} extra={roles.length > 1 ? t.roleHint : t.roleOnlyHint}>
        <Select
          disabled={roles.length === 1}
          options={roles.map((role) => ({ value: role, label: t[role] }))}
        />
      </Form.Item>
      <Form.Item
        name="password"
        label={t.password}
        extra={user ? t.passwordHint : t.passwordNewHint}
        rules={[{ min: PASSWORD_MIN, message: t.passwordShort(PASSWORD_MIN) }]}
      >
        <Input.Password maxLength={1024} autoComplete="new-password" />
      </Form.Item>
    </FormDialog>
  );
}

/** A stranger's role counts as the least. */
export function roleOf(user: User | null): Role {
  return ROLES.find((role) => role === user?.role) ?? 'member';
}

function save(user: User | null, values: Values) {
  const body = {
    name: values.name,
    email: values.email.trim() || null,
    // Said only where it changes: giving roles is an admin's.
    ...(values.role === roleOf(user) ? {} : { role: values.role }),
    ...(values.password ? { password: values.password } : {}),
  };
  if (user) return api.patch('/api/users/{id}', { path: { id: user.id }, body });
  return api.post('/api/users', { body: values.id ? { ...body, id: values.id } : body });
}
