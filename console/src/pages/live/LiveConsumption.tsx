// Charges as they are made, and how the webhook fares, by one stream of server-sent events.

import { Button } from 'antd';
import { useEffect, useMemo, useState } from 'react';
import { Link } from 'react-router';
import { apiUrl, pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { useEvents } from '../../live/useEvents';
import { Chart } from '../../ui/Chart';
import { EmptyState } from '../../ui/EmptyState';
import { Behind, Live } from '../../ui/Live';
import { Notice } from '../../ui/Notice';
import { formatCount, formatDuration, formatShare } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Points } from '../../ui/Points';
import { Tile, Tiles } from '../../ui/Tile';
import { Time } from '../../ui/Time';
import { Latest } from './Latest';
import { chargedWithin, EMPTY, type Feed, type Sample, take } from './feed';
import { liveTexts } from './texts';

const MINUTE_MS = 60_000;
const TICK_MS = 1_000;

export default function LiveConsumption() {
  const t = useTexts(liveTexts);
  const [feed, setFeed] = useState<Feed>(EMPTY);
  const [isPaused, setIsPaused] = useState(false);
  const state = useEvents(
    apiUrl('/api/consumption/live'),
    (name, data) => {
      setFeed((before) => take(before, name, data, Date.now()));
    },
    !isPaused,
  );
  const pause = (
    <Button
      aria-pressed={isPaused}
      onClick={() => {
        setIsPaused(!isPaused);
      }}
    >
      {isPaused ? t.resume : t.pause}
    </Button>
  );
  return (
    <div className="page">
      <PageHead
        title={t.title}
        lead={t.lead}
        actions={
          <>
            {isPaused ? null : <Live state={state} />}
            {pause}
          </>
        }
      />
      {isPaused ? <Notice title={t.paused} /> : <Behind state={state} heardAt={feed.heardAt} />}
      <Figures of={feed} />
      <Latency samples={feed.samples} />
      <Panel title={t.latest} extra={<Link to={pageUrl('charges')}>{t.all}</Link>}>
        {feed.charges.length > 0 ? (
          <Latest charges={feed.charges} />
        ) : (
          <EmptyState title={t.emptyTitle} hint={t.emptyHint} level={3} />
        )}
        {feed.heardAt ? (
          <p className="muted">
            {t.heard}: <Time at={feed.heardAt} withSeconds />
          </p>
        ) : null}
      </Panel>
    </div>
  );
}

/** The moment, again every second: what is a minute old leaves the sum by itself. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, TICK_MS);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return now;
}

function Figures({ of: feed }: { readonly of: Feed }) {
  const t = useTexts(liveTexts);
  const { language } = useLanguage();
  const now = useNow();
  const faring = feed.samples.at(-1)?.faring;
  const inTime = (ms: number | null | undefined): string =>
    ms === null || ms === undefined ? '–' : formatDuration(ms, language);
  const p99 = faring?.latency_ms.p99;
  return (
    <Tiles>
      <Tile
        label={t.minute}
        value={<Points micros={chargedWithin(feed.charges, now, MINUTE_MS).toString()} />}
        note={t.minuteNote(feed.charges.length)}
      />
      <Tile
        label={t.latency}
        value={inTime(faring?.latency_ms.p50)}
        note={p99 === null || p99 === undefined ? t.none : t.latencyNote(inTime(p99))}
      />
      <Tile
        label={t.errors}
        value={faring ? formatShare(faring.error_rate, language) : '–'}
        note={faring?.latest ? t.errorsNote(formatCount(faring.latest, language)) : t.none}
        tone={faring && faring.error_rate > 0 ? 'bad' : 'plain'}
      />
      <Tile
        label={t.queue}
        value={formatCount(faring?.queue, language)}
        note={faring ? t.queueNote(formatCount(faring.answered, language)) : ''}
      />
    </Tiles>
  );
}

function Latency({ samples }: { readonly samples: readonly Sample[] }) {
  const t = useTexts(liveTexts);
  const { language } = useLanguage();
  const measured = samples.filter((one) => one.faring.latency_ms.p50 !== null);
  const option = useMemo(
    () => ({
      tooltip: { trigger: 'axis' },
      legend: { data: [t.half, t.most] },
      xAxis: { type: 'time' },
      yAxis: {
        type: 'value',
        axisLabel: { formatter: (ms: number) => formatDuration(ms, language) },
      },
      series: (['p50', 'p99'] as const).map((name) => ({
        name: name === 'p50' ? t.half : t.most,
        type: 'line',
        showSymbol: false,
        data: measured.map((one) => [one.at, one.faring.latency_ms[name]]),
      })),
    }),
    [measured, t, language],
  );
  const latest = measured.at(-1)?.faring.latency_ms;
  if (measured.length < 2 || !latest) return null;
  const said = [latest.p50, latest.p99].map((ms) => formatDuration(ms ?? 0, language));
  return (
    <Panel title={t.chart}>
      <Chart option={option} height={180} label={t.chartSaid(said[0] ?? '', said[1] ?? '')} />
    </Panel>
  );
}
