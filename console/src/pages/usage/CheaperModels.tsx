// Models that would have cost less for the same tokens, the greatest saving first.

import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatShare } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { Points } from '../../ui/Points';
import type { Asked } from './asked';
import { outlookTexts } from './outlookTexts';
import { Part } from './Part';

const SHOWN = 10;

interface Props {
  readonly asked: Partial<Asked>;
  /** Nothing at all in place of «nothing». */
  readonly isQuiet?: boolean;
}

export function CheaperModels({ asked, isQuiet = false }: Props) {
  const t = useTexts(outlookTexts);
  const answer = useRead('/api/usage/advice', { query: { ...asked, limit: SHOWN } });
  if (isQuiet && !answer.data?.items.length) return null;
  return (
    <Panel title={t.advice}>
      <p className="muted">{t.adviceLead}</p>
      <Part answer={answer}>{(data) => <Advice of={data.items} />}</Part>
    </Panel>
  );
}

function Advice({ of: items }: { readonly of: readonly Schemas['TokenAdvice'][] }) {
  const t = useTexts(outlookTexts);
  const maySeeAll = useMay('read');
  if (items.length === 0) return <p className="muted">{t.adviceNone}</p>;
  return (
    <div className="wide" tabIndex={0} role="region" aria-label={t.advice}>
      <PlainTable>
        <thead>
          <tr>
            <th scope="col">{t.adviceKey}</th>
            <th scope="col">{t.adviceUsed}</th>
            <th scope="col" className="end">
              {t.adviceCost}
            </th>
            <th scope="col">{t.adviceInstead}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={`${item.token.id} ${item.model}`}>
              <th scope="row">
                {maySeeAll ? (
                  <Link to={pageUrl('usage', { token: item.token.id })}>{nameOf(item)}</Link>
                ) : (
                  nameOf(item)
                )}
              </th>
              <td>{item.model}</td>
              <td className="end">
                <Points micros={item.points_micros} digits={2} />
              </td>
              <td>
                <Instead of={item.cheaper} />
              </td>
            </tr>
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}

function Instead({ of: models }: { readonly of: readonly Schemas['CheaperModel'][] }) {
  const t = useTexts(outlookTexts);
  const { language } = useLanguage();
  return (
    <ul className="plain-words">
      {models.map((one) => (
        <li key={one.model}>
          {one.model}{' '}
          <small className="muted">
            {t.adviceSaved(formatShare(one.saved_percent / 100, language))}
          </small>
        </li>
      ))}
    </ul>
  );
}

function nameOf({ token }: Schemas['TokenAdvice']): string {
  return token.label || token.masked || token.id;
}
