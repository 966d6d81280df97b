// A small table that only shows. On a phone its rows stand below each other, and each cell says the
// name of its column, which it has from the table's own head.

import { type ReactNode, useLayoutEffect, useRef } from 'react';

interface Props {
  readonly label?: string;
  readonly children: ReactNode;
}

export function PlainTable({ label, children }: Props) {
  const table = useRef<HTMLTableElement>(null);
  useLayoutEffect(() => {
    const titles = [...(table.current?.tHead?.rows[0]?.cells ?? [])].map((one) => one.textContent);
    for (const row of table.current?.tBodies[0]?.rows ?? []) {
      for (const cell of row.cells) cell.dataset['name'] = titles[cell.cellIndex] ?? '';
    }
  });
  return (
    <table ref={table} className="plain-table stacks" aria-label={label}>
      {children}
    </table>
  );
}
