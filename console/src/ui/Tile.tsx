// One number that matters, with its name and what it means.

import type { ReactNode } from 'react';

interface Props {
  readonly label: string;
  readonly value: ReactNode;
  readonly note?: ReactNode;
  readonly tone?: 'good' | 'bad' | 'plain';
}

export function Tile({ label, value, note, tone = 'plain' }: Props) {
  return (
    <dl className="tile" data-tone={tone}>
      <dt>{label}</dt>
      <dd className="tile-value">{value}</dd>
      {note ? <dd className="tile-note">{note}</dd> : null}
    </dl>
  );
}

export function Tiles({ children }: { readonly children: ReactNode }) {
  return <div className="tiles">{children}</div>;
}
