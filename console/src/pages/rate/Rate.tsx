// The exchange rate: what it is, a change with its reason, and every change before.

import { App, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { listOf, useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { useActorName, useReason } from '../../ui/actors';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { FormDialog } from '../../ui/FormDialog';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Points } from '../../ui/Points';
import { microsOf, plainPoints } from '../../ui/points';
import { Tile, Tiles } from '../../ui/Tile';
import { Time } from '../../ui/Time';
import { RateChart } from './RateChart';
import { rateTexts } from './texts';

export type Change = Schemas['RateChange'];
const source = listOf('/api/exchange-rate/history');

export default function Rate() {
  const t = useTexts(rateTexts);
  const mayChange = useMay('administer');
  const refresh = useRefresh();
  const { message } = App.useApp();
  const [isOpen, setIsOpen] = useState(false);
  const current = useRead('/api/exchange-rate');
  const columns = useColumns();
  const micros = current.data?.rate_micros;
  const change = mayChange ? (
    <Button
      type="primary"
      onClick={() => {
        setIsOpen(true);
      }}
    >
      {t.change}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={change} />
      {current.error ? (
        <ErrorBanner error={errorOf(current.error)} onRetry={() => void current.refetch()} />
      ) : null}
      <Tiles>
        <Tile
          label={t.now}
          value={micros === undefined ? '–' : <Points micros={micros} />}
          note={
            current.data ? (
              <>
                {t.since} <Time at={current.data.updated_at} />
              </>
            ) : null
          }
        />
      </Tiles>
      <RateChart />
      <Panel title={t.history}>
        <DataTable
          name="exchange-rate"
          label={t.history}
          source={source}
          columns={columns}
          rowKey={(one) => one.version}
          empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} />}
        />
      </Panel>
      <FormDialog<{ rate: string; reason: string }>
        title={t.change}
        isOpen={isOpen}
        initial={{ rate: micros === undefined ? '' : plainPoints(micros), reason: '' }}
        onClose={() => {
          setIsOpen(false);
        }}
        onSubmit={async ({ rate, reason }) => {
          const result = await api.put('/api/exchange-rate', {
            body: { rate: rate.trim(), reason },
          });
          if (result.ok) {
            message.success(t.saved);
            await refresh('/api/exchange-rate', '/api/exchange-rate/history');
          }
          return result;
        }}
      >
        <Form.Item
          name="rate"
          label={t.rate}
          rules={[{ required: true, validator: (_, typed: string) => check(typed, t.notANumber) }]}
        >
          <Input inputMode="decimal" autoFocus />
        </Form.Item>
        <Form.Item name="reason" label={t.reason} extra={t.reasonHint}>
          <Input maxLength={1000} />
        </Form.Item>
      </FormDialog>
    </div>
  );
}

function check(typed: string, reason: string): Promise<void> {
  const micros = microsOf(typed);
  const isRate = micros !== null && BigInt(micros) > 0n;
  return isRate ? Promise.resolve() : Promise.reject(new Error(reason));
}

function useColumns(): readonly Column<Change>[] {
  const t = useTexts(rateTexts);
  const actorName = useActorName();
  const reasonSaid = useReason();
  return [
    {
      key: 'timestamp',
      title: t.when,
      csv: (one) => one.timestamp,
      render: (one) => <Time at={one.timestamp} />,
    },
    {
      key: 'old_rate',
      title: t.old,
      isNumber: true,
      csv: (one) => (one.old_rate_micros === null ? '' : plainPoints(one.old_rate_micros)),
      render: (one) =>
        one.old_rate_micros === null ? (
          <span className="muted">{t.first}</span>
        ) : (
          <Points micros={one.old_rate_micros} />
        ),
    },
    {
      key: 'new_rate',
      title: t.rate,
      isNumber: true,
      csv: (one) => plainPoints(one.new_rate_micros),
      render: (one) => <Points micros={one.new_rate_micros} />,
    },
    {
      key: 'reason',
      title: t.reason,
      csv: (one) => one.reason,
      render: (one) => reasonSaid(one.reason),
    },
    {
      key: 'admin_id',
      title: t.by,
      isHiddenOnPhone: true,
      csv: (one) => one.admin_id,
      render: (one) => actorName(one.admin_id),
    },
  ];
}
