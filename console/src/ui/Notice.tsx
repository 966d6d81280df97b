// Something worth knowing that is no error, light enough for the first page.

import type { ReactNode } from 'react';

interface Props {
  readonly title: string;
  readonly hint?: ReactNode;
  readonly action?: ReactNode;
}

export function Notice({ title, hint, action }: Props) {
  return (
    <aside className="notice">
      <span>
        <strong>{title}</strong> {hint ? <span>{hint}</span> : null}
      </span>
      {action}
    </aside>
  );
}
