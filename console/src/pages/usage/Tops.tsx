// Who and what is used most; a click asks about that one only.

import { useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatShort } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { formatMicros } from '../../ui/points';
import { Ranking } from '../../ui/Ranking';
import type { Asked } from './asked';
import { Part } from './Part';
import { usageTexts } from './texts';

const RANKS = ['uses', 'tokens', 'points'] as const;
type Rank = (typeof RANKS)[number];

export function Tops({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const routes = useRead('/api/usage/top-routes', { query: { ...asked, limit: 10 } });
  const models = useRead('/api/usage/top-models', { query: { ...asked, limit: 10 } });
  const named = useNamed();
  return (
    <div className="panels">
      <TopTokens asked={asked} />
      <Panel title={t.topRoutes}>
        <Part answer={routes}>
          {(data) => <Ranking items={data.items.map(named('route'))} empty={t.nothing} />}
        </Part>
      </Panel>
      <Panel title={t.topModels}>
        <Part answer={models}>
          {(data) => <Ranking items={data.items.map(named('model'))} empty={t.nothing} />}
        </Part>
      </Panel>
    </div>
  );
}

function TopTokens({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const [search, setSearch] = useSearchParams();
  const rank = RANKS.find((one) => one === search.get('rank')) ?? 'uses';
  const query = { ...asked, rank, limit: 10 };
  const answer = useRead('/api/usage/top-tokens', { query });
  const ranked = useRanked(rank);
  const words = { uses: t.rankUses, tokens: t.rankTokens, points: t.rankPoints };
  const choice = (
    <select
      aria-label={t.rankBy}
      value={rank}
      onChange={(event) => {
        const picked = event.target.value;
        setSearch((before) => {
          const next = new URLSearchParams(before);
          next.set('rank', picked);
          return next;
        });
      }}
    >
      {RANKS.map((one) => (
        <option key={one} value={one}>
          {words[one]}
        </option>
      ))}
    </select>
  );
  return (
    <Panel title={t.topTokens} extra={choice}>
      <Part answer={answer}>{(data) => <Ranking items={ranked(data)} empty={t.nothing} />}</Part>
    </Panel>
  );
}

function useRanked(rank: Rank) {
  const { language } = useLanguage();
  const link = useLink();
  const worth = (item: Schemas['TopToken'] | Schemas['Figures']): number => {
    if (rank === 'uses') return item.uses;
    // A bar may round; the number beside it does not.
    return rank === 'tokens' ? item.total_tokens : Number(item.points_micros);
  };
  return (data: Schemas['TopTokens']) =>
    data.items.map((item) => ({
      key: item.token.id,
      name: item.token.label || item.token.masked || item.token.id,
      share: worth(item) / Math.max(worth(data.total), 1),
      value:
        rank === 'points'
          ? formatMicros(item.points_micros, language, 2)
          : formatShort(worth(item), language),
      to: link('token', item.token.id),
    }));
}

function useNamed() {
  const { language } = useLanguage();
  const link = useLink();
  return (kind: 'route' | 'model') => (item: Schemas['TopName']) => ({
    key: item.name,
    name: item.name,
    share: item.share,
    value: formatShort(item.uses, language),
    to: link(kind, item.name),
  });
}

/** This page, with one more thing to ask about. */
function useLink() {
  const [search] = useSearchParams();
  return (name: string, value: string): string =>
    pageUrl('usage', { ...Object.fromEntries(search), [name]: value });
}
