// The columns and filters of the tokens' table.

import { useTexts } from '../../i18n/language';
import type { Column } from '../../ui/DataTable';
import { LimitWords } from '../../ui/LimitFields';
import { rowOf } from '../../ui/limits';
import { Status } from '../../ui/Status';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { tokenTexts } from './texts';
import type { Token } from './Tokens';
import { useTeams } from './useTeams';

export function useFilters(): readonly Filter[] {
  const t = useTexts(tokenTexts);
  const teams = useTeams();
  const options = teams.map((team) => ({ value: team.id, label: team.name }));
  return [
    { kind: 'text', name: 'name', label: t.search },
    { kind: 'choice', name: 'team', label: t.team, options },
  ];
}

export function useColumns(): readonly Column<Token>[] {
  const who = useWho();
  const times = useTimes();
  return [...who, ...times];
}

function useWho(): readonly Column<Token>[] {
  const t = useTexts(tokenTexts);
  const names = new Map(useTeams().map((team) => [team.id, team.name]));
  const teamOf = (token: Token): string =>
    token.team_id === null ? '' : (names.get(token.team_id) ?? token.team_id);
  return [
    {
      key: 'name',
      title: t.name,
      sort: 'name',
      csv: (token) => token.name,
      render: (token) => (
        <span className="cell-two">
          <strong>{token.name}</strong>
          <small>
            <code>{token.masked}</code>
          </small>
        </span>
      ),
    },
    {
      key: 'team',
      title: t.team,
      csv: teamOf,
      render: (token) => teamOf(token) || <span className="muted">{t.noTeam}</span>,
    },
    {
      key: 'scopes',
      title: t.scopes,
      isHiddenOnPhone: true,
      csv: (token) => token.scopes.join(' '),
      render: (token) => <Scopes of={token.scopes} />,
    },
    {
      key: 'state',
      title: t.state,
      csv: (token) => (token.is_active ? 'active' : 'inactive'),
      render: (token) => <State of={token} />,
    },
    {
      key: 'limits',
      title: t.limits,
      isHiddenOnPhone: true,
      render: (token) => <LimitWords of={token.limits.map(rowOf)} />,
    },
  ];
}

function useTimes(): readonly Column<Token>[] {
  const t = useTexts(tokenTexts);
  return [
    {
      key: 'last_used',
      title: t.lastUsed,
      sort: 'last_used',
      csv: (token) => token.last_used,
      render: (token) =>
        token.last_used === null ? (
          <span className="muted">{t.unused}</span>
        ) : (
          <span>
            {t.usedAt}
            <Time at={token.last_used} />
          </span>
        ),
    },
    {
      key: 'expires_at',
      title: t.expires,
      sort: 'expires_at',
      isHiddenOnPhone: true,
      csv: (token) => token.expires_at,
      render: (token) => <Time at={token.expires_at} otherwise={t.expiresNever} />,
    },
    {
      key: 'created_at',
      title: t.created,
      sort: 'created_at',
      isHiddenOnPhone: true,
      csv: (token) => token.created_at,
      render: (token) => <Time at={token.created_at} />,
    },
  ];
}

function Scopes({ of: scopes }: { readonly of: readonly string[] }) {
  const t = useTexts(tokenTexts);
  if (scopes.length === 0) return <span className="muted">{t.noScopes}</span>;
  if (scopes.includes('*')) return <span>{t.everyScope}</span>;
  return <span>{scopes.join(', ')}</span>;
}

function State({ of: token }: { readonly of: Token }) {
  const t = useTexts(tokenTexts);
  if (!token.is_active) return <Status tone="plain">{t.inactive}</Status>;
  const isExpired = token.expires_at !== null && new Date(token.expires_at) <= new Date();
  if (isExpired) return <Status tone="warn">{t.expired}</Status>;
  return <Status tone="good">{t.active}</Status>;
}
