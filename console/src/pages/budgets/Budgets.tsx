// Budgets: whose, how much, and how much of it is spent.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Progress } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import { Time } from '../../ui/Time';
import { RunsOut } from '../usage/RunsOut';
import { BudgetForm, SPANS } from './BudgetForm';
import { budgetTexts } from './texts';

type Budget = Schemas['Budget'];
const source = listOf('/api/budgets');

export default function Budgets() {
  const t = useTexts(budgetTexts);
  const refresh = useRefresh();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const [edited, setEdited] = useState<Budget | 'new' | null>(null);
  const again = (): Promise<void> => refresh('/api/budgets');
  const columns = useColumns();
  const remove = (budget: Budget) =>
    api.delete('/api/budgets/{budget_id}', { path: { budget_id: budget.id } });
  const ask = async (budget: Budget): Promise<void> => {
    const question = { title: t.askRemove(whoseOf(budget)), deed: t.remove };
    if (!(await confirm(question, () => remove(budget)))) return;
    message.success(t.removed);
    await again();
  };
  const bulk: readonly BulkAction<Budget>[] = [
    {
      key: 'remove',
      label: t.remove,
      isDanger: true,
      question: (budgets) => t.askRemoveMany(budgets.length),
      act: remove,
      onDone: again,
    },
  ];
  const create = mayChange ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setEdited('new');
      }}
    >
      {t.create}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={create} />
      <DataTable
        name="budgets"
        label={t.title}
        source={source}
        columns={columns}
        filters={[
          { kind: 'text', name: 'user_id', label: t.user },
          { kind: 'text', name: 'team_id', label: t.team },
        ]}
        rowKey={(budget) => budget.id}
        rowName={(budget) => whoseOf(budget)}
        actions={(budget) =>
          mayChange
            ? [
                {
                  key: 'edit',
                  label: t.edit,
                  onPick: () => {
                    setEdited(budget);
                  },
                },
                {
                  key: 'remove',
                  label: t.remove,
                  isDanger: true,
                  onPick: () => void ask(budget),
                },
              ]
            : []
        }
        {...(mayChange ? { bulk } : {})}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <RunsOut />
      <BudgetForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={again}
      />
    </div>
  );
}

function whoseOf(budget: Budget): string {
  return budget.user_id ?? budget.team_id ?? '';
}

/** Whole percent; of a bar one sees no more. */
function percentOf(budget: Budget): number {
  const amount = BigInt(budget.points_micros);
  return amount > 0n ? Number((BigInt(budget.spent_micros) * 100n) / amount) : 100;
}

function useColumns(): readonly Column<Budget>[] {
  const t = useTexts(budgetTexts);
  return [
    {
      key: 'whose',
      title: t.whose,
      csv: whoseOf,
      render: (budget) => (
        <span className="cell-two">
          {budget.user_id === null ? (
            <strong>{budget.team_id}</strong>
          ) : (
            <Link to={pageUrl('wallets', { user: budget.user_id })}>{budget.user_id}</Link>
          )}
          <small>{budget.user_id === null ? t.team : t.user}</small>
        </span>
      ),
    },
    {
      key: 'span',
      title: t.span,
      csv: (budget) => budget.span,
      render: (budget) => {
        const span = SPANS.find((one) => one === budget.span);
        return (
          <span className="cell-two">
            <span>{span ? t[span] : budget.span}</span>
            <small>{budget.zone}</small>
          </span>
        );
      },
    },
    {
      key: 'spent',
      title: t.spent,
      isNumber: true,
      csv: (budget) => plainPoints(budget.spent_micros),
      render: (budget) => <Points micros={budget.spent_micros} />,
    },
    {
      key: 'points',
      title: t.points,
      isNumber: true,
      csv: (budget) => plainPoints(budget.points_micros),
      render: (budget) => <Points micros={budget.points_micros} />,
    },
    {
      key: 'used',
      title: t.left,
      width: 180,
      csv: (budget) => percentOf(budget),
      render: (budget) => {
        const percent = percentOf(budget);
        return (
          <Progress
            percent={Math.min(percent, 100)}
            format={() => `${percent}%`}
            status={percent >= 100 ? 'exception' : 'normal'}
            size="small"
            aria-label={`${t.left}: ${whoseOf(budget)}`}
          />
        );
      },
    },
    {
      key: 'told_percent',
      title: t.told,
      isHiddenOnPhone: true,
      csv: (budget) => budget.told_percent,
      render: (budget) =>
        budget.told_percent > 0 ? (
          `${budget.told_percent}%`
        ) : (
          <span className="muted">{t.toldNothing}</span>
        ),
    },
    {
      key: 'created_at',
      title: t.created,
      isHiddenOnPhone: true,
      csv: (budget) => budget.created_at,
      render: (budget) => <Time at={budget.created_at} />,
    },
  ];
}
