// Balances and budgets that will be used up if it goes on like this, the soonest first.

import { Link } from 'react-router';
import { useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { Points } from '../../ui/Points';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { type End, endsOf } from './ends';
import { outlookTexts } from './outlookTexts';
import { Part } from './Part';

const EVERY_MS = 30_000;
const SHOWN = 10;
const FEW_DAYS = 7;

export function RunsOut() {
  const t = useTexts(outlookTexts);
  const answer = useRead('/api/usage/forecast', { query: { limit: SHOWN }, everyMs: EVERY_MS });
  return (
    <Panel title={t.forecast}>
      <p className="muted">{t.forecastLead}</p>
      <Part answer={answer}>{(data) => <Ends of={endsOf(data).slice(0, SHOWN)} />}</Part>
    </Panel>
  );
}

function Ends({ of: ends }: { readonly of: readonly End[] }) {
  const t = useTexts(outlookTexts);
  if (ends.length === 0) return <p className="muted">{t.forecastNone}</p>;
  return (
    <div className="wide" tabIndex={0} role="region" aria-label={t.forecast}>
      <PlainTable>
        <thead>
          <tr>
            <th scope="col">{t.whose}</th>
            {[t.left, t.spent, t.daysLeft].map((title) => (
              <th key={title} scope="col" className="end">
                {title}
              </th>
            ))}
            <th scope="col">{t.emptyAt}</th>
          </tr>
        </thead>
        <tbody>
          {ends.map((end) => (
            <Row key={end.key} of={end} />
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}

function Row({ of: end }: { readonly of: End }) {
  const t = useTexts(outlookTexts);
  const to =
    end.subjectKind === 'user'
      ? pageUrl('wallets', { user: end.subject })
      : pageUrl('usage', { team: end.subject });
  return (
    <tr>
      <th scope="row">
        <span className="cell-two">
          <Link to={to}>{end.subject}</Link>
          <small>{end.kind === 'balance' ? t.balanceOf : t.budgetOf(spanOf(end.span, t))}</small>
        </span>
      </th>
      <td className="end">
        <Points micros={end.leftMicros} digits={2} />
      </td>
      <td className="end">
        <Points micros={end.spentMicros} digits={2} />
      </td>
      <td className="end">
        <DaysLeft of={end} />
      </td>
      <td>{end.lasts ? <span className="muted">{t.lasts}</span> : <Time at={end.emptyAt} />}</td>
    </tr>
  );
}

function DaysLeft({ of: end }: { readonly of: End }) {
  const t = useTexts(outlookTexts);
  const { language } = useLanguage();
  if (BigInt(end.leftMicros) <= 0n) return <Status tone="bad">{t.overdrawn}</Status>;
  const days = new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(end.daysLeft);
  if (end.lasts) return <span className="number">{days}</span>;
  return <Status tone={end.daysLeft < FEW_DAYS ? 'warn' : 'plain'}>{days}</Status>;
}

type Texts = Readonly<Record<'spanMinute' | 'spanHour' | 'spanDay' | 'spanMonth', string>> & {
  readonly spanTotal: string;
};

function spanOf(span: string, t: Texts): string {
  const words: Readonly<Record<string, string>> = {
    minute: t.spanMinute,
    hour: t.spanHour,
    day: t.spanDay,
    month: t.spanMonth,
  };
  return words[span] ?? t.spanTotal;
}
