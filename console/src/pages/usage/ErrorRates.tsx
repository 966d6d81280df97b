// How requests failed, and where most of them did.

import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount, formatShare } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import type { Asked } from './asked';
import { Part } from './Part';
import { usageTexts } from './texts';

const COUNTS = ['uses', 'client_errors', 'server_errors', 'failures', 'refused'] as const;
type Row = Schemas['Rates'] & { readonly key: string; readonly name: string };

export function ErrorRates({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const answer = useRead('/api/usage/errors', { query: { ...asked } });
  return (
    <Panel title={t.errors}>
      <Part answer={answer}>
        {(data) =>
          data.overall.error_rate === 0 ? (
            <p className="muted">{t.noErrors}</p>
          ) : (
            <Rates of={data} />
          )
        }
      </Part>
    </Panel>
  );
}

function Rates({ of: data }: { readonly of: Schemas['Errors'] }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  return (
    <>
      <div className="wide" tabIndex={0} role="region" aria-label={t.errors}>
        <PlainTable>
          <thead>
            <tr>
              <th scope="col">{t.what}</th>
              {[t.requests, t.client, t.server, t.unanswered, t.refused, t.rate].map((title) => (
                <th key={title} scope="col" className="end">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rowsOf(data, t.overall).map((row) => (
              <tr key={row.key}>
                <th scope="row">{row.name}</th>
                {COUNTS.map((name) => (
                  <td key={name} className="end number">
                    {formatCount(row[name], language)}
                  </td>
                ))}
                <td className="end number">{formatShare(row.error_rate, language)}</td>
              </tr>
            ))}
          </tbody>
        </PlainTable>
      </div>
      <p className="muted">{t.refusedHint}</p>
    </>
  );
}

function rowsOf(data: Schemas['Errors'], overall: string): readonly Row[] {
  return [
    { ...data.overall, key: '', name: overall },
    ...data.routes.map((one) => ({ ...one, key: `route ${one.name}` })),
    ...data.models.map((one) => ({ ...one, key: `model ${one.name}` })),
    ...data.tokens.map((one) => ({
      ...one,
      key: `token ${one.token.id}`,
      name: one.token.label || one.token.masked || one.token.id,
    })),
  ];
}
