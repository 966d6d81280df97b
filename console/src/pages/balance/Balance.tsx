// One's own balance: what there is, what today and this month took, and how long it lasts.

import { App, Button, Form, Input } from 'antd';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { Chart } from '../../ui/Chart';
import { EmptyState } from '../../ui/EmptyState';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { FormDialog } from '../../ui/FormDialog';
import { Live } from '../../ui/Live';
import { Notice } from '../../ui/Notice';
import { formatCount, formatShare } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Points } from '../../ui/Points';
import { formatMicros } from '../../ui/points';
import { Tile, Tiles } from '../../ui/Tile';
import { CheaperModels } from '../usage/CheaperModels';
import { balanceTexts } from './texts';

const EVERY_MS = 3_000;
const SLOW_MS = 30_000;
const FEW_DAYS = 7;
const TREND_DAYS = 30;

export default function Balance() {
  const t = useTexts(balanceTexts);
  const [isRedeeming, setIsRedeeming] = useState(false);
  const balance = useRead('/api/user/points/balance', { everyMs: EVERY_MS });
  const day = new Date().getDate();
  const today = useRead('/api/usage/forecast', { query: { days: 1 }, everyMs: SLOW_MS });
  const month = useRead('/api/usage/forecast', { query: { days: day }, everyMs: SLOW_MS });
  const state = balance.error ? 'stale' : balance.data ? 'live' : 'connecting';
  return (
    <div className="page">
      <PageHead
        title={t.title}
        lead={t.lead}
        actions={
          <>
            <Live state={state} />
            <Button
              onClick={() => {
                setIsRedeeming(true);
              }}
            >
              {t.redeem}
            </Button>
          </>
        }
      />
      {balance.error ? (
        <ErrorBanner error={errorOf(balance.error)} onRetry={() => void balance.refetch()} />
      ) : null}
      <Notices balance={balance.data} forecast={month.data} />
      <Figures
        balance={balance.data}
        today={today.data?.balances[0]}
        month={month.data?.balances[0]}
      />
      <Trend />
      <CheaperModels asked={{ days: TREND_DAYS }} isQuiet />
      <Redeem
        isOpen={isRedeeming}
        onClose={() => {
          setIsRedeeming(false);
        }}
      />
    </div>
  );
}

interface FiguresProps {
  readonly balance: Schemas['Balance'] | undefined;
  readonly today: Schemas['BalanceEnd'] | undefined;
  readonly month: Schemas['BalanceEnd'] | undefined;
}

function Figures({ balance, today, month }: FiguresProps) {
  const t = useTexts(balanceTexts);
  const { language } = useLanguage();
  const spent = (end: Schemas['BalanceEnd'] | undefined) =>
    end ? <Points micros={end.spent_micros} /> : '–';
  const isEmpty = balance !== undefined && BigInt(balance.available_micros) <= 0n;
  const isHeld = balance !== undefined && balance.held_micros !== '0';
  const left = month?.days_left ?? null;
  const daysLeft = useDaysLeft();
  return (
    <Tiles>
      <Tile
        label={t.balance}
        value={balance ? <Points micros={balance.balance_micros} /> : '–'}
        note={isHeld ? t.held(formatMicros(balance.held_micros, language)) : t.nothingHeld}
        tone={isEmpty ? 'bad' : 'plain'}
      />
      <Tile label={t.today} value={spent(today)} />
      <Tile label={t.month} value={spent(month)} />
      <Tile
        label={t.days}
        value={left === null || isEmpty ? '–' : daysLeft(left)}
        note={left === null ? t.noEnd : t.daysNote}
      />
    </Tiles>
  );
}

/** In words; whole days, and never none of them while there is something left. */
function useDaysLeft(): (left: number) => string {
  const t = useTexts(balanceTexts);
  const { language } = useLanguage();
  return (left) => (left < 1 ? t.underADay : t.dayCount(formatCount(Math.floor(left), language)));
}

interface NoticesProps {
  readonly balance: Schemas['Balance'] | undefined;
  readonly forecast: Schemas['Forecast'] | undefined;
}

function Notices({ balance, forecast }: NoticesProps) {
  const t = useTexts(balanceTexts);
  const { language } = useLanguage();
  const left = forecast?.balances[0]?.days_left ?? null;
  const daysLeft = useDaysLeft();
  const isEmpty = balance !== undefined && BigInt(balance.available_micros) <= 0n;
  const isLow = !isEmpty && left !== null && left < FEW_DAYS;
  const budgets = (forecast?.budgets ?? []).filter((one) => percentOf(one) >= 80n);
  return (
    <>
      {isEmpty ? <Notice title={t.empty} hint={t.emptyHint} /> : null}
      {isLow ? <Notice title={t.low(daysLeft(left))} /> : null}
      {budgets.map((one) => (
        <Notice
          key={one.budget_id}
          title={t.budget(formatShare(Number(percentOf(one)) / 100, language))}
        />
      ))}
    </>
  );
}

function percentOf(budget: Schemas['BudgetEnd']): bigint {
  const amount = BigInt(budget.amount_micros);
  return amount > 0n ? (BigInt(budget.spent_micros) * 100n) / amount : 100n;
}

function Trend() {
  const t = useTexts(balanceTexts);
  const { language } = useLanguage();
  const series = useRead('/api/usage/series', {
    query: { days: TREND_DAYS, by: 'day' },
    everyMs: SLOW_MS,
  });
  const { data } = series;
  const option = useMemo(
    () => ({
      tooltip: { trigger: 'axis' },
      xAxis: { type: 'category', data: (data?.items ?? []).map((one) => one.label) },
      yAxis: { type: 'value' },
      series: [
        {
          name: t.title,
          type: 'bar',
          // A picture may round; the history does not.
          data: (data?.items ?? []).map((one) => Number(one.points_micros) / 1e6),
        },
      ],
    }),
    [data, t],
  );
  const links = <Link to={pageUrl('history')}>{t.toHistory}</Link>;
  if (!data) return null;
  return (
    <Panel title={t.trend} extra={links}>
      {data.total.uses === 0 ? (
        <EmptyState
          title={t.noTrend}
          hint={t.noTrendHint}
          action={
            <Link className="primary-link" to={pageUrl('ownKeys')}>
              {t.toKeys}
            </Link>
          }
          level={3}
        />
      ) : (
        <Chart
          option={option}
          label={t.trendSaid(formatMicros(data.total.points_micros, language))}
        />
      )}
    </Panel>
  );
}

function Redeem({ isOpen, onClose }: { readonly isOpen: boolean; readonly onClose: () => void }) {
  const t = useTexts(balanceTexts);
  const { language } = useLanguage();
  const { message } = App.useApp();
  const refresh = useRefresh();
  return (
    <FormDialog<{ code: string }>
      title={t.redeem}
      isOpen={isOpen}
      initial={{ code: '' }}
      submitText={t.redeem}
      onClose={onClose}
      onSubmit={async ({ code }) => {
        const result = await api.post('/api/user/redeem', { body: { code: code.trim() } });
        if (result.ok) {
          message.success(t.redeemed(formatMicros(result.value.points_micros, language)));
          await refresh('/api/user/points/balance', '/api/usage/forecast');
        }
        return result;
      }}
    >
      <Form.Item
        name="code"
        label={t.code}
        extra={t.codeHint}
        rules={[{ required: true, whitespace: true, message: t.codeNeeded }]}
      >
        <Input maxLength={200} autoFocus autoComplete="off" spellCheck={false} />
      </Form.Item>
    </FormDialog>
  );
}
