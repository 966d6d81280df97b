// Which days, in which steps, and of whom; all of it in the address.

import { useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { type Filter, TableFilters } from '../../ui/TableFilters';
import { type Asked, BY_HOUR_DAYS_MAX, DAYS_OFFERED, NAMES } from './asked';
import { usageTexts } from './texts';

const OFFERED = 100;
const TEAMS = 1000;

interface Choice {
  readonly value: string;
  readonly label: string;
}

export function Filters({ asked }: { readonly asked: Asked }) {
  const [search, setSearch] = useSearchParams();
  const filters = useFilters(asked);
  const given = NAMES.flatMap((name) => {
    const value = search.get(name);
    return value ? [[name, value] as const] : [];
  });
  return (
    <TableFilters
      filters={filters}
      values={Object.fromEntries(given)}
      onChange={(values) => {
        setSearch((before) => {
          const next = new URLSearchParams(before);
          for (const name of NAMES) {
            const value = values[name];
            if (value) next.set(name, value);
            else next.delete(name);
          }
          return next;
        });
      }}
    />
  );
}

function useFilters(asked: Asked): readonly Filter[] {
  const t = useTexts(usageTexts);
  const query = { days: asked.days, limit: OFFERED };
  const teams = useRead('/api/teams', { query: { limit: TEAMS } }).data?.items ?? [];
  const tokens = useRead('/api/usage/top-tokens', { query }).data?.items ?? [];
  const routes = useRead('/api/usage/top-routes', { query }).data?.items ?? [];
  const models = useRead('/api/usage/top-models', { query }).data?.items ?? [];
  const choice = (name: string, label: string, options: readonly Choice[], chosen?: string) =>
    ({ kind: 'choice', name, label, options: withChosen(options, chosen) }) as const;
  const days = DAYS_OFFERED.map((one) => ({ value: String(one), label: t.daysLast(one) }));
  const steps = [
    { value: 'day', label: t.day },
    ...(asked.days > BY_HOUR_DAYS_MAX ? [] : [{ value: 'hour', label: t.hour }]),
  ];
  return [
    choice('days', t.window, days),
    choice('by', t.step, steps),
    choice('team', t.team, teams.map(teamChoice), asked.team),
    choice('token', t.token, tokens.map(tokenChoice), asked.token),
    choice('route', t.route, routes.map(nameChoice), asked.route),
    choice('model', t.model, models.map(nameChoice), asked.model),
  ];
}

function teamChoice(team: Schemas['Team']): Choice {
  return { value: team.id, label: team.name };
}

function tokenChoice({ token }: Schemas['TopToken']): Choice {
  return { value: token.id, label: token.label || token.masked || token.id };
}

function nameChoice({ name }: Schemas['TopName']): Choice {
  return { value: name, label: name };
}

/** What a link chose can be seen and cleared, also when it was not used in these days. */
function withChosen(options: readonly Choice[], chosen: string | undefined): readonly Choice[] {
  if (!chosen || options.some((one) => one.value === chosen)) return options;
  return [{ value: chosen, label: chosen }, ...options];
}
