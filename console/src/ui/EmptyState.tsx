// What stands where nothing is yet: says so in words, and what to do about it.

import type { ReactNode } from 'react';

interface Props {
  readonly title: string;
  readonly hint?: ReactNode;
  readonly action?: ReactNode;
  readonly icon?: ReactNode;
  readonly level?: 1 | 2 | 3;
}

export function EmptyState({ title, hint, action, icon, level = 2 }: Props) {
  const Heading = `h${level}` as const;
  return (
    <div className="empty">
      <div className="empty-icon" aria-hidden="true">
        {icon ?? <Gate />}
      </div>
      <Heading>{title}</Heading>
      {hint ? <p>{hint}</p> : null}
      {action ? <div className="empty-action">{action}</div> : null}
    </div>
  );
}

function Gate() {
  return (
    <svg
      viewBox="0 0 48 48"
      width="48"
      height="48"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
    >
      <rect x="5" y="8" width="38" height="32" rx="7" opacity=".5" />
      <path d="M15 16v16M21 16v16M27 16v16M33 16v16M11 30l26-12" strokeLinecap="round" />
    </svg>
  );
}
