// A charge in words: its columns, its state, its source.

import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import type { Column } from '../../ui/DataTable';
import { formatCount } from '../../ui/numbers';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import { Status } from '../../ui/Status';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { chargeTexts } from './texts';

export type Charge = Schemas['Charge'];
export const STATES = {
  charged: { text: 'charged', tone: 'good' },
  noted: { text: 'noted', tone: 'plain' },
  unpaid: { text: 'unpaid', tone: 'bad' },
  review: { text: 'review', tone: 'warn' },
  rejected: { text: 'rejected', tone: 'plain' },
  refunded: { text: 'refundedState', tone: 'accent' },
} as const;
const SOURCES = ['gateway', 'proxy', 'tracing', 'webhook', 'browser', 'hold'] as const;

export function useSourceName(): (source: string) => string {
  const t = useTexts(chargeTexts);
  return (source) => {
    const known = SOURCES.find((one) => one === source);
    return known ? t[known] : source;
  };
}

export function ChargeState({ state }: { readonly state: string }) {
  const t = useTexts(chargeTexts);
  const known = Object.entries(STATES).find(([name]) => name === state)?.[1];
  return known ? <Status tone={known.tone}>{t[known.text]}</Status> : <span>{state}</span>;
}

export function useChargeFilters(without: readonly string[] = []): readonly Filter[] {
  const t = useTexts(chargeTexts);
  const states = Object.entries(STATES).map(([value, { text }]) => ({ value, label: t[text] }));
  const all: readonly Filter[] = [
    { kind: 'text', name: 'user_id', label: t.user },
    { kind: 'text', name: 'model', label: t.model },
    { kind: 'text', name: 'message_id', label: t.message },
    { kind: 'choice', name: 'state', label: t.state, options: states },
    {
      kind: 'choice',
      name: 'source',
      label: t.source,
      options: SOURCES.map((value) => ({ value, label: t[value] })),
    },
    { kind: 'day', name: 'from', label: t.from },
    { kind: 'day', name: 'to', label: t.to },
  ];
  return all.filter((one) => !without.includes(one.name));
}

export function useChargeColumns(withUser: boolean): readonly Column<Charge>[] {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  const user: Column<Charge> = {
    key: 'user_id',
    title: t.user,
    csv: (charge) => charge.user_id,
    render: (charge) => charge.user_id,
  };
  return [
    {
      key: 'received_at',
      title: t.when,
      csv: (charge) => charge.received_at,
      render: (charge) => <Time at={charge.received_at} withSeconds />,
    },
    ...(withUser ? [user] : []),
    {
      key: 'model',
      title: t.model,
      csv: (charge) => charge.model,
      render: (charge) => charge.model,
    },
    {
      key: 'tokens',
      title: t.tokens,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (charge) => charge.total_tokens,
      render: (charge) => (
        <span className="cell-two number">
          <span>{formatCount(charge.total_tokens, language)}</span>
          <small>
            {formatCount(charge.input_tokens, language)} +{' '}
            {formatCount(charge.output_tokens, language)}
          </small>
        </span>
      ),
    },
    {
      key: 'points',
      title: t.points,
      isNumber: true,
      csv: (charge) => plainPoints(charge.points_micros),
      render: (charge) => <Points micros={charge.points_micros} />,
    },
    {
      key: 'refunded',
      title: t.refunded,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (charge) => plainPoints(charge.refunded_micros),
      render: (charge) =>
        charge.refunded_micros === '0' ? (
          <span className="muted">–</span>
        ) : (
          <Points micros={charge.refunded_micros} />
        ),
    },
    {
      key: 'state',
      title: t.state,
      csv: (charge) => charge.state,
      render: (charge) => <ChargeState state={charge.state} />,
    },
    {
      key: 'source',
      title: t.source,
      isHiddenOnPhone: true,
      csv: (charge) => charge.source,
      render: (charge) => nameOf(charge.source),
    },
  ];
}
