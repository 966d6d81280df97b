// A chart, fetched only where one is shown. `label` says in words what it shows, for those who do
// not see it.

import type { EChartsCoreOption } from 'echarts/core';
import { lazy, Suspense } from 'react';

const Canvas = lazy(() => import('./chart/Canvas'));

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
