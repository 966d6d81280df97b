// Settings, to look at: what is in force, what differs from a fresh server, and whether all is well.

import { Button, Input, Switch } from 'antd';
import { useId, useState } from 'react';
import type { Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { Status } from '../../ui/Status';
import { settingTexts } from './texts';

type Setting = Schemas['Setting'];
const TONES = { ok: 'good', warn: 'warn', fail: 'bad' } as const;

export default function Settings() {
  const t = useTexts(settingTexts);
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <Doctor />
      <InForce />
    </div>
  );
}

function Doctor() {
  const t = useTexts(settingTexts);
  const { language } = useLanguage();
  const answer = useRead('/api/doctor', { query: { language } });
  const again = (
    <Button loading={answer.isFetching} onClick={() => void answer.refetch()}>
      {t.look}
    </Button>
  );
  return (
    <Panel title={t.doctor} extra={again}>
      {answer.error ? <ErrorBanner error={errorOf(answer.error)} /> : null}
      <ul className="findings">
        {answer.data?.findings.map((finding) => (
          <li key={finding.code + finding.text}>
            <Verdict of={finding} />
            <strong>{finding.title}</strong>
            <span>{finding.text}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Verdict({ of: finding }: { readonly of: Schemas['Finding'] }) {
  const t = useTexts(settingTexts);
  const verdict =
    (['ok', 'warn', 'fail'] as const).find((one) => one === finding.verdict) ?? 'warn';
  return <Status tone={TONES[verdict]}>{t[verdict]}</Status>;
}

function InForce() {
  const t = useTexts(settingTexts);
  const id = useId();
  const answer = useRead('/api/settings');
  const [isOnlySet, setIsOnlySet] = useState(false);
  const [wanted, setWanted] = useState('');
  const shown = (answer.data?.items ?? [])
    .filter((one) => (!isOnlySet || one.is_set) && isNamed(one, wanted))
    .sort(bySetThenName);
  const choices = (
    <div className="inline-form">
      <Input
        type="search"
        allowClear
        aria-label={t.search}
        placeholder={t.search}
        value={wanted}
        onChange={(event) => {
          setWanted(event.target.value);
        }}
      />
      <span className="together">
        <Switch id={id} checked={isOnlySet} onChange={setIsOnlySet} />
        <label htmlFor={id}>{t.onlySet}</label>
      </span>
    </div>
  );
  return (
    <Panel title={t.settings} extra={choices}>
      {answer.error ? (
        <ErrorBanner error={errorOf(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      <div className="plain-scroll" tabIndex={0} role="region" aria-label={t.settings}>
        <PlainTable>
          <thead>
            <tr>
              <th scope="col">{t.name}</th>
              <th scope="col">{t.value}</th>
              <th scope="col">{t.standard}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <Row key={one.name} of={one} />
            ))}
          </tbody>
        </PlainTable>
      </div>
    </Panel>
  );
}

function isNamed(one: Setting, wanted: string): boolean {
  return [one.name, ...one.aliases].some((name) => name.includes(wanted.trim().toUpperCase()));
}

/** What somebody has set is what one looks for. */
function bySetThenName(one: Setting, other: Setting): number {
  return Number(other.is_set) - Number(one.is_set) || one.name.localeCompare(other.name);
}

function Row({ of: one }: { readonly of: Setting }) {
  const t = useTexts(settingTexts);
  return (
    <tr data-set={one.is_set}>
      <th scope="row">
        <code>{one.name}</code>
        {one.aliases.map((alias) => (
          <small key={alias}>{alias}</small>
        ))}
      </th>
      <td>
        {one.is_secret ? (
          <span className="muted">{one.is_set ? t.secretSet : t.none}</span>
        ) : (
          <Value text={one.value} />
        )}
      </td>
      <td className="muted">{one.is_secret ? null : <Value text={one.default} />}</td>
    </tr>
  );
}

function Value({ text }: { readonly text: string | null }) {
  const t = useTexts(settingTexts);
  return text === null ? <span className="muted">{t.none}</span> : <code>{text}</code>;
}
