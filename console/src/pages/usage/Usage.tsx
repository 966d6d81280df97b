// Usage: over time, by whom and of what, when in the week, how fast, with which errors.

import { Link, useSearchParams } from 'react-router';
import { useRead } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useTexts } from '../../i18n/language';
import { EmptyState } from '../../ui/EmptyState';
import { Notice } from '../../ui/Notice';
import { PageHead } from '../../ui/PageHead';
import { Panel } from '../../ui/Panel';
import { type Asked, filterOf, readAsked } from './asked';
import { CheaperModels } from './CheaperModels';
import { Durations } from './Durations';
import { ErrorRates } from './ErrorRates';
import { Export } from './Export';
import { Filters } from './Filters';
import { HeatMap } from './HeatMap';
import { HotRoutes } from './HotRoutes';
import { Part } from './Part';
import { RunsOut } from './RunsOut';
import { usageTexts } from './texts';
import { Tops } from './Tops';
import { Totals } from './Totals';
import { Trend } from './Trend';
import { UnusedTokens } from './UnusedTokens';
import './usage.css';

const EVERY_MS = 5_000;

export default function Usage() {
  const t = useTexts(usageTexts);
  const [search] = useSearchParams();
  const asked = readAsked(search);
  const series = useRead('/api/usage/series', { query: { ...asked }, everyMs: EVERY_MS });
  const zone = series.data?.zone;
  return (
    <div className="page">
      <PageHead title={t.title} lead={zone ? `${t.lead} ${t.inZone(zone)}` : t.lead} />
      <Filters asked={asked} />
      <Part answer={series}>
        {(data) => (
          <>
            {data.is_complete ? null : <Notice title={t.catchingUp} hint={t.catchingUpHint} />}
            {data.total.uses === 0 ? (
              <Nothing asked={asked} />
            ) : (
              <>
                <Totals of={data.total} />
                <HotRoutes asked={asked} />
                <Trend of={data} />
                <Tops asked={asked} />
                <HeatMap asked={asked} />
                <Durations asked={asked} />
                <ErrorRates asked={asked} />
                <CheaperModels asked={asked} />
              </>
            )}
          </>
        )}
      </Part>
      <RunsOut />
      <UnusedTokens asked={asked} />
      <Export asked={asked} />
    </div>
  );
}

function Nothing({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const isFiltered = Object.keys(filterOf(asked)).length > 0;
  return (
    <Panel>
      {isFiltered ? (
        <EmptyState title={t.emptyFiltered} hint={t.emptyFilteredHint} />
      ) : (
        <EmptyState
          title={t.emptyTitle}
          hint={t.emptyHint}
          action={
            <Link className="primary-link" to={pageUrl('start')}>
              {t.begin}
            </Link>
          }
        />
      )}
    </Panel>
  );
}
