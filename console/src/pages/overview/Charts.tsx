// Requests by hour, and tokens by day.

import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import { Chart } from '../../ui/Chart';
import { formatCount, formatShort } from '../../ui/numbers';
import { useColors } from '../../theme/theme';
import { overviewTexts } from './texts';

type Points = readonly Schemas['Point'][];

export function Hours({ points }: { readonly points: Points }) {
  const t = useTexts(overviewTexts);
  const { language } = useLanguage();
  const colors = useColors();
  const option = useMemo(
    () => ({
      tooltip: { trigger: 'axis' },
      legend: { data: [t.ok, t.failed] },
      xAxis: { type: 'category', data: points.map((point) => hourOf(point.label)) },
      yAxis: { type: 'value', minInterval: 1, axisLabel: { formatter: shortIn(language) } },
      series: [
        {
          name: t.ok,
          type: 'bar',
          stack: 'all',
          data: points.map((point) => point.uses - point.errors),
        },
        {
          name: t.failed,
          type: 'bar',
          stack: 'all',
          itemStyle: { color: colors.series[3] },
          data: points.map((point) => point.errors),
        },
      ],
    }),
    [points, t, language, colors],
  );
  const all = points.reduce((sum, point) => sum + point.uses, 0);
  return <Chart option={option} label={t.chartHours(formatCount(all, language))} />;
}

export function Days({ points }: { readonly points: Points }) {
  const t = useTexts(overviewTexts);
  const { language } = useLanguage();
  const option = useMemo(
    () => ({
      tooltip: { trigger: 'axis' },
      xAxis: { type: 'category', data: points.map((point) => point.label) },
      yAxis: { type: 'value', minInterval: 1, axisLabel: { formatter: shortIn(language) } },
      series: [
        {
          name: t.tokensShort,
          type: 'line',
          areaStyle: { opacity: 0.14 },
          data: points.map((point) => point.total_tokens),
        },
      ],
    }),
    [points, t, language],
  );
  const all = points.reduce((sum, point) => sum + point.total_tokens, 0);
  return <Chart option={option} label={t.chartDays(formatCount(all, language))} />;
}

/** `2026-02-11 08:00` → `08:00`, whatever stands before the hour. */
function hourOf(label: string): string {
  return label.slice(-5);
}

function shortIn(language: string): (value: number) => string {
  return (value) => formatShort(value, language);
}
