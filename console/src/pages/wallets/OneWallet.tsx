// One wallet: what is in it, and everything that ever happened to it.

import { Button, Tabs } from 'antd';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { EmptyState } from '../../ui/EmptyState';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { formatMicros } from '../../ui/points';
import { Tile, Tiles } from '../../ui/Tile';
import { ChargeTable } from '../charges/ChargeTable';
import { Grants } from './Grants';
import { Holds } from './Holds';
import { Ledger } from './Ledger';
import { walletTexts } from './texts';
import { type Change, WalletForm } from './WalletForm';

export type Wallet = Schemas['Wallet'];

export function OneWallet({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  const [change, setChange] = useState<Change | null>(null);
  const wallet = useRead('/api/users/{user_id}/wallet', { path: { user_id: userId } });
  const again = useWalletAgain();
  return (
    <div className="page">
      <PageHead
        title={t.walletOf(userId)}
        lead={
          <>
            {t.walletLead} <Link to={pageUrl('wallets')}>{t.all}</Link>
          </>
        }
        actions={wallet.data ? <Actions onPick={setChange} /> : null}
      />
      {wallet.error ? (
        <ErrorBanner error={errorOf(wallet.error)} onRetry={() => void wallet.refetch()} />
      ) : null}
      {wallet.data ? (
        <>
          <Figures of={wallet.data} />
          <Parts userId={userId} />
          <WalletForm
            change={change}
            wallet={wallet.data}
            onClose={() => {
              setChange(null);
            }}
            onSaved={again}
          />
        </>
      ) : null}
    </div>
  );
}

export function useWalletAgain(): () => Promise<void> {
  const refresh = useRefresh();
  return () =>
    refresh(
      '/api/users/{user_id}/wallet',
      '/api/users/{user_id}/wallet/ledger',
      '/api/users/{user_id}/wallet/grants',
      '/api/users/{user_id}/wallet/holds',
      '/api/charges',
      '/api/users',
    );
}

function Actions({ onPick }: { readonly onPick: (change: Change) => void }) {
  const t = useTexts(walletTexts);
  if (!useMay('operate')) return null;
  const button = (change: Change, label: string, isMain = false) => (
    <Button
      type={isMain ? 'primary' : 'default'}
      onClick={() => {
        onPick(change);
      }}
    >
      {label}
    </Button>
  );
  return (
    <>
      {button('topUp', t.topUp, true)}
      {button('grant', t.grant)}
      {button('adjust', t.adjust)}
      {button('limits', t.limits)}
    </>
  );
}

function Figures({ of: wallet }: { readonly of: Wallet }) {
  const t = useTexts(walletTexts);
  const { language } = useLanguage();
  const warning =
    wallet.warn_below_micros === null
      ? t.noWarning
      : t.warnBelow(formatMicros(wallet.warn_below_micros, language));
  const isDebt = BigInt(wallet.balance_micros) < 0n;
  return (
    <Tiles>
      <Tile
        label={t.balance}
        value={<Points micros={wallet.balance_micros} />}
        note={`${t.balanceNote} · ${warning}`}
        tone={isDebt ? 'bad' : 'plain'}
      />
      <Tile label={t.free} value={<Points micros={wallet.free_micros} />} note={t.freeNote} />
      <Tile label={t.held} value={<Points micros={wallet.held_micros} />} note={t.heldNote} />
      <Tile label={t.leased} value={<Points micros={wallet.leased_micros} />} note={t.leasedNote} />
      <Tile
        label={t.granted}
        value={<Points micros={wallet.granted_micros} />}
        note={t.grantedNote}
      />
      <Tile label={t.floor} value={<Points micros={wallet.floor_micros} />} note={t.floorNote} />
    </Tiles>
  );
}

function Parts({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  const [search, setSearch] = useSearchParams();
  const items = [
    { key: 'ledger', label: t.ledger, children: <Ledger userId={userId} /> },
    { key: 'grants', label: t.grants, children: <Grants userId={userId} /> },
    { key: 'holds', label: t.holds, children: <Holds userId={userId} /> },
    { key: 'charges', label: t.charges, children: <Charges userId={userId} /> },
  ];
  return (
    <Tabs
      items={items}
      activeKey={search.get('tab') ?? 'ledger'}
      destroyOnHidden
      onChange={(tab) => {
        setSearch({ user: userId, tab });
      }}
    />
  );
}

function Charges({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  return (
    <ChargeTable
      label={t.charges}
      common={{ user_id: userId }}
      prefix="charges_"
      empty={<EmptyState title={t.noCharges} hint={t.noChargesHint} />}
    />
  );
}
