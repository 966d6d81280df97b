// A titled surface that charts, tables and forms stand on.

import type { ReactNode } from 'react';

interface Props {
  readonly title?: string;
  readonly extra?: ReactNode;
  readonly children: ReactNode;
  readonly className?: string;
}

export function Panel({ title, extra, children, className = '' }: Props) {
  return (
    <section className={`panel ${className}`}>
      {title || extra ? (
        <header className="panel-head">
          {title ? <h2>{title}</h2> : <span />}
          {extra}
        </header>
      ) : null}
      {children}
    </section>
  );
}
