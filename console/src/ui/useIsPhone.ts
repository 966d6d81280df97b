// Whether the screen is too narrow for tables: Ant Design's own boundary, at which columns that are
// hidden on a phone come and go.

import { useSyncExternalStore } from 'react';

const NARROW = '(max-width: 767.98px)';

export function useIsPhone(): boolean {
  return useSyncExternalStore(heed, isNarrow);
}

function isNarrow(): boolean {
  return window.matchMedia(NARROW).matches;
}

function heed(onChange: () => void): () => void {
  const narrow = window.matchMedia(NARROW);
  narrow.addEventListener('change', onChange);
  return () => {
    narrow.removeEventListener('change', onChange);
  };
}
