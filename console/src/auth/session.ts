// Who is signed in, and what they may do. The server decides each call anew; this only hides what
// would be refused.

import { createContext, useContext } from 'react';
import type { Schemas } from '../api/client';
import type { Result } from '../api/errors';

export type SignedIn = Schemas['SignedIn'];

/** What a page or a button needs, as in docs/reference/roles.md; `member` has an own account. */
export type Need = 'signedIn' | 'member' | 'read' | 'operate' | 'administer';

const OPERATORS: Readonly<Record<Exclude<Need, 'signedIn' | 'member'>, readonly string[]>> = {
  read: ['viewer', 'operator', 'admin'],
  operate: ['operator', 'admin'],
  administer: ['admin'],
};

export function may(who: SignedIn, need: Need): boolean {
  if (need === 'signedIn') return true;
  if (need === 'member') return who.id !== null; // the admin token has no wallet
  return OPERATORS[need].includes(who.role);
}

export type AuthState =
  | { readonly is: 'asking' }
  | { readonly is: 'unreachable' }
  /** `was`: whose page stands there still, with all that they have typed. */
  | { readonly is: 'signedOut'; readonly hasExpired: boolean; readonly was: SignedIn | null }
  | { readonly is: 'signedIn'; readonly who: SignedIn };

export interface Auth {
  readonly state: AuthState;
  readonly withPassword: (name: string, password: string) => Promise<Result<SignedIn>>;
  readonly withAdminToken: (token: string) => Promise<Result<SignedIn>>;
  readonly signOut: () => Promise<void>;
  readonly askAgain: () => void;
}

export const AuthContext = createContext<Auth | null>(null);

export function useAuth(): Auth {
  const auth = useContext(AuthContext);
  if (!auth) throw new Error('useAuth outside of AuthProvider');
  return auth;
}

/** Whose page it is: whoever is signed in, or was until their session ended. */
export function whoseOf(state: AuthState): SignedIn | null {
  if (state.is === 'signedIn') return state.who;
  return state.is === 'signedOut' ? state.was : null;
}

/** Whoever is signed in; only for what is shown to them. */
export function useWho(): SignedIn {
  const who = whoseOf(useAuth().state);
  if (!who) throw new Error('shown to somebody who is not signed in');
  return who;
}

export function useMay(need: Need): boolean {
  const who = whoseOf(useAuth().state);
  return who !== null && may(who, need);
}
