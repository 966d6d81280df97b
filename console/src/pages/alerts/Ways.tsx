// By which ways alerts leave, and what is watched: as far as the server says so to who looks.

import { Link } from 'react-router';
import { useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { LANGUAGE_NAMES, LANGUAGES, useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { Status } from '../../ui/Status';
import { alertTexts } from './texts';

const WAYS = [
  ['TALLYGATE_NOTIFY_URLS', 'wayChat'],
  ['TALLYGATE_NOTIFY_WEBHOOK_URL', 'wayWebhook'],
  ['TALLYGATE_MAIL_URL', 'wayMail'],
] as const;
const LANGUAGE_SETTING = 'TALLYGATE_NOTICE_LANGUAGE';

export function Ways() {
  const maySee = useMay('operate'); // settings are not shown to viewers
  return (
    <div className="panels">
      {maySee ? <Channels /> : null}
      <Watched />
    </div>
  );
}

function Channels() {
  const t = useTexts(alertTexts);
  const items = useRead('/api/settings').data?.items;
  if (!items) return null;
  const set = items.find((one) => one.name === LANGUAGE_SETTING);
  const spoken = LANGUAGES.find((one) => one === (set?.value ?? set?.default)) ?? 'en';
  return (
    <Panel title={t.waysTitle} extra={<Link to={pageUrl('settings')}>{t.toSettings}</Link>}>
      <ul className="plain-list">
        {WAYS.map(([name, words]) => {
          const isSet = items.some((one) => one.name === name && one.is_set);
          return (
            <li key={name}>
              <span className="cell-two">
                <strong>{t[words]}</strong>
                <small>
                  <code>{name}</code>
                </small>
              </span>
              <Status tone={isSet ? 'good' : 'plain'}>{isSet ? t.waySet : t.wayNotSet}</Status>
            </li>
          );
        })}
        <li>
          <span className="cell-two">
            <strong>{t.waysLanguage}</strong>
            <small>
              <code>{LANGUAGE_SETTING}</code>
            </small>
          </span>
          <span>{LANGUAGE_NAMES[spoken]}</span>
        </li>
      </ul>
    </Panel>
  );
}

function Watched() {
  const t = useTexts(alertTexts);
  const { language } = useLanguage();
  const one = { query: { limit: 1 } };
  const budgets = useRead('/api/budgets', one).data?.total;
  const credentials = useRead('/api/credentials', one).data?.total;
  const edge = useRead('/api/edge').data?.state;
  const rows = [
    { name: t.ruleLow, to: pageUrl('wallets'), says: t.ruleWallets },
    {
      name: t.ruleBudget,
      to: pageUrl('budgets'),
      says: t.ruleBudgets(formatCount(budgets, language)),
    },
    {
      name: t.ruleKeeper,
      to: pageUrl('credentials'),
      says: t.ruleCredentials(formatCount(credentials, language)),
    },
    {
      name: t.ruleEdge,
      to: pageUrl('edge'),
      says: edge === undefined || edge === 'off' ? t.ruleEdgeOff : t.ruleEdgeOn,
    },
    { name: t.ruleAnomaly, to: pageUrl('anomalies'), says: t.ruleAnomalies },
  ];
  return (
    <Panel title={t.watchedTitle}>
      <ul className="plain-list">
        {rows.map((row) => (
          <li key={row.to}>
            <span className="cell-two">
              <Link to={row.to}>{row.name}</Link>
              <small>{row.says}</small>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
