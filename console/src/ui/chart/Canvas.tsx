// ECharts on a canvas: only the kinds of charts that the console has. Tooltips are painted, not
// written as HTML, so that no name in them can be markup.

import { BarChart, HeatmapChart, LineChart, PieChart } from 'echarts/charts';
import {
  AriaComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components';
import { type EChartsType, init, use as register } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';
import { type Colors, useColors } from '../../theme/theme';
import type { ChartProps } from '../Chart';

register([
  ...[BarChart, HeatmapChart, LineChart, PieChart, CanvasRenderer],
  ...[AriaComponent, GridComponent, LegendComponent, MarkLineComponent],
  ...[TooltipComponent, VisualMapComponent],
]);

export default function Canvas({ option, label, height = 260, onPick }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType>(null);
  const colors = useColors();
  useEffect(() => {
    if (!holder.current) return;
    const made = init(holder.current, themeOf(colors), { renderer: 'canvas' });
    chart.current = made;
    const shown = holder.current;
    const size = new ResizeObserver(() => {
      // It is told of the first size, too, and would paint everything a second time.
      if (made.getWidth() !== shown.clientWidth || made.getHeight() !== shown.clientHeight)
        made.resize();
    });
    size.observe(shown);
    return () => {
      size.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, [colors]);
  useEffect(() => {
    const tooltip = { renderMode: 'richText', confine: true, ...(option['tooltip'] as object) };
    chart.current?.setOption({ animation: false, ...option, tooltip }, { notMerge: true });
  }, [option, colors]);
  useEffect(() => {
    if (!onPick) return;
    const made = chart.current;
    const heed = (picked: unknown): void => {
      onPick(picked as { name: string; dataIndex: number }); // what ECharts documents for a click
    };
    made?.on('click', heed);
    return () => {
      made?.off('click', heed);
    };
  }, [onPick, colors]);
  return <div ref={holder} role="img" aria-label={label} style={{ height }} className="chart" />;
}

function themeOf(colors: Colors): object {
  const axis = {
    axisLine: { lineStyle: { color: colors.line } },
    axisTick: { show: false },
    axisLabel: { color: colors.muted, hideOverlap: true },
    splitLine: { lineStyle: { color: colors.line, type: 'dashed' } },
    nameTextStyle: { color: colors.muted },
  };
  return {
    color: colors.series,
    backgroundColor: 'transparent',
    textStyle: { color: colors.text, fontFamily: 'inherit' },
    grid: { left: 8, right: 16, top: 28, bottom: 8, containLabel: true },
    categoryAxis: { ...axis, splitLine: { show: false } },
    valueAxis: { ...axis, axisLine: { show: false } },
    timeAxis: { ...axis, splitLine: { show: false } },
    legend: { textStyle: { color: colors.muted }, top: 0, right: 0, icon: 'roundRect' },
    tooltip: {
      backgroundColor: colors.surface,
      borderColor: colors.line,
      textStyle: { color: colors.text, fontSize: 12 },
      axisPointer: { lineStyle: { color: colors.muted }, crossStyle: { color: colors.muted } },
    },
    line: { symbol: 'none', lineStyle: { width: 2 } },
    bar: { itemStyle: { borderRadius: [3, 3, 0, 0] }, barMaxWidth: 32 },
    visualMap: { textStyle: { color: colors.muted } },
  };
}
