// The overview: what is going on today, and at once whether something is wrong.

import { useState } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { apiUrl, pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useEvents } from '../../live/useEvents';
import { EmptyState } from '../../ui/EmptyState';
import { Behind, Live } from '../../ui/Live';
import { Notice } from '../../ui/Notice';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { Ranking } from '../../ui/Ranking';
import { formatShort } from '../../ui/numbers';
import { Days, Hours } from './Charts';
import { TodayTiles } from './TodayTiles';
import { overviewTexts } from './texts';

type Overview = Schemas['Overview'];
interface Heard {
  readonly at: number;
  readonly overview: Overview;
}

export default function OverviewPage() {
  const t = useTexts(overviewTexts);
  const [heard, setHeard] = useState<Heard | null>(null);
  const state = useEvents(apiUrl('/api/usage/overview/live'), (name, data) => {
    // What the stream is documented to send.
    if (name === 'overview') setHeard({ at: Date.now(), overview: data as Overview });
  });
  const data = heard?.overview;
  return (
    <div className="page">
      <PageHead
        title={t.title}
        lead={data ? t.lead(data.zone) : ' '}
        actions={<Live state={state} />}
      />
      <Behind state={state} heardAt={heard?.at ?? null} />
      <DemoNotice />
      {data ? <Shown of={data} /> : <Waiting isIdle={state === 'stale'} />}
    </div>
  );
}

function isEmpty(overview: Overview): boolean {
  return overview.trend.every((point) => point.uses === 0);
}

function Shown({ of: data }: { readonly of: Overview }) {
  const t = useTexts(overviewTexts);
  return (
    <>
      <TodayTiles of={data} />
      {isEmpty(data) ? (
        <Panel>
          <EmptyState
            title={t.emptyTitle}
            hint={t.emptyHint}
            action={
              <Link className="primary-link" to={pageUrl('start')}>
                {t.begin}
              </Link>
            }
          />
        </Panel>
      ) : (
        <>
          <div className="panels">
            <Panel title={t.byHour}>
              <Hours points={data.hours} />
            </Panel>
            <Panel title={t.byDay}>
              <Days points={data.trend} />
            </Panel>
          </div>
          <Tops of={data} />
        </>
      )}
    </>
  );
}

/** The outline of what is to come, so that nothing jumps when it has. */
function Waiting({ isIdle }: { readonly isIdle: boolean }) {
  if (isIdle) return null;
  return (
    <div aria-hidden="true" className="page">
      <div className="outline" style={{ height: 102 }} />
      <div className="outline" style={{ height: 328 }} />
    </div>
  );
}

function Tops({ of: data }: { readonly of: Overview }) {
  const t = useTexts(overviewTexts);
  const { language } = useLanguage();
  const named = (item: Schemas['TopName']) => ({
    key: item.name,
    name: item.name,
    share: item.share,
    value: formatShort(item.uses, language),
  });
  const keys = data.top_tokens.map((item) => ({
    key: item.token.id,
    name: item.token.label || item.token.masked,
    share: item.share,
    value: formatShort(item.uses, language),
    to: pageUrl('usage', { token: item.token.id }),
  }));
  return (
    <div className="panels narrow">
      <Panel title={t.topKeys} extra={<Link to={pageUrl('keys')}>{t.allKeys}</Link>}>
        <Ranking items={keys} empty={t.nothing} />
      </Panel>
      <Panel title={t.topModels} extra={<Link to={pageUrl('usage')}>{t.allUsage}</Link>}>
        <Ranking items={data.top_models.map(named)} empty={t.nothing} />
      </Panel>
      {data.top_routes.length > 0 ? (
        <Panel title={t.topRoutes}>
          <Ranking items={data.top_routes.map(named)} empty={t.nothing} />
        </Panel>
      ) : null}
    </div>
  );
}

function DemoNotice() {
  const t = useTexts(overviewTexts);
  const providers = useRead('/api/providers', { query: { limit: 1 } });
  const mayAdd = useMay('administer');
  if (providers.data?.total !== 0) return null;
  return (
    <Notice
      title={t.demo}
      hint={t.demoHint}
      action={
        mayAdd ? <Link to={pageUrl('providers', { add: 'yes' })}>{t.addProvider}</Link> : null
      }
    />
  );
}
