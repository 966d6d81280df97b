// The rate's last changes as steps.

import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { Chart } from '../../ui/Chart';
import { Panel } from '../../ui/Panel';
import { formatMicros } from '../../ui/points';
import { rateTexts } from './texts';

const CHANGES = 100;

export function RateChart() {
  const t = useTexts(rateTexts);
  const { language } = useLanguage();
  const history = useRead('/api/exchange-rate/history', { query: { limit: CHANGES } });
  const changes = [...(history.data?.items ?? [])].reverse();
  if (changes.length < 2) return null;
  // A picture may round; the table beside it does not.
  const points = changes.map((one) => [one.timestamp, Number(one.new_rate_micros) / 1e6]);
  const said = changes
    .map((one) => `${one.timestamp.slice(0, 10)}: ${formatMicros(one.new_rate_micros, language)}`)
    .join('; ');
  return (
    <Panel title={t.chart}>
      <Chart
        label={`${t.chart}: ${said}`}
        height={220}
        option={{
          xAxis: { type: 'time' },
          yAxis: { type: 'value', scale: true },
          series: [{ type: 'line', step: 'end', showSymbol: true, data: points }],
        }}
      />
    </Panel>
  );
}
