// Requests by hour of the week, and the busiest hours in words.

import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { useColors } from '../../theme/theme';
import { Chart } from '../../ui/Chart';
import { formatCount } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { type Asked, filterOf, heatmapDays } from './asked';
import { cellsOf, hourName, HOURS, stepsOf, WEEKDAYS, weekdayName } from './heat';
import { Part } from './Part';
import { usageTexts } from './texts';

export function HeatMap({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const days = heatmapDays(asked);
  const answer = useRead('/api/usage/heatmap', { query: { ...filterOf(asked), days } });
  return (
    <Panel title={t.heatmap(days)}>
      <Part answer={answer}>{(data) => <Shown of={data} />}</Part>
    </Panel>
  );
}

function Shown({ of: data }: { readonly of: Schemas['Heatmap'] }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const option = useOption(data);
  const busiest = data.busiest.map((busy) =>
    t.busyHour(
      weekdayName(busy.weekday, language, 'long'),
      hourName(busy.hour),
      formatCount(busy.uses, language),
    ),
  );
  return (
    <>
      <Chart option={option} height={300} label={t.chartHeat(busiest.join('; '))} />
      {busiest.length > 0 ? (
        <>
          <h3>{t.busiest}</h3>
          <ol>
            {busiest.map((words) => (
              <li key={words}>{words}</li>
            ))}
          </ol>
        </>
      ) : null}
    </>
  );
}

function useOption(data: Schemas['Heatmap']) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const colors = useColors();
  return useMemo(() => {
    const cells = cellsOf(data.cells);
    const steps = stepsOf(cells, colors.heat.length - 1);
    const label = (min: number, max: number): string =>
      min === max
        ? formatCount(min, language)
        : `${formatCount(min, language)}–${formatCount(max, language)}`;
    return {
      grid: { left: 8, right: 8, top: 8, bottom: 44, containLabel: true },
      tooltip: {
        position: 'top',
        formatter: ({ dataIndex }: { dataIndex: number }) => {
          const cell = cells[dataIndex];
          if (!cell) return '';
          const day = weekdayName(cell.weekday, language, 'long');
          return t.busyHour(day, hourName(cell.hour), formatCount(cell.uses, language));
        },
      },
      xAxis: { type: 'category', data: Array.from({ length: HOURS }, (_, hour) => hourName(hour)) },
      yAxis: {
        type: 'category',
        inverse: true,
        data: Array.from({ length: WEEKDAYS }, (_, day) => weekdayName(day, language, 'short')),
      },
      visualMap: {
        type: 'piecewise',
        orient: 'horizontal',
        left: 'center',
        bottom: 0,
        pieces: steps.map(({ min, max }, index) => ({
          min,
          max,
          label: label(min, max),
          color: colors.heat[index],
        })),
      },
      series: [
        {
          type: 'heatmap',
          itemStyle: { borderColor: colors.surface, borderWidth: 2, borderRadius: 3 },
          data: cells.map((cell) => [cell.hour, cell.weekday, cell.uses]),
        },
      ],
    };
  }, [data.cells, language, colors, t]);
}
