// Says whether what is shown is current, and of when it is if it is not.

import type { LiveState } from '../live/useEvents';
import { useTexts } from '../i18n/language';
import { Notice } from './Notice';
import { partTexts } from './texts';
import { Time } from './Time';

export function Live({ state }: { readonly state: LiveState }) {
  const t = useTexts(partTexts);
  return (
    <span className="live" data-state={state} role="status">
      <span className="live-dot" aria-hidden="true" />
      {t[state]}
    </span>
  );
}

interface BehindProps {
  readonly state: LiveState;
  /** When anything came last. */
  readonly heardAt: number | null;
}

/** Stands above what is shown for as long as it is not current. */
export function Behind({ state, heardAt }: BehindProps) {
  const t = useTexts(partTexts);
  if (state !== 'stale') return null;
  return (
    <Notice
      title={heardAt === null ? t.unreachable : t.behind}
      hint={
        heardAt === null ? (
          t.retryingLive
        ) : (
          <>
            {t.asOf} <Time at={heardAt} withSeconds />. {t.retryingLive}
          </>
        )
      }
    />
  );
}
