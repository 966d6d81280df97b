// Keys and tokens that were never used, or not for long.

import { useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { Time } from '../../ui/Time';
import type { Asked } from './asked';
import { Part } from './Part';
import { usageTexts } from './texts';

const DAYS = [7, 30, 90, 180] as const;
const DAYS_DEFAULT = 30;

export function UnusedTokens({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const [search, setSearch] = useSearchParams();
  const days = DAYS.find((one) => String(one) === search.get('idle')) ?? DAYS_DEFAULT;
  const query = { team: asked.team, token: asked.token, days };
  const answer = useRead('/api/usage/unused', { query });
  const choice = (
    <select
      aria-label={t.idleDays}
      value={days}
      onChange={(event) => {
        const picked = event.target.value;
        setSearch((before) => {
          const next = new URLSearchParams(before);
          next.set('idle', picked);
          return next;
        });
      }}
    >
      {DAYS.map((one) => (
        <option key={one} value={one}>
          {t.daysMany(one)}
        </option>
      ))}
    </select>
  );
  return (
    <Panel title={t.unusedTitle} extra={choice}>
      <p className="muted">{t.unusedHint}</p>
      <Part answer={answer}>{(data) => <Lists of={data} />}</Part>
    </Panel>
  );
}

function Lists({ of: data }: { readonly of: Schemas['Unused'] }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  return (
    <div className="panels">
      <div>
        <h3>{t.never(formatCount(data.never_total, language))}</h3>
        <Names of={data.never} />
      </div>
      <div>
        <h3>{t.idle(data.days, formatCount(data.idle_total, language))}</h3>
        <Names of={data.idle} />
      </div>
    </div>
  );
}

function Names({ of: names }: { readonly of: readonly Schemas['Named'][] }) {
  const t = useTexts(usageTexts);
  if (names.length === 0) return <p className="muted">{t.allUsed}</p>;
  return (
    <ul className="plain-list">
      {names.map((one) => (
        <li key={one.id}>
          <span className="cell-two">
            <strong>{one.label || one.masked}</strong>
            <small>{[one.masked, one.team].filter(Boolean).join(' · ')}</small>
          </span>
          <small className="muted">
            {one.last_used === null ? t.since : t.last}
            <Time at={one.last_used ?? one.created_at} />
          </small>
        </li>
      ))}
    </ul>
  );
}
