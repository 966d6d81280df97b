// Batches of redeem codes: make, look into, void.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Modal } from 'antd';
import { useMemo, useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { formatCount } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { BatchForm } from './BatchForm';
import { CodesShown } from './CodesShown';
import { redeemTexts } from './texts';

type Batch = Schemas['Batch'];
const source = listOf('/api/redeem-batches');

export default function RedeemCodes() {
  const t = useTexts(redeemTexts);
  const { language } = useLanguage();
  const refresh = useRefresh();
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const [isMaking, setIsMaking] = useState(false);
  const [made, setMade] = useState<Batch | null>(null);
  const [opened, setOpened] = useState<Batch | null>(null);
  const columns = useColumns();
  const again = (): Promise<void> =>
    refresh('/api/redeem-batches', '/api/redeem-batches/{batch_id}/codes');
  const end = async (batch: Batch): Promise<void> => {
    const left = formatCount(batch.count - batch.redeemed, language);
    const question = { title: t.askVoid(left, batch.label || t.noLabel), deed: t.voidBatch };
    const path = { batch_id: batch.id };
    const isDone = await confirm(question, () =>
      api.post('/api/redeem-batches/{batch_id}/void', { path }),
    );
    if (!isDone) return;
    message.success(t.voidDone);
    await again();
  };
  const create = mayChange ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setIsMaking(true);
      }}
    >
      {t.create}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={create} />
      <DataTable
        name="redeem-batches"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(batch) => batch.id}
        actions={(batch) => [
          {
            key: 'codes',
            label: t.codes,
            onPick: () => {
              setOpened(batch);
            },
          },
          ...(mayChange && stateOf(batch) === 'active'
            ? [
                {
                  key: 'void',
                  label: t.voidBatch,
                  isDanger: true,
                  onPick: () => void end(batch),
                },
              ]
            : []),
        ]}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <BatchForm
        isOpen={isMaking}
        onClose={() => {
          setIsMaking(false);
        }}
        onMade={(batch) => {
          setMade(batch);
          void again();
        }}
      />
      <CodesShown
        made={made}
        onClose={() => {
          setMade(null);
        }}
      />
      <Modal
        title={opened ? t.codesOf(opened.label || t.noLabel) : ''}
        open={opened !== null}
        width={720}
        okText={t.close}
        cancelButtonProps={{ hidden: true }}
        onOk={() => {
          setOpened(null);
        }}
        onCancel={() => {
          setOpened(null);
        }}
      >
        {opened ? <Codes id={opened.id} /> : null}
      </Modal>
    </div>
  );
}

function stateOf(batch: Batch): 'voided' | 'used' | 'expired' | 'active' {
  if (batch.voided_at) return 'voided';
  if (batch.redeemed >= batch.count) return 'used';
  if (batch.expires_at && new Date(batch.expires_at) <= new Date()) return 'expired';
  return 'active';
}

function useColumns(): readonly Column<Batch>[] {
  const t = useTexts(redeemTexts);
  const { language } = useLanguage();
  return [
    {
      key: 'label',
      title: t.label,
      csv: (batch) => batch.label,
      render: (batch) => <strong>{batch.label || t.noLabel}</strong>,
    },
    {
      key: 'points',
      title: t.points,
      isNumber: true,
      csv: (batch) => plainPoints(batch.points_micros),
      render: (batch) => <Points micros={batch.points_micros} />,
    },
    {
      key: 'redeemed',
      title: t.redeemed,
      isNumber: true,
      csv: (batch) => `${batch.redeemed}/${batch.count}`,
      render: (batch) => (
        <span className="number">
          {t.ofAll(formatCount(batch.redeemed, language), formatCount(batch.count, language))}
        </span>
      ),
    },
    {
      key: 'state',
      title: t.state,
      csv: stateOf,
      render: (batch) => {
        const state = stateOf(batch);
        return <Status tone={state === 'active' ? 'good' : 'plain'}>{t[state]}</Status>;
      },
    },
    {
      key: 'grant_days',
      title: t.grantDays,
      isHiddenOnPhone: true,
      csv: (batch) => batch.grant_days,
      render: (batch) => (batch.grant_days === null ? t.forGood : t.days(batch.grant_days)),
    },
    {
      key: 'expires_at',
      title: t.expires,
      isHiddenOnPhone: true,
      csv: (batch) => batch.expires_at,
      render: (batch) => <Time at={batch.expires_at} otherwise={t.expiresNever} />,
    },
    {
      key: 'created_at',
      title: t.created,
      isHiddenOnPhone: true,
      csv: (batch) => batch.created_at,
      render: (batch) => <Time at={batch.created_at} />,
    },
  ];
}

function Codes({ id }: { readonly id: string }) {
  const t = useTexts(redeemTexts);
  const list = useMemo(
    () => listOf('/api/redeem-batches/{batch_id}/codes', { path: { batch_id: id } }),
    [id],
  );
  const columns: readonly Column<Schemas['MaskedCode']>[] = [
    {
      key: 'code',
      title: t.code,
      csv: (one) => one.code,
      render: (one) => <code>{one.code}</code>,
    },
    {
      key: 'user_id',
      title: t.by,
      csv: (one) => one.user_id,
      render: (one) => one.user_id ?? <span className="muted">{t.nobody}</span>,
    },
    {
      key: 'redeemed_at',
      title: t.when,
      csv: (one) => one.redeemed_at,
      render: (one) => <Time at={one.redeemed_at} otherwise="–" />,
    },
  ];
  return (
    <DataTable
      name={`codes-${id}`}
      label={t.codes}
      source={list}
      columns={columns}
      prefix="codes_"
      rowKey={(one) => one.code}
      empty={<EmptyState title={t.none} />}
    />
  );
}
