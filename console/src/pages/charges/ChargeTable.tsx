// Charges in a table, with what can be done about each in its state.

import { App } from 'antd';
import { type ReactNode, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { api } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { DataTable } from '../../ui/DataTable';
import { formatMicros } from '../../ui/points';
import { type Deed, ReasonDialog } from '../../ui/ReasonDialog';
import type { RowAction } from '../../ui/RowMenu';
import { ChargeDetail } from './ChargeDetail';
import { type Charge, useChargeColumns, useChargeFilters } from './columns';
import { RefundForm } from './RefundForm';
import { chargeTexts } from './texts';

interface Props {
  readonly label: string;
  /** What these charges have in common; it is not asked for again as a filter. */
  readonly common?: Readonly<Record<string, string>>;
  readonly prefix?: string;
  readonly bulk?: readonly BulkAction<Charge>[];
  readonly empty: ReactNode;
}

export function ChargeTable({ label, common = {}, prefix, bulk, empty }: Props) {
  const again = useChargesAgain();
  const [refunded, setRefunded] = useState<Charge | null>(null);
  const [asked, setAsked] = useState<Deed | null>(null);
  const [search, setSearch] = useSearchParams();
  const show = (id: string | null): void => {
    setSearch((before) => {
      const next = new URLSearchParams(before);
      if (id) next.set('charge', id);
      else next.delete('charge');
      return next;
    });
  };
  const actions = useActions(again, show, setRefunded, setAsked);
  const columns = useChargeColumns(!('user_id' in common));
  const filters = useChargeFilters(Object.keys(common));
  return (
    <>
      <DataTable
        name="charges"
        label={label}
        source={sourceOf(common)}
        columns={columns}
        filters={filters}
        rowKey={(charge) => charge.id}
        rowName={(charge) => `${charge.user_id} · ${charge.model} · ${charge.id}`}
        actions={actions}
        empty={empty}
        {...(prefix ? { prefix } : {})}
        {...(bulk ? { bulk } : {})}
      />
      <ChargeDetail
        id={search.get('charge')}
        onClose={() => {
          show(null);
        }}
      />
      <RefundForm
        charge={refunded}
        onClose={() => {
          setRefunded(null);
        }}
        onDone={again}
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

/** The cache knows a source by its `values`, so what is common stands there, too. */
function sourceOf(common: Readonly<Record<string, string>>) {
  return { ...listOf('/api/charges', { query: common }), values: common };
}

/** Whatever a decision about a charge changes. */
export function useChargesAgain(): () => Promise<void> {
  const refresh = useRefresh();
  return () =>
    refresh(
      '/api/charges',
      '/api/charges/{charge_id}',
      '/api/users/{user_id}/wallet',
      '/api/users/{user_id}/wallet/ledger',
      '/api/users',
    );
}

export const deeds = {
  settle: (charge: Charge) =>
    api.post('/api/charges/{charge_id}/settle', { path: { charge_id: charge.id } }),
  approve: (charge: Charge, reason = '') =>
    api.post('/api/charges/{charge_id}/approve', {
      path: { charge_id: charge.id },
      body: { reason },
    }),
  reject: (charge: Charge, reason = '') =>
    api.post('/api/charges/{charge_id}/reject', {
      path: { charge_id: charge.id },
      body: { reason },
    }),
};

function useActions(
  again: () => Promise<void>,
  onShow: (id: string) => void,
  onRefund: (charge: Charge) => void,
  onAsk: (deed: Deed) => void,
): (charge: Charge) => readonly RowAction[] {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const mayChange = useMay('operate');
  const navigate = useNavigate();
  const settle = useSettling(again);
  const pointsOf = (charge: Charge): string => formatMicros(charge.points_micros, language);
  const approve = (charge: Charge): void => {
    onAsk({
      title: t.askApprove(pointsOf(charge), charge.user_id),
      note: t.approveNote,
      deed: t.approve,
      act: (reason) => deeds.approve(charge, reason),
      onDone: again,
    });
  };
  const reject = (charge: Charge): void => {
    onAsk({
      title: t.askReject(pointsOf(charge), charge.user_id),
      deed: t.reject,
      act: (reason) => deeds.reject(charge, reason),
      onDone: again,
    });
  };
  return (charge) => {
    const action = (key: string, label: string, onPick: () => void): RowAction => ({
      key,
      label,
      onPick,
    });
    const seen = [
      action('show', t.details, () => {
        onShow(charge.id);
      }),
      action('wallet', t.wallet, () => void navigate(pageUrl('wallets', { user: charge.user_id }))),
    ];
    if (!mayChange) return seen;
    const refuse = {
      ...action('reject', t.reject, () => {
        reject(charge);
      }),
      isDanger: true,
    };
    if (charge.state === 'charged') {
      const refund = action('refund', t.refund, () => {
        onRefund(charge);
      });
      return [...seen, refund];
    }
    if (charge.state === 'unpaid') {
      return [
        ...seen,
        action('settle', t.settle, () => void settle.one(charge)),
        action('settleAll', t.settleAll, () => void settle.all(charge.user_id)),
        refuse,
      ];
    }
    if (charge.state === 'review') {
      const consent = action('approve', t.approve, () => {
        approve(charge);
      });
      return [...seen, consent, refuse];
    }
    return seen;
  };
}

function useSettling(again: () => Promise<void>) {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const confirm = useConfirm();
  const { message } = App.useApp();
  const one = async (charge: Charge): Promise<void> => {
    const title = t.askSettle(formatMicros(charge.points_micros, language), charge.user_id);
    const isDone = await confirm(
      { title, body: <p>{t.settleNote}</p>, deed: t.settle, canUndo: true },
      () => deeds.settle(charge),
    );
    if (!isDone) return;
    message.success(t.done);
    await again();
  };
  const all = async (user_id: string): Promise<void> => {
    const question = {
      title: t.askSettleAll(user_id),
      body: <p>{t.settleAllNote}</p>,
      deed: t.settle,
      canUndo: true,
    };
    await confirm(question, async () => {
      const result = await api.post('/api/users/{user_id}/wallet/settle', { path: { user_id } });
      if (result.ok) message.success(t.settledAll(result.value.paid, result.value.unpaid));
      return result;
    });
    await again();
  };
  return { one, all };
}
