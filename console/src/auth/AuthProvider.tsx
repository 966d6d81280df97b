// Signs in and out. A session is a cookie that no script can read; the admin token is kept in this
// tab only and forgotten with it. Where a session ends by itself the page stays as it is, behind the
// sign-in, until its owner is back.

import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { api, caller } from '../api/client';
import type { Result } from '../api/errors';
import { facts } from '../facts';
import { type Auth, AuthContext, type AuthState, type SignedIn } from './session';

const TOKEN = 'tallygate.adminToken';

function tokenOfTab(): string {
  try {
    return sessionStorage.getItem(TOKEN) ?? '';
  } catch {
    return '';
  }
}

function keepToken(token: string): void {
  caller.adminToken = token;
  try {
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // A tab that may keep nothing asks again after a reload.
  }
}

function begin(): AuthState {
  caller.adminToken = tokenOfTab();
  const maySignIn = caller.adminToken !== '' || facts.hasSession;
  return maySignIn ? { is: 'asking' } : { is: 'signedOut', hasExpired: false, was: null };
}

/** What the server says about us, as a state. */
async function ask(): Promise<AuthState> {
  const result = await api.get('/api/session');
  if (result.ok) {
    caller.csrfToken = result.value.csrf_token ?? '';
    return { is: 'signedIn', who: result.value };
  }
  if (result.error.status !== 401) return { is: 'unreachable' };
  keepToken('');
  return { is: 'signedOut', hasExpired: facts.hasSession, was: null };
}

export function AuthProvider({ children }: { readonly children: ReactNode }) {
  const [state, setState] = useState<AuthState>(begin);
  const cache = useQueryClient();

  const askAgain = useCallback(() => {
    void ask().then(setState);
  }, []);
  const waiting = useRef<(() => void)[]>([]);
  const was = state.is === 'signedOut' ? state.was : null;
  const enter = useCallback(
    (result: Result<SignedIn>) => {
      if (!result.ok) return result;
      if (was && was.id !== result.value.id) {
        location.reload(); // somebody else: what stands there is not theirs
        return result;
      }
      caller.csrfToken = result.value.csrf_token ?? '';
      setState({ is: 'signedIn', who: result.value });
      for (const goOn of waiting.current.splice(0)) goOn();
      return result;
    },
    [was],
  );

  useEffect(() => {
    caller.onSignedOut = () => {
      keepToken('');
      caller.csrfToken = '';
      setState((before) =>
        before.is === 'signedIn' ? { is: 'signedOut', hasExpired: true, was: before.who } : before,
      );
      return new Promise((resolve) => {
        waiting.current.push(() => {
          resolve(true);
        });
      });
    };
  }, []);
  useEffect(() => {
    if (state.is === 'asking') askAgain();
  }, [state.is, askAgain]);

  const auth = useMemo<Auth>(
    () => ({
      state,
      askAgain,
      withPassword: async (name, password) => {
        const by = name.includes('@') ? { email: name } : { id: name };
        return enter(await api.post('/api/session', { body: { ...by, password } }));
      },
      withAdminToken: async (token) => {
        keepToken(token.trim());
        const result = await api.get('/api/session');
        if (!result.ok) keepToken('');
        return enter(result);
      },
      signOut: async () => {
        if (!caller.adminToken) await api.delete('/api/session');
        keepToken('');
        caller.csrfToken = '';
        cache.clear();
        setState({ is: 'signedOut', hasExpired: false, was: null });
      },
    }),
    [state, askAgain, enter, cache],
  );
  return <AuthContext value={auth}>{children}</AuthContext>;
}
