// A wallet's grants: what was given, what is left of it, and until when.

import { useMemo, useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { Points } from '../../ui/Points';
import { formatMicros, plainPoints } from '../../ui/points';
import { type Deed, ReasonDialog } from '../../ui/ReasonDialog';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { useWalletAgain } from './OneWallet';
import { walletTexts } from './texts';

type Grant = Schemas['Grant'];

export function Grants({ userId }: { readonly userId: string }) {
  const t = useTexts(walletTexts);
  const { language } = useLanguage();
  const mayChange = useMay('operate');
  const again = useWalletAgain();
  const columns = useColumns();
  const [asked, setAsked] = useState<Deed | null>(null);
  const source = useMemo(
    () => listOf('/api/users/{user_id}/wallet/grants', { path: { user_id: userId } }),
    [userId],
  );
  const ask = (grant: Grant): void => {
    setAsked({
      title: t.askVoid(formatMicros(grant.left_micros, language)),
      deed: t.voidGrant,
      act: (reason) =>
        api.post('/api/grants/{grant_id}/void', { path: { grant_id: grant.id }, body: { reason } }),
      onDone: again,
    });
  };
  return (
    <>
      <DataTable
        name="grants"
        label={t.grants}
        source={source}
        columns={columns}
        prefix="grants_"
        rowKey={(grant) => grant.id}
        actions={(grant) =>
          mayChange && stateOf(grant) === 'running'
            ? [
                {
                  key: 'void',
                  label: t.voidGrant,
                  isDanger: true,
                  onPick: () => {
                    ask(grant);
                  },
                },
              ]
            : []
        }
        empty={<EmptyState title={t.noGrants} hint={t.noGrantsHint} />}
      />
      <ReasonDialog
        asked={asked}
        onClose={() => {
          setAsked(null);
        }}
      />
    </>
  );
}

function stateOf(grant: Grant): 'voided' | 'expired' | 'used' | 'running' {
  if (grant.voided_at) return 'voided';
  if (grant.expires_at && new Date(grant.expires_at) <= new Date()) return 'expired';
  return BigInt(grant.left_micros) > 0n ? 'running' : 'used';
}

function useColumns(): readonly Column<Grant>[] {
  const t = useTexts(walletTexts);
  return [
    {
      key: 'created_at',
      title: t.created,
      csv: (grant) => grant.created_at,
      render: (grant) => <Time at={grant.created_at} />,
    },
    {
      key: 'category',
      title: t.category,
      csv: (grant) => grant.category,
      render: (grant) => (grant.category === 'paid' ? t.paid : t.promotional),
    },
    {
      key: 'amount',
      title: t.amount,
      isNumber: true,
      csv: (grant) => plainPoints(grant.amount_micros),
      render: (grant) => <Points micros={grant.amount_micros} />,
    },
    {
      key: 'left',
      title: t.left,
      isNumber: true,
      csv: (grant) => plainPoints(grant.left_micros),
      render: (grant) => <Points micros={grant.left_micros} />,
    },
    {
      key: 'priority',
      title: t.priority,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (grant) => grant.priority,
      render: (grant) => grant.priority,
    },
    {
      key: 'expires_at',
      title: t.expires,
      csv: (grant) => grant.expires_at,
      render: (grant) => <Time at={grant.expires_at} otherwise={t.expiresNever} />,
    },
    {
      key: 'state',
      title: t.state,
      csv: stateOf,
      render: (grant) => {
        const state = stateOf(grant);
        return <Status tone={state === 'running' ? 'good' : 'plain'}>{t[state]}</Status>;
      },
    },
  ];
}
