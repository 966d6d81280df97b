// What is set aside in a wallet for something that runs.

import { App } from 'antd';
import { useMemo } from 'react';
import { api, type Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { Points } from '../../ui/Points';
import { formatMicros, plainPoints } from '../../ui/points';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { useWalletAgain } from './OneWallet';
import { walletTexts } from './texts';

type Hold = Schemas['Hold'];
const STATES = {
  open: { text: 'openHold', tone: 'accent' },
  captured: { text: 'captured', tone: 'good' },
  released: { text: 'released', tone: 'plain' },
  expired: { text: 'expired', tone: 'plain' },
} as const;

export function Holds({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  const columns = useColumns();
  const actions = useActions();
  const source = useMemo(
    () => listOf('/api/users/{user_id}/wallet/holds', { path: { user_id: userId } }),
    [userId],
  );
  return (
    <DataTable
      name="holds"
      label={t.holds}
      source={source}
      columns={columns}
      prefix="holds_"
      rowKey={(hold) => hold.id}
      actions={actions}
      empty={<EmptyState title={t.noHolds} hint={t.noHoldsHint} />}
    />
  );
}

function useActions(): (hold: Hold) => readonly RowAction[] {
  const t = useTexts(walletTexts);
  const { language } = useLanguage();
  const mayChange = useMay('operate');
  const again = useWalletAgain();
  const confirm = useConfirm();
  const { message } = App.useApp();
  const run = async (isWanted: Promise<boolean>): Promise<void> => {
    if (!(await isWanted)) return;
    message.success(t.done);
    await again();
  };
  const release = (hold: Hold): Promise<boolean> => {
    const title = t.askRelease(formatMicros(hold.amount_micros, language), hold.owner);
    return confirm({ title, deed: t.releaseHold }, () =>
      api.post('/api/holds/{hold_id}/release', { path: { hold_id: hold.id }, body: {} }),
    );
  };
  const capture = (hold: Hold): Promise<boolean> => {
    const title = t.askCapture(formatMicros(hold.amount_micros, language), hold.owner);
    return confirm({ title, deed: t.captureHold, canUndo: true }, () =>
      api.post('/api/holds/{hold_id}/capture', { path: { hold_id: hold.id }, body: {} }),
    );
  };
  return (hold) => {
    if (!mayChange || hold.state !== 'open') return [];
    return [
      { key: 'release', label: t.releaseHold, onPick: () => void run(release(hold)) },
      { key: 'capture', label: t.captureHold, onPick: () => void run(capture(hold)) },
    ];
  };
}

function useColumns(): readonly Column<Hold>[] {
  const t = useTexts(walletTexts);
  return [
    {
      key: 'created_at',
      title: t.created,
      csv: (hold) => hold.created_at,
      render: (hold) => <Time at={hold.created_at} withSeconds />,
    },
    {
      key: 'amount',
      title: t.amount,
      isNumber: true,
      csv: (hold) => plainPoints(hold.amount_micros),
      render: (hold) => <Points micros={hold.amount_micros} />,
    },
    { key: 'owner', title: t.owner, csv: (hold) => hold.owner, render: (hold) => hold.owner },
    {
      key: 'state',
      title: t.state,
      csv: (hold) => hold.state,
      render: (hold) => {
        const known = Object.entries(STATES).find(([name]) => name === hold.state)?.[1];
        return known ? <Status tone={known.tone}>{t[known.text]}</Status> : hold.state;
      },
    },
    {
      key: 'expires_at',
      title: t.expires,
      isHiddenOnPhone: true,
      csv: (hold) => hold.expires_at,
      render: (hold) => <Time at={hold.expires_at} />,
    },
    {
      key: 'reason',
      title: t.reason,
      isHiddenOnPhone: true,
      csv: (hold) => hold.reason,
      render: (hold) => hold.reason,
    },
  ];
}
