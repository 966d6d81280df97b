// One charge with all that was said of it, and its sum computed again from its pinned versions.

import { Modal } from 'antd';
import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { formatCount } from '../../ui/numbers';
import { Points } from '../../ui/Points';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { ChargeState, useSourceName } from './columns';
import { chargeTexts } from './texts';

interface Props {
  readonly id: string | null;
  readonly onClose: () => void;
}

export function ChargeDetail({ id, onClose }: Props) {
  const t = useTexts(chargeTexts);
  return (
    <Modal
      title={t.detailTitle}
      open={id !== null}
      width={720}
      okText={t.close}
      cancelButtonProps={{ hidden: true }}
      onOk={onClose}
      onCancel={onClose}
    >
      {id === null ? null : <Shown id={id} />}
    </Modal>
  );
}

function Shown({ id }: { readonly id: string }) {
  const t = useTexts(chargeTexts);
  const answer = useRead('/api/charges/{charge_id}', { path: { charge_id: id } });
  if (answer.error) {
    return <ErrorBanner error={errorOf(answer.error)} onRetry={() => void answer.refetch()} />;
  }
  if (!answer.data) return <div className="chart-waiting" style={{ height: 320 }} />;
  const { charge, reports, replay } = answer.data;
  return (
    <div className="page">
      <section>
        <h3>
          {t.replay} <Verdict of={replay} />
        </h3>
        <p className="muted">{t.replayHint}</p>
        <pre className="calculation" tabIndex={0} aria-label={t.replay}>
          {replay.lines.join('\n')}
        </pre>
      </section>
      <section>
        <h3>{t.facts}</h3>
        <Facts of={charge} />
      </section>
      {reports.length > 0 ? (
        <section>
          <h3>{t.reports}</h3>
          <Reports of={reports} />
        </section>
      ) : null}
      <Copyable text={charge.id} label={t.title} />
    </div>
  );
}

function Verdict({ of: replay }: { readonly of: Schemas['Replay'] }) {
  const t = useTexts(chargeTexts);
  if (replay.points_micros === null) return <Status tone="plain">{t.isNamed}</Status>;
  if (replay.is_same) return <Status tone="good">{t.isSame}</Status>;
  return <Status tone="bad">{t.isOther}</Status>;
}

function Facts({ of: charge }: { readonly of: Schemas['Charge'] }) {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  const count = (value: number): string => formatCount(value, language);
  const rows: readonly (readonly [string, ReactNode])[] = [
    [t.user, charge.user_id],
    [t.model, charge.model],
    [t.state, <ChargeState key="state" state={charge.state} />],
    [t.points, <Points key="points" micros={charge.points_micros} />],
    [t.refunded, <Points key="refunded" micros={charge.refunded_micros} />],
    [t.balanceAfter, <Points key="balance" micros={charge.balance_after_micros} />],
    [t.input, count(charge.input_tokens)],
    [t.output, count(charge.output_tokens)],
    [t.cacheRead, count(charge.cache_read_tokens)],
    [t.cacheWrite, count(charge.cache_write_tokens)],
    [t.source, [nameOf(charge.source), charge.instance].filter(Boolean).join(' · ')],
    [t.event, <Time key="event" at={charge.event_at} withSeconds />],
    [t.received, <Time key="received" at={charge.received_at} withSeconds />],
    [t.priceVersion, charge.price_version],
    [t.rateVersion, charge.rate_version],
    [t.message, charge.message_id],
    [t.conversation, charge.conversation_id],
    [t.request, charge.request_id],
  ];
  return (
    <table className="plain-table">
      <tbody>
        {rows
          .filter(([, value]) => value !== '' && value !== null)
          .map(([name, value]) => (
            <tr key={name}>
              <th scope="row" className="muted">
                {name}
              </th>
              <td>{value}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

function Reports({ of: reports }: { readonly of: readonly Schemas['Report'][] }) {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  return (
    <table className="plain-table">
      <thead>
        <tr>
          {[t.source, t.user, t.model].map((title) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
          <th scope="col" className="end">
            {t.input}
          </th>
          <th scope="col" className="end">
            {t.output}
          </th>
        </tr>
      </thead>
      <tbody>
        {reports.map((one) => (
          <tr key={one.source}>
            <td>{nameOf(one.source)}</td>
            <td>{one.user_id}</td>
            <td>{one.model}</td>
            <td className="end number">{formatCount(one.input_tokens, language)}</td>
            <td className="end number">{formatCount(one.output_tokens, language)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
