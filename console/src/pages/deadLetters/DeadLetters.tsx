// Reports of use that were refused: why, what came, and trying them again.

import { App } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { Copyable } from '../../ui/Copyable';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { meaningOf } from '../../ui/errorWords';
import { PageHead } from '../../ui/PageHead';
import { type Deed, ReasonDialog } from '../../ui/ReasonDialog';
import type { RowAction } from '../../ui/RowMenu';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { useSourceName } from '../charges/columns';
import { pretty } from './pretty';
import { letterTexts } from './texts';

type Letter = Schemas['DeadLetter'];
const source = listOf('/api/dead-letters');
const STATES = { open: 'warn', replayed: 'good', dismissed: 'plain' } as const;
type StateName = keyof typeof STATES;
const STATE_NAMES = ['open', 'replayed', 'dismissed'] as const;

export default function DeadLetters() {
  const t = useTexts(letterTexts);
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const [asked, setAsked] = useState<Deed | null>(null);
  const again = (): Promise<void> => refresh('/api/dead-letters', '/api/charges');
  const columns = useColumns();
  const actions = useActions(again, setAsked);
  const bulk = useBulk(again);
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        name="dead-letters"
        label={t.title}
        source={source}
        columns={columns}
        filters={[
          {
            kind: 'choice',
            name: 'state',
            label: t.state,
            options: STATE_NAMES.map((state) => ({ value: state, label: t[state] })),
          },
        ]}
        rowKey={(letter) => letter.id}
        rowName={(letter) => letter.message}
        actions={actions}
        {...(mayChange ? { bulk } : {})}
        expanded={(letter) => <Content of={letter} />}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} />}
      />
      <ReasonDialog
        asked={asked}
        onClose={() => {
          setAsked(null);
        }}
      />
    </div>
  );
}

function Content({ of: letter }: { readonly of: Letter }) {
  const t = useTexts(letterTexts);
  return (
    <section>
      <p className="muted">
        {t.payloadHint} {t.deliveredTimes(letter.deliveries)}
      </p>
      <Copyable text={pretty(letter.payload)} label={t.payload} isBlock />
    </section>
  );
}

function useColumns(): readonly Column<Letter>[] {
  const t = useTexts(letterTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  return [
    {
      key: 'received_at',
      title: t.received,
      csv: (letter) => letter.received_at,
      render: (letter) => <Time at={letter.received_at} withSeconds />,
    },
    {
      key: 'code',
      title: t.why,
      csv: (letter) => `${letter.code}: ${letter.message}`,
      render: (letter) => (
        <span className="cell-two">
          <span>{meaningOf(letter.code, language) ?? letter.message}</span>
          <small>{language === 'en' ? letter.code : `${letter.code} · ${letter.message}`}</small>
        </span>
      ),
    },
    {
      key: 'user_id',
      title: t.user,
      isHiddenOnPhone: true,
      csv: (letter) => letter.user_id,
      render: (letter) => letter.user_id || <span className="muted">–</span>,
    },
    {
      key: 'source',
      title: t.source,
      isHiddenOnPhone: true,
      csv: (letter) => letter.source,
      render: (letter) => [nameOf(letter.source), letter.app].filter(Boolean).join(' · '),
    },
    {
      key: 'deliveries',
      title: t.deliveries,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (letter) => letter.deliveries,
      render: (letter) => letter.deliveries,
    },
    {
      key: 'state',
      title: t.state,
      csv: (letter) => letter.state,
      render: (letter) => <State name={letter.state} />,
    },
  ];
}

function State({ name }: { readonly name: string }) {
  const t = useTexts(letterTexts);
  const known: StateName | undefined = STATE_NAMES.find((one) => one === name);
  return known ? <Status tone={STATES[known]}>{t[known]}</Status> : <span>{name}</span>;
}

function replay(letter: Letter) {
  return api.post('/api/dead-letters/{letter_id}/replay', { path: { letter_id: letter.id } });
}

function dismiss(letter: Letter, reason = '') {
  const path = { letter_id: letter.id };
  return api.post('/api/dead-letters/{letter_id}/dismiss', { path, body: { reason } });
}

function useActions(
  again: () => Promise<void>,
  onAsk: (deed: Deed) => void,
): (letter: Letter) => readonly RowAction[] {
  const t = useTexts(letterTexts);
  const confirm = useConfirm();
  const navigate = useNavigate();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const tryAgain = async (letter: Letter): Promise<void> => {
    await confirm(
      { title: t.askReplay, deed: t.replay, canUndo: true, isDanger: false },
      async () => {
        const result = await replay(letter);
        if (result.ok) {
          const { letter: now, charges } = result.value;
          if (now.state === 'open') message.warning(t.stillRefused(now.message));
          else message.success(t.replayedNow(charges.length));
        }
        return result;
      },
    );
    await again();
  };
  return (letter) => {
    const charge = letter.charge_id;
    const seen: readonly RowAction[] = charge
      ? [
          {
            key: 'charge',
            label: t.charge,
            onPick: () => void navigate(pageUrl('charges', { charge })),
          },
        ]
      : [];
    if (!mayChange || letter.state !== 'open') return seen;
    return [
      ...seen,
      { key: 'replay', label: t.replay, onPick: () => void tryAgain(letter) },
      {
        key: 'dismiss',
        label: t.dismiss,
        isDanger: true,
        onPick: () => {
          onAsk({
            title: t.askDismiss,
            deed: t.dismiss,
            act: (reason) => dismiss(letter, reason),
            onDone: again,
          });
        },
      },
    ];
  };
}

function useBulk(onDone: () => Promise<void>): readonly BulkAction<Letter>[] {
  const t = useTexts(letterTexts);
  return [
    {
      key: 'replay',
      label: t.replay,
      question: (letters) => t.askReplayMany(letters.length),
      canUndo: true, // a charge can be refunded
      act: replay,
      onDone,
    },
    {
      key: 'dismiss',
      label: t.dismiss,
      isDanger: true,
      question: (letters) => t.askDismissMany(letters.length),
      act: (letter) => dismiss(letter),
      onDone,
    },
  ];
}
