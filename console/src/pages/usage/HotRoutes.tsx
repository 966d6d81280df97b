// What is used right now, asked again every few seconds.

import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { Live } from '../../ui/Live';
import { formatCount } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { type Asked, filterOf } from './asked';
import { outlookTexts } from './outlookTexts';
import { Part } from './Part';

const EVERY_MS = 2_000;
const SHOWN = 10;

export function HotRoutes({ asked }: { readonly asked: Asked }) {
  const t = useTexts(outlookTexts);
  const query = { ...filterOf(asked), limit: SHOWN };
  const answer = useRead('/api/usage/hot', { query, everyMs: EVERY_MS });
  const state = answer.error ? 'stale' : answer.data ? 'live' : 'connecting';
  return (
    <Panel title={t.hot} extra={<Live state={state} />}>
      <Part answer={answer}>{(data) => <Routes of={data} />}</Part>
    </Panel>
  );
}

function Routes({ of: data }: { readonly of: Schemas['Hot'] }) {
  const t = useTexts(outlookTexts);
  const { language } = useLanguage();
  const count = (value: number): string => formatCount(value, language);
  if (data.items.length === 0) return <p className="muted">{t.hotNone(data.seconds)}</p>;
  return (
    <>
      <p className="muted">
        {t.hotLead(data.seconds)} {data.is_complete ? null : t.hotPart}
      </p>
      <div className="wide" tabIndex={0} role="region" aria-label={t.hot}>
        <PlainTable>
          <thead>
            <tr>
              <th scope="col">{t.route}</th>
              {[t.requests, t.perSecond, t.failures].map((title) => (
                <th key={title} scope="col" className="end">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {data.items.map((item) => (
              <tr key={item.route}>
                <th scope="row">{item.route}</th>
                <td className="end number">{count(item.uses)}</td>
                <td className="end number">{count(item.per_second)}</td>
                <td className="end number">{count(item.errors)}</td>
              </tr>
            ))}
          </tbody>
        </PlainTable>
      </div>
    </>
  );
}
