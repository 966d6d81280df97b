// Who or what is most, with bars to compare by.

import { Link } from 'react-router';

export interface Ranked {
  readonly key: string;
  readonly name: string;
  /** From 0 to 1, of the whole. */
  readonly share: number;
  readonly value: string;
  readonly to?: string;
}

interface Props {
  readonly items: readonly Ranked[];
  readonly empty: string;
}

export function Ranking({ items, empty }: Props) {
  if (items.length === 0) return <p className="muted">{empty}</p>;
  const most = Math.max(...items.map((item) => item.share), Number.MIN_VALUE);
  return (
    <ol className="ranking">
      {items.map((item) => (
        <li key={item.key}>
          <span
            className="ranking-bar"
            style={{ width: `${(item.share / most) * 100}%` }}
            aria-hidden="true"
          />
          <span className="ranking-name">
            {item.to ? <Link to={item.to}>{item.name}</Link> : item.name}
          </span>
          <span className="number">{item.value}</span>
        </li>
      ))}
    </ol>
  );
}
