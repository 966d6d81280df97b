// Says whether what is shown is current.

import type { LiveState } from '../live/useEvents';
import { useTexts } from '../i18n/language';
import { partTexts } from './texts';

export function Live({ state }: { readonly state: LiveState }) {
  const t = useTexts(partTexts);
  return (
    <span className="live" data-state={state} role="status">
      <span className="live-dot" aria-hidden="true" />
      {t[state]}
    </span>
  );
}
