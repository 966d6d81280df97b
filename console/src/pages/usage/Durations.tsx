// How long requests took: percentiles of everything, of each route and of each model.

import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount, formatDuration } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import type { Asked } from './asked';
import { Part } from './Part';
import { usageTexts } from './texts';

const PERCENTILES = ['p50_ms', 'p90_ms', 'p95_ms', 'p99_ms'] as const;

export function Durations({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const answer = useRead('/api/usage/latency', { query: { ...asked } });
  return (
    <Panel title={t.latency}>
      <Part answer={answer}>{(data) => <Percentiles of={data} />}</Part>
      <p className="muted">{t.latencyHint}</p>
    </Panel>
  );
}

function Percentiles({ of: data }: { readonly of: Schemas['Latencies'] }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const duration = (ms: number | null): string =>
    ms === null ? '–' : formatDuration(ms, language);
  const rows = [
    { ...data.overall, key: '', name: t.overall },
    ...data.routes.map((one) => ({ ...one, key: `route ${one.name}` })),
    ...data.models.map((one) => ({ ...one, key: `model ${one.name}` })),
  ];
  return (
    <div className="wide" tabIndex={0} role="region" aria-label={t.latency}>
      <PlainTable>
        <thead>
          <tr>
            <th scope="col">{t.what}</th>
            {[t.timed, t.mean, 'p50', 'p90', 'p95', 'p99'].map((title) => (
              <th key={title} scope="col" className="end">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row">{row.name}</th>
              <td className="end number">{formatCount(row.timed, language)}</td>
              <td className="end number">{duration(row.mean_ms)}</td>
              {PERCENTILES.map((name) => (
                <td key={name} className="end number">
                  {duration(row[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}
