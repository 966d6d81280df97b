// Which notices somebody has seen: their account knows it, so that every browser and tab of theirs
// does.

import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect } from 'react';
import { api } from '../../api/client';
import { useRead, useRefresh } from '../../api/queries';

const SEEN = '/api/user/notices/seen';
const CHANNEL = 'tallygate.notices';
const EVERY_MS = 60_000;

/** How many are new; `askedAt` moves with each answer. */
export function useNew(): { readonly count: number; readonly askedAt: number } {
  const { data, dataUpdatedAt } = useRead(SEEN, { everyMs: EVERY_MS });
  useOtherTabs();
  return { count: data?.new ?? 0, askedAt: dataUpdatedAt };
}

/** Says that this one and all that are older were seen. */
export function useMarkSeen(): (newest: string) => Promise<void> {
  const client = useQueryClient();
  return useCallback(
    async (newest) => {
      const result = await api.put(SEEN, { body: { id: newest } });
      if (!result.ok) return; // asked again with the next answer about what is new
      client.setQueryData([SEEN, {}, {}], result.value);
      const channel = new BroadcastChannel(CHANNEL);
      channel.postMessage(newest);
      channel.close();
    },
    [client],
  );
}

/** Another tab may be signed in as somebody else, so it is only told to ask again. */
function useOtherTabs(): void {
  const refresh = useRefresh();
  useEffect(() => {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = () => {
      void refresh(SEEN);
    };
    return () => {
      channel.close();
    };
  }, [refresh]);
}
