// What speaks for an anomaly: in a few words for the list, and in full below its row.

import { useLanguage, useTexts } from '../../i18n/language';
import { Chart } from '../../ui/Chart';
import { PlainTable } from '../../ui/PlainTable';
import { Time } from '../../ui/Time';
import type { Anomaly } from './Anomalies';
import { anomalyTexts } from './texts';

/** One line for each anomaly. */
export function useWords(): (one: Anomaly) => string {
  const t = useTexts(anomalyTexts);
  const { language } = useLanguage();
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  return ({ evidence: told }) => {
    if (told.sources.length > 0) return t.newSources(named(told.sources, t.nameless));
    if (told.quiet_days !== null) {
      const days = number.format(told.quiet_days);
      const longest = told.longest_quiet_days;
      return longest === null ? t.firstEver(days) : t.quiet(days, number.format(longest));
    }
    const seen = number.format(told.seen ?? told.uses ?? 0);
    return told.expected === null
      ? t.seenOnly(seen)
      : t.expectedSeen(number.format(told.expected), seen);
  };
}

/** An agent that does not say what it is bears a word of the server's. */
function named(sources: readonly string[], nameless: string): string {
  return sources.map((one) => (one === '(none)' ? nameless : one)).join(', ');
}

export function Evidence({ of: one }: { readonly of: Anomaly }) {
  const t = useTexts(anomalyTexts);
  const told = one.evidence;
  return (
    <div className="stack">
      {told.log10_chance === null ? null : <p>{t.chance(told.log10_chance.toFixed(0))}</p>}
      {told.usual_sources.length > 0 ? (
        <p className="muted">{t.usualSources(named(told.usual_sources, t.nameless))}</p>
      ) : null}
      {one.throttled_until === null ? null : (
        <p>
          {t.throttledUntil} <Time at={one.throttled_until} />
        </p>
      )}
      {one.acknowledged_by === null ? null : (
        <p className="muted">
          {t.by(one.acknowledged_by)} {one.note}
        </p>
      )}
      {told.hours.length > 1 ? <Hours of={one} /> : null}
      {told.first_uses.length > 0 ? <FirstUses of={one} /> : null}
    </div>
  );
}

function Hours({ of: one }: { readonly of: Anomaly }) {
  const t = useTexts(anomalyTexts);
  const { hours, expected } = one.evidence;
  const said = hours.map((hour) => `${hour.begins_at}: ${String(hour.seen)}`).join('; ');
  return (
    <Chart
      label={`${t.chart}: ${said}`}
      height={180}
      option={{
        xAxis: { type: 'time' },
        yAxis: { type: 'value' },
        series: [
          {
            type: 'bar',
            name: t.seen,
            data: hours.map((hour) => [hour.begins_at, hour.seen]),
            ...(expected === null
              ? {}
              : {
                  markLine: {
                    symbol: 'none',
                    data: [{ yAxis: expected, name: t.expected }],
                    label: { formatter: t.expected, position: 'insideEndTop' },
                  },
                }),
          },
        ],
      }}
    />
  );
}

function FirstUses({ of: one }: { readonly of: Anomaly }) {
  const t = useTexts(anomalyTexts);
  return (
    <div className="plain-scroll">
      <PlainTable>
        <caption className="unseen">{t.firstUses}</caption>
        <thead>
          <tr>
            <th scope="col">{t.when}</th>
            <th scope="col">{t.route}</th>
            <th scope="col">{t.status}</th>
            <th scope="col">{t.from}</th>
            <th scope="col">{t.agent}</th>
          </tr>
        </thead>
        <tbody>
          {one.evidence.first_uses.map((use) => (
            <tr key={use.request_id}>
              <td>
                <Time at={use.at} withSeconds />
              </td>
              <td>{use.model || use.route}</td>
              <td className="number">{use.status}</td>
              <td>{use.address}</td>
              <td>{use.agent}</td>
            </tr>
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}
