// The state of something, in a word and a colour.

import type { ReactNode } from 'react';

interface Props {
  readonly tone: 'good' | 'bad' | 'warn' | 'plain' | 'accent';
  readonly children: ReactNode;
}

export function Status({ tone, children }: Props) {
  return (
    <span className="status" data-tone={tone}>
      {children}
    </span>
  );
}
