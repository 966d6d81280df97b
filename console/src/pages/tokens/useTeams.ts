// Every team, for choosing one and for showing its name.

import type { Schemas } from '../../api/client';
import { useRead } from '../../api/queries';

const MOST = 1000; // what the API answers at once; nobody picks from more

export function useTeams(): readonly Schemas['Team'][] {
  return useRead('/api/teams', { query: { limit: MOST } }).data?.items ?? [];
}
