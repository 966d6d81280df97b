// A form's field for a user or a team: found by a part of the name or the id. What is typed is taken
// as an id, so that nothing is out of reach that a list does not hold.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { AutoComplete, Form } from 'antd';
import { useState } from 'react';
import { api } from '../api/client';
import { valueOf } from '../api/errors';

interface Props {
  /** As the API calls it. */
  readonly name: string;
  readonly label: string;
  readonly kind: 'user' | 'team';
  readonly extra?: string;
  /** What is said when it is left empty; without it, it may be. */
  readonly needed?: string;
  readonly autoFocus?: boolean;
}

interface Found {
  readonly id: string;
  readonly name: string;
}

const USERS_OFFERED = 20;
const TEAMS_OFFERED = 200; // a list without a search: what is typed picks from it

export function SubjectField({ name, label, kind, extra, needed, autoFocus = false }: Props) {
  const [typed, setTyped] = useState('');
  const found = useFound(kind, typed);
  return (
    <Form.Item
      name={name}
      label={label}
      extra={extra}
      rules={needed ? [{ required: true, whitespace: true, message: needed }] : []}
    >
      <AutoComplete
        maxLength={256}
        autoFocus={autoFocus}
        defaultActiveFirstOption={false}
        options={found.map((one) => ({ value: one.id, label: <Choice of={one} /> }))}
        showSearch={{ filterOption: false, onSearch: setTyped }}
      />
    </Form.Item>
  );
}

function Choice({ of: { id, name } }: { readonly of: Found }) {
  return (
    <span className="cell-two">
      <span>{name || id}</span>
      {name && name !== id ? <small>{id}</small> : null}
    </span>
  );
}

function useFound(kind: Props['kind'], typed: string): readonly Found[] {
  const q = typed.trim();
  const list = useQuery({
    queryKey: ['subjects', kind, kind === 'user' ? q : ''],
    queryFn: async ({ signal }) => (await ask(kind, q, signal)).items,
    placeholderData: keepPreviousData,
  });
  const isMeant = ({ id, name }: Found): boolean =>
    `${id}\n${name}`.toLowerCase().includes(q.toLowerCase());
  const items = list.data ?? [];
  return kind === 'user' ? items : items.filter(isMeant);
}

async function ask(kind: Props['kind'], q: string, signal: AbortSignal) {
  if (kind === 'team') {
    return valueOf(await api.get('/api/teams', { query: { limit: TEAMS_OFFERED }, signal }));
  }
  return valueOf(await api.get('/api/users', { query: { q, limit: USERS_OFFERED }, signal }));
}
