// Which notices somebody has seen in this browser: all up to one id, kept apart for each account.

import { useSyncExternalStore } from 'react';
import { useWho } from '../../auth/session';
import { keep, kept } from '../../theme/kept';

const CHANGED = 'tallygate.noticesSeen';

export function seenName(account: string): string {
  return `notices.${account}`;
}

/** How many of these are newer than what was seen; ids are numbers that only grow. */
export function countNew(ids: readonly string[], seen: string | null): number {
  const upTo = /^\d+$/.test(seen ?? '') ? BigInt(seen ?? '0') : 0n;
  return ids.filter((id) => BigInt(id) > upTo).length;
}

export function markSeen(account: string, newest: string): void {
  if (countNew([newest], kept(seenName(account))) === 0) return;
  keep(seenName(account), newest);
  window.dispatchEvent(new Event(CHANGED));
}

/** The newest id that was seen by whoever is signed in. */
export function useSeen(): string | null {
  const account = useWho().id ?? '';
  return useSyncExternalStore(listen, () => kept(seenName(account)));
}

function listen(onChange: () => void): () => void {
  const names = [CHANGED, 'storage']; // of this window, and of another one
  for (const name of names) window.addEventListener(name, onChange);
  return () => {
    for (const name of names) window.removeEventListener(name, onChange);
  };
}
