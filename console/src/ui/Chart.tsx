// A chart, fetched only for pages that have one. `label` says in words what it shows, for those who do
// not see it.

import type { EChartsCoreOption } from 'echarts/core';
import { lazy, Suspense } from 'react';

// Asked for with the page that has charts, not after its numbers: on a first visit that is the
// longest wait of all.
const loading = import('./chart/Canvas');
loading.catch(() => undefined); // told where a chart is shown
const Canvas = lazy(() => loading);

export interface ChartProps {
  readonly option: EChartsCoreOption;
  readonly label: string;
  readonly height?: number;
  /** A click on a point, bar or cell. */
  readonly onPick?: (picked: { readonly name: string; readonly dataIndex: number }) => void;
}

export function Chart(props: ChartProps) {
  const height = props.height ?? 260;
  return (
    <Suspense fallback={<div className="chart-waiting" style={{ height }} />}>
      <Canvas {...props} height={height} />
    </Suspense>
  );
}
