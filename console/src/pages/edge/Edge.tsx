// The edge: how publishing to it stands, what it does not serve, and the uses that are reported.

import { App, Button } from 'antd';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { errorOf } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import { useConfirm } from '../../ui/confirm';
import { EmptyState } from '../../ui/EmptyState';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { formatCount } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Publishing } from './Publishing';
import { Reports } from './Reports';
import { edgeTexts } from './texts';
import { Withheld } from './Withheld';

const EVERY_MS = 5_000;

export default function EdgePage() {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  const answer = useRead('/api/edge', { query: { language }, everyMs: EVERY_MS });
  const edge = answer.data;
  const isOn = edge !== undefined && edge.state !== 'off';
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={isOn ? <Deeds /> : null} />
      {answer.error ? (
        <ErrorBanner error={errorOf(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      {edge?.state === 'off' ? (
        <Panel>
          <EmptyState title={t.offTitle} hint={t.offHint} />
        </Panel>
      ) : null}
      {isOn ? <Publishing of={edge} /> : null}
      {isOn && edge.withheld_routes.length > 0 ? <Withheld of={edge.withheld_routes} /> : null}
      <Reports />
    </div>
  );
}

/** Publishing at once, and comparing all there is first. */
function Deeds() {
  const t = useTexts(edgeTexts);
  const { language } = useLanguage();
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const confirm = useConfirm();
  const refresh = useRefresh();
  const [isBusy, setIsBusy] = useState(false);
  const mayPublish = useMay('operate');
  const said = async (edge: Schemas['Edge']): Promise<void> => {
    if (edge.waiting === 0) message.success(t.published);
    else message.warning(t.stillWaits(formatCount(edge.waiting, language)));
    await refresh('/api/edge');
  };
  const publish = async (): Promise<void> => {
    setIsBusy(true);
    const result = await api.post('/api/edge/publish', { body: {} });
    setIsBusy(false);
    if (result.ok) await said(result.value);
    else message.error(wordsOf(result.error));
  };
  const compare = async (): Promise<void> => {
    const question = { title: t.askCompare, body: t.compareHint, deed: t.compare, canUndo: true };
    await confirm(question, async () => {
      const result = await api.post('/api/edge/publish', { body: { reconcile: true } });
      if (result.ok) await said(result.value);
      return result;
    });
  };
  if (!mayPublish) return null;
  return (
    <>
      <Button onClick={() => void compare()}>{t.compare}</Button>
      <Button type="primary" loading={isBusy} onClick={() => void publish()}>
        {t.publish}
      </Button>
    </>
  );
}
