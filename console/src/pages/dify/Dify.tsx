// The Dify test page: listens to a frame with @tallygate/dify-monitor, asks before a call with
// @tallygate/react, and shows what the server decides.

import type { MonitorState } from '@tallygate/dify-monitor';
import { Alert, Button, Spin } from 'antd';
import { useRef, useState } from 'react';
import { errorOf } from '../../api/errors';
import { useRead } from '../../api/queries';
import { useWho } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { EmptyState } from '../../ui/EmptyState';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Points } from '../../ui/Points';
import { formatMicros } from '../../ui/points';
import { Tile, Tiles } from '../../ui/Tile';
import { Chat, originOf } from './Chat';
import type { MadeUp } from './events';
import { Log } from './Log';
import { Simulate } from './Simulate';
import { difyTexts } from './texts';
import { useMonitor, type Watching } from './useMonitor';

export default function Dify() {
  const t = useTexts(difyTexts);
  const who = useWho();
  const config = useRead('/api/dify/config');
  const error = config.error ? errorOf(config.error) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      {error ? <ErrorBanner error={error} onRetry={() => void config.refetch()} /> : null}
      {config.isPending ? <Spin /> : null}
      {config.data && !config.data.enabled ? (
        <EmptyState title={t.offTitle} hint={t.offHint} />
      ) : null}
      {config.data?.enabled && who.id === null ? (
        <EmptyState title={t.noAccountTitle} hint={t.noAccountHint} />
      ) : null}
      {config.data?.enabled && who.id !== null ? <Bench trust={config.data.browser_trust} /> : null}
    </div>
  );
}

function Bench({ trust }: { readonly trust: string }) {
  const t = useTexts(difyTexts);
  const frame = useRef<HTMLIFrameElement | null>(null);
  const [address, setAddress] = useState('');
  const watching = useMonitor(frame);
  const state: MonitorState = watching.status?.state ?? 'stopped';
  const isOn = state !== 'stopped' && state !== 'disabled' && state !== 'misconfigured';
  const say = (events: readonly MadeUp[]): void => {
    frame.current?.contentWindow?.postMessage({ say: events }, window.location.origin);
  };
  return (
    <>
      <Alert
        type="info"
        showIcon
        title={trust === 'charge' || trust === 'off' ? t[trust] : t.hint}
      />
      <div className="page-actions">
        <Button
          type="primary"
          disabled={isOn}
          onClick={() => {
            watching.start(address === '' ? window.location.origin : (originOf(address) ?? ''));
          }}
        >
          {t.start}
        </Button>
        <Button disabled={!isOn} onClick={watching.stop}>
          {t.stop}
        </Button>
        <span className="live" data-state={liveOf(state)} role="status">
          <span className="live-dot" aria-hidden="true" />
          {t[state]}
        </span>
      </div>
      <Figures watching={watching} />
      <div className="panels">
        <Simulate isListening={isOn && address === ''} say={say} />
        <Chat
          frame={frame}
          address={address}
          onAddress={(chosen) => {
            watching.stop();
            setAddress(chosen);
          }}
        />
      </div>
      <Panel title={t.log} extra={<Button onClick={watching.clear}>{t.clear}</Button>}>
        <Log log={watching.log} />
      </Panel>
    </>
  );
}

const COUNTS = ['waiting', 'reported', 'repeated', 'foreign', 'malformed', 'overflowed'] as const;

function Figures({ watching: { balance, status } }: { readonly watching: Watching }) {
  const t = useTexts(difyTexts);
  const { language } = useLanguage();
  const heldMicros = Math.round((balance?.held ?? 0) * 1_000_000);
  return (
    <Tiles>
      <Tile
        label={t.balance}
        value={balance ? <Points micros={String(balance.balanceMicros)} /> : '–'}
        note={heldMicros ? t.held(formatMicros(String(heldMicros), language)) : null}
      />
      {COUNTS.map((name) => (
        <Tile key={name} label={t[name]} value={status?.[name] ?? 0} />
      ))}
    </Tiles>
  );
}

function liveOf(state: MonitorState): 'live' | 'stale' | 'connecting' {
  if (state === 'listening') return 'live';
  return state === 'stopped' || state === 'starting' ? 'connecting' : 'stale';
}
