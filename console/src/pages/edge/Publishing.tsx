// How publishing stands, in numbers, and what went wrong last.

import { Alert } from 'antd';
import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { Status } from '../../ui/Status';
import { Tile, Tiles } from '../../ui/Tile';
import { Time } from '../../ui/Time';
import { edgeTexts } from './texts';

type Edge = Schemas['Edge'];
const TONES = {
  off: 'plain',
  current: 'good',
  waiting: 'accent',
  failing: 'bad',
  over_quota: 'warn',
} as const;
const STATES = Object.keys(TONES) as (keyof typeof TONES)[]; // its own keys

export function Publishing({ of: edge }: { readonly of: Edge }) {
  const t = useTexts(edgeTexts);
  return (
    <>
      {edge.error ? (
        <Alert
          role="alert"
          type="error"
          showIcon
          title={t.failure}
          description={
            <>
              {edge.error} · {t.again}: <Time at={edge.retry_at} withSeconds otherwise="–" />
            </>
          }
        />
      ) : null}
      <Figures of={edge} />
      <p className="muted">
        {t.publishedAt}: <Time at={edge.published_at} />
        {edge.publisher ? ` ${t.by(edge.publisher)}` : ''} · {t.reconciledAt}:{' '}
        <Time at={edge.reconciled_at} />
      </p>
    </>
  );
}

function Figures({ of: edge }: { readonly of: Edge }) {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  const count = (value: number): string => formatCount(value, language);
  const state = STATES.find((one) => one === edge.state);
  const quota = edge.writes_per_day === null ? t.noQuota : t.ofQuota(count(edge.writes_per_day));
  return (
    <Tiles>
      <Tile
        label={t.state}
        value={state ? <Status tone={TONES[state]}>{t[state]}</Status> : edge.state}
        note={edge.waiting === 0 ? t.currentNote : null}
      />
      <Tile
        label={t.entries}
        value={count(edge.entries)}
        note={edge.namespace_id ? t.namespace(edge.namespace_id) : null}
      />
      <Tile
        label={t.waits}
        value={count(edge.waiting)}
        note={
          edge.waiting > 0 ? (
            <>
              {t.revokes(count(edge.waiting_revocations))} · {t.since}{' '}
              <Time at={edge.waiting_since} />
            </>
          ) : null
        }
        tone={edge.waiting_revocations > 0 ? 'bad' : 'plain'}
      />
      <Tile
        label={t.writes}
        value={count(edge.writes_today)}
        note={`${quota} · ${t.deletes(count(edge.deletes_today))}`}
      />
    </Tiles>
  );
}
