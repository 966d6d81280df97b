// Requests, tokens, errors and durations over time.

import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import { useColors } from '../../theme/theme';
import { Chart } from '../../ui/Chart';
import { formatCount, formatDuration, formatShare, formatShort } from '../../ui/numbers';
import { Panel } from '../../ui/Panel';
import { usageTexts } from './texts';

type Series = Schemas['Series'];
type Point = Schemas['Point'];

interface Line {
  readonly name: string;
  readonly of: (point: Point) => number | null;
  readonly color?: string | undefined;
}

interface Drawing {
  readonly kind: 'bar' | 'line';
  readonly stack?: string;
  readonly format: (value: number) => string;
  readonly drawn: readonly Line[];
}

export function Trend({ of: series }: { readonly of: Series }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const drawings = useDrawings();
  const { total, items } = series;
  const count = (value: number): string => formatCount(value, language);
  const shown = [
    [t.trendRequests, t.chartRequests(count(total.uses), count(total.errors)), drawings.requests],
    [t.trendTokens, t.chartTokens(count(total.total_tokens)), drawings.tokens],
    [t.trendErrors, t.chartErrors(formatShare(total.error_rate, language)), drawings.errors],
    [t.trendTimes, t.chartTimes, drawings.times],
  ] as const;
  return (
    <div className="panels">
      {shown.map(([title, label, drawing]) => (
        <Drawn key={title} title={title} label={label} points={items} drawing={drawing} />
      ))}
    </div>
  );
}

interface DrawnProps {
  readonly title: string;
  readonly label: string;
  readonly points: readonly Point[];
  readonly drawing: Drawing;
}

/** Painted anew only when there is something new: not under the pointer of who reads it. */
function Drawn({ title, label, points, drawing }: DrawnProps) {
  const option = useMemo(() => optionOf(points, drawing), [points, drawing]);
  return (
    <Panel title={title}>
      <Chart label={label} height={220} option={option} />
    </Panel>
  );
}

function useDrawings() {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const bad = useColors().series[3];
  return useMemo(() => {
    const short = (value: number): string => formatShort(value, language);
    const share = (value: number): string => formatShare(value, language);
    const duration = (value: number): string => formatDuration(value, language);
    const requests: Drawing = {
      kind: 'bar',
      stack: 'all',
      format: short,
      drawn: [
        { name: t.ok, of: (point) => point.uses - point.errors },
        { name: t.failed, of: (point) => point.errors, color: bad },
      ],
    };
    const tokens: Drawing = {
      kind: 'bar',
      stack: 'all',
      format: short,
      drawn: [
        { name: t.input, of: (point) => point.input_tokens },
        { name: t.output, of: (point) => point.output_tokens },
      ],
    };
    const errors: Drawing = {
      kind: 'line',
      format: share,
      // Without a request there is no rate, and a gap says so.
      drawn: [
        {
          name: t.errorRate,
          of: (point) => (point.uses ? point.error_rate : null),
          color: bad,
        },
      ],
    };
    const times: Drawing = {
      kind: 'line',
      format: duration,
      drawn: [
        { name: 'p50', of: (point) => point.p50_ms },
        { name: 'p95', of: (point) => point.p95_ms },
      ],
    };
    return { requests, tokens, errors, times };
  }, [t, language, bad]);
}

function optionOf(points: readonly Point[], drawing: Drawing) {
  const { kind, stack, format, drawn } = drawing;
  const written = (value: unknown): string => (typeof value === 'number' ? format(value) : '–');
  return {
    tooltip: { trigger: 'axis', valueFormatter: written },
    ...(drawn.length > 1 ? { legend: { data: drawn.map((one) => one.name) } } : {}),
    xAxis: { type: 'category', data: points.map((point) => point.label) },
    yAxis: { type: 'value', min: 0, axisLabel: { formatter: format } },
    series: drawn.map((one) => ({
      name: one.name,
      type: kind,
      ...(stack ? { stack } : {}),
      // A lone point between gaps would not be seen without its mark.
      ...(kind === 'line' ? { showSymbol: true, symbol: 'circle', symbolSize: 5 } : {}),
      ...(one.color ? { itemStyle: { color: one.color } } : {}),
      data: points.map(one.of),
    })),
  };
}
