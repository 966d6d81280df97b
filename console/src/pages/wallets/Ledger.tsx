// Everything that ever changed a wallet, the newest first.

import { useMemo } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useTexts } from '../../i18n/language';
import { useActorName } from '../../ui/actors';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { walletTexts } from './texts';

type Entry = Schemas['LedgerEntry'];
const KINDS = {
  top_up: 'top_up',
  grant: 'grantEntry',
  expiry: 'expiry',
  charge: 'chargeEntry',
  overage: 'overage',
  refund: 'refund',
  adjust: 'adjustEntry',
  hold: 'hold',
  release: 'release',
  capture: 'capture',
} as const;

export function Ledger({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  const columns = useColumns();
  const filters: readonly Filter[] = [
    {
      kind: 'choice',
      name: 'kind',
      label: t.what,
      options: Object.entries(KINDS).map(([kind, text]) => ({ value: kind, label: t[text] })),
    },
    { kind: 'day', name: 'from', label: t.fromDay },
    { kind: 'day', name: 'to', label: t.toDay },
  ];
  const source = useMemo(
    () => listOf('/api/users/{user_id}/wallet/ledger', { path: { user_id: userId } }),
    [userId],
  );
  return (
    <DataTable
      name="ledger"
      label={t.ledger}
      source={source}
      columns={columns}
      filters={filters}
      prefix="ledger_"
      rowKey={(entry) => entry.id}
      empty={<EmptyState title={t.noLedger} hint={t.noLedgerHint} />}
    />
  );
}

function useColumns(): readonly Column<Entry>[] {
  const t = useTexts(walletTexts);
  const actorName = useActorName();
  return [
    {
      key: 'at',
      title: t.when,
      sort: 'at',
      csv: (entry) => entry.at,
      render: (entry) => <Time at={entry.at} withSeconds />,
    },
    {
      key: 'kind',
      title: t.what,
      csv: (entry) => entry.kind,
      render: (entry) => <Kind of={entry} />,
    },
    {
      key: 'points',
      title: t.change,
      isNumber: true,
      csv: (entry) => plainPoints(entry.points_micros),
      render: (entry) => <Signed micros={entry.points_micros} />,
    },
    {
      key: 'held',
      title: t.heldChange,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (entry) => plainPoints(entry.held_micros),
      render: (entry) => <Signed micros={entry.held_micros} />,
    },
    {
      key: 'balance',
      title: t.balance,
      isNumber: true,
      csv: (entry) => plainPoints(entry.balance_micros),
      render: (entry) => <Points micros={entry.balance_micros} />,
    },
    {
      key: 'reason',
      title: t.reason,
      csv: (entry) => entry.reason,
      render: (entry) => entry.reason,
    },
    {
      key: 'actor',
      title: t.actor,
      isHiddenOnPhone: true,
      csv: (entry) => entry.actor,
      render: (entry) => actorName(entry.actor),
    },
  ];
}

function Kind({ of: entry }: { readonly of: Entry }) {
  const t = useTexts(walletTexts);
  const text = Object.entries(KINDS).find(([kind]) => kind === entry.kind)?.[1];
  const said = text ? t[text] : entry.kind;
  if (!entry.charge_id) return <span>{said}</span>;
  return <Link to={pageUrl('charges', { charge: entry.charge_id })}>{said}</Link>;
}

function Signed({ micros }: { readonly micros: string }) {
  const value = BigInt(micros);
  if (value === 0n) return <span className="muted">–</span>;
  return (
    <span className={value > 0n ? 'good' : ''}>
      <Points micros={micros} isSigned />
    </span>
  );
}
