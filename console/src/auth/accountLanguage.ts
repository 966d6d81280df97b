// The language that somebody chose is their account's: mail comes in it, and a browser in which
// nobody chose one speaks it. The admin token has no account; its language is the browser's alone.

import { useCallback, useEffect } from 'react';
import { api } from '../api/client';
import { type Language, LANGUAGES, useLanguage } from '../i18n/language';
import { useAuth } from './session';

function tellAccount(language: Language): void {
  // Refused or unreachable: this browser speaks it all the same, and says so again when entered.
  void api.patch('/api/user', { body: { language } });
}

/** Agrees on a language when somebody with an account comes in. */
export function useAccountLanguage(): void {
  const { state } = useAuth();
  const who = state.is === 'signedIn' && state.who.id !== null ? state.who : null;
  const { language, isChosen, speak } = useLanguage();
  useEffect(() => {
    if (!who) return;
    const theirs = LANGUAGES.find((one) => one === who.language);
    if (!theirs && isChosen) tellAccount(language);
    if (theirs && !isChosen) speak(theirs);
  }, [who]); // once for each that comes in: what is chosen later is told when it is chosen
}

/** Chooses for this browser, and for the account of whoever is signed in. */
export function useChooseLanguage(): (language: Language) => void {
  const { state } = useAuth();
  const { choose } = useLanguage();
  const hasAccount = state.is === 'signedIn' && state.who.id !== null;
  return useCallback(
    (language) => {
      choose(language);
      if (hasAccount) tellAccount(language);
    },
    [choose, hasAccount],
  );
}
