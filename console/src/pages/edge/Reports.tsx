// Uses that others report: how many were logged, and which were of unknown tokens or refused.

import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { Time } from '../../ui/Time';
import { Part } from '../usage/Part';
import { edgeTexts } from './texts';

const EVERY_MS = 10_000;
const COUNTS = ['logged', 'repeated', 'unknown', 'refused'] as const;

export function Reports() {
  const t = useTexts(edgeTexts);
  const answer = useRead('/api/usage/reports', { everyMs: EVERY_MS });
  return (
    <Panel title={t.reports}>
      <p className="muted">{t.reportsHint}</p>
      <Part answer={answer}>{(data) => <Shown of={data} />}</Part>
    </Panel>
  );
}

function Shown({ of: data }: { readonly of: Schemas['UsageReports'] }) {
  const t = useTexts(edgeTexts);
  if (COUNTS.every((name) => data[name] === 0)) return <p className="muted">{t.noReports}</p>;
  return (
    <>
      <Days of={data.days} />
      <Unknown of={data.unknown_tokens} />
      <Refused of={data.refused_for} />
    </>
  );
}

interface GridProps {
  readonly label: string;
  /** Those after the first are numbers, up to this one. */
  readonly numbers: number;
  readonly head: readonly string[];
  readonly children: ReactNode;
}

function Grid({ label, numbers, head, children }: GridProps) {
  return (
    <div className="scrolled" tabIndex={0} role="region" aria-label={label}>
      <PlainTable>
        <thead>
          <tr>
            {head.map((title, place) => (
              <th
                key={title}
                scope="col"
                className={place > 0 && place <= numbers ? 'end' : undefined}
              >
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </PlainTable>
    </div>
  );
}

function Days({ of: days }: { readonly of: readonly Schemas['ReportedDay'][] }) {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  const head = [t.day, t.logged, t.repeated, t.unknown, t.refused];
  return (
    <Grid label={t.reports} numbers={COUNTS.length} head={head}>
      {days.map((day) => (
        <tr key={day.day}>
          <th scope="row">{day.day}</th>
          {COUNTS.map((name) => (
            <td key={name} className="end number">
              {formatCount(day[name], language)}
            </td>
          ))}
        </tr>
      ))}
    </Grid>
  );
}

function Unknown({ of: tokens }: { readonly of: readonly Schemas['UnknownToken'][] }) {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  if (tokens.length === 0) return null;
  return (
    <>
      <h3>{t.unknownTokens}</h3>
      <Grid label={t.unknownTokens} numbers={1} head={[t.hash, t.uses, t.last, t.latestRoute]}>
        {tokens.map((one) => (
          <tr key={one.token_hash}>
            <th scope="row">
              <code>{one.token_hash}</code>
            </th>
            <td className="end number">{formatCount(one.uses, language)}</td>
            <td>
              <Time at={one.last_at} />
            </td>
            <td>{one.route}</td>
          </tr>
        ))}
      </Grid>
    </>
  );
}

function Refused({ of: reasons }: { readonly of: readonly Schemas['RefusedFor'][] }) {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  if (reasons.length === 0) return null;
  return (
    <>
      <h3>{t.refusedFor}</h3>
      <Grid label={t.refusedFor} numbers={1} head={[t.code, t.count, t.last, t.from]}>
        {reasons.map((one) => (
          <tr key={one.code}>
            <th scope="row">
              <code>{one.code}</code>
            </th>
            <td className="end number">{formatCount(one.reports, language)}</td>
            <td>
              <Time at={one.last_at} />
            </td>
            <td>{one.address}</td>
          </tr>
        ))}
      </Grid>
    </>
  );
}
