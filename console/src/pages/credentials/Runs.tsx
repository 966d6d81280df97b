// The keeper's last runs, and one now.

import { App, Button } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import { formatCount, formatDuration } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { Status } from '../../ui/Status';
import { Time } from '../../ui/Time';
import { Part } from '../usage/Part';
import { runTexts } from './runTexts';

type Run = Schemas['KeeperRun'];
const EVERY_MS = 3_000;
const SHOWN = 5;
const TONES = { running: 'accent', done: 'good', broken_off: 'bad' } as const;
const STATES = Object.keys(TONES) as (keyof typeof TONES)[]; // its own keys
const COUNTS = ['total', 'refreshed', 'failed', 'quarantined', 'deleted'] as const;

export function Runs() {
  const t = useTexts(runTexts);
  const answer = useRead('/api/keeper/runs', { query: { limit: SHOWN }, everyMs: EVERY_MS });
  const isRunning = answer.data?.items.some((run) => isOfAll(run) && run.state === 'running');
  return (
    <Panel title={t.runs} extra={<RunNow isRunning={isRunning ?? false} />}>
      <Part answer={answer}>
        {(data) =>
          data.items.length === 0 ? <p className="muted">{t.none}</p> : <Rows of={data.items} />
        }
      </Part>
    </Panel>
  );
}

function isOfAll(run: Run): boolean {
  return run.selection === 'all';
}

function RunNow({ isRunning }: { readonly isRunning: boolean }) {
  const t = useTexts(runTexts);
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const refresh = useRefresh();
  const mayRun = useMay('operate');
  const [isBusy, setIsBusy] = useState(false);
  const run = async (): Promise<void> => {
    setIsBusy(true);
    const result = await api.post('/api/keeper/run');
    setIsBusy(false);
    if (!result.ok) message.error(wordsOf(result.error));
    else if (result.value.is_started) message.success(t.begins);
    else message.info(t.underWay);
    await refresh('/api/keeper/runs');
  };
  if (!mayRun) return null;
  return (
    <Button loading={isBusy} disabled={isRunning} onClick={() => void run()}>
      {isRunning ? t.running : t.runNow}
    </Button>
  );
}

function Rows({ of: runs }: { readonly of: readonly Run[] }) {
  const t = useTexts(runTexts);
  return (
    <div className="scrolled" tabIndex={0} role="region" aria-label={t.runs}>
      <PlainTable>
        <thead>
          <tr>
            <th scope="col">{t.started}</th>
            <th scope="col">{t.state}</th>
            <th scope="col">{t.which}</th>
            {COUNTS.map((name) => (
              <th key={name} scope="col" className="end">
                {t[name]}
              </th>
            ))}
            <th scope="col" className="end">
              {t.took}
            </th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <Row key={run.id} of={run} />
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}

function Row({ of: run }: { readonly of: Run }) {
  const t = useTexts(runTexts);
  const { language } = useLanguage();
  const state = STATES.find((one) => one === run.state);
  const isOver = run.state === 'done' && run.finished_at !== null;
  const tookMs = isOver ? Date.parse(run.finished_at ?? '') - Date.parse(run.started_at) : null;
  return (
    <tr>
      <th scope="row">
        <Time at={run.started_at} withSeconds />
      </th>
      <td>{state ? <Status tone={TONES[state]}>{t[state]}</Status> : run.state}</td>
      <td>
        <span className="cell-two">
          <span>{whichOf(run.selection, t)}</span>
          <small>{run.owner}</small>
        </span>
      </td>
      {COUNTS.map((name) => (
        <td key={name} className="end number">
          {isOver ? formatCount(run[name], language) : '–'}
        </td>
      ))}
      <td className="end number">{tookMs === null ? '–' : formatDuration(tookMs, language)}</td>
    </tr>
  );
}

function whichOf(selection: string, t: { readonly all: string; readonly due: string }): string {
  if (selection === 'all') return t.all;
  return selection === 'due' ? t.due : selection;
}
