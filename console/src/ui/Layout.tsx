// The frame around every page: sidebar, choices, and the page itself. Signed out, the sign-in page;
// where a session has ended by itself, the sign-in in front of the page.

import { useIsFetching } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import { Outlet, useLocation } from 'react-router';
import { useAccountLanguage } from '../auth/accountLanguage';
import { useAuth } from '../auth/session';
import { useTexts } from '../i18n/language';
import { AGAIN_AFTER_MS } from '../api/queries';
import { Begins } from './Begins';
import { Mark } from './Mark';
import { Sidebar } from './Sidebar';
import { frameTexts } from './texts';

const SignIn = lazy(() => import('../auth/SignIn'));

export function Layout() {
  const { state, askAgain } = useAuth();
  const t = useTexts(frameTexts);
  const isUnreachable = state.is === 'unreachable';
  useAccountLanguage();
  useEffect(() => {
    if (!isUnreachable) return;
    const timer = setInterval(askAgain, AGAIN_AFTER_MS);
    return () => {
      clearInterval(timer);
    };
  }, [isUnreachable, askAgain]);
  if (isUnreachable)
    return (
      <p className="whole-page-note" role="alert">
        {t.unreachable}
      </p>
    );
  if (state.is === 'asking') return <Begins />;
  if (state.is === 'signedIn') return <Frame />;
  const signIn = (
    <Suspense fallback={<Waiting />}>
      <SignIn hasExpired={state.hasExpired} by={state.was?.id ? 'password' : 'token'} />
    </Suspense>
  );
  if (!state.was) return signIn;
  return <Frame before={<InFront>{signIn}</InFront>} />;
}

/** Over everything, dialogs and their focus included, so that the page behind may stay as it is. */
function InFront({ children }: { readonly children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const show = (): void => {
    if (!dialog.current?.open) dialog.current?.showModal();
  };
  useEffect(show, []);
  return (
    <dialog
      ref={dialog}
      className="in-front"
      onCancel={(event) => {
        event.preventDefault();
      }}
      onClose={show}
      onKeyDown={(event) => {
        if (event.key === 'Escape') event.stopPropagation(); // not the form behind it
      }}
    >
      {children}
    </dialog>
  );
}

function Waiting() {
  const t = useTexts(frameTexts);
  return (
    <p className="whole-page-note" role="status">
      <span className="spinner" aria-hidden="true" /> {t.loading}
    </p>
  );
}

function Frame({ before }: { readonly before?: ReactNode }) {
  const t = useTexts(frameTexts);
  const { pathname } = useLocation();
  const [openedAt, setOpenedAt] = useState<string | null>(null);
  const isOpen = openedAt === pathname; // leads elsewhere: closed by itself
  const isBusy = useIsFetching({ predicate: (query) => query.state.status === 'pending' }) > 0;
  return (
    <div className="frame" data-menu={isOpen ? 'open' : 'closed'}>
      <a className="skip" href="#content">
        {t.skip}
      </a>
      <header className="topbar">
        <button
          type="button"
          className="icon-button"
          aria-label={isOpen ? t.closeMenu : t.menu}
          aria-expanded={isOpen}
          aria-controls="sidebar"
          onClick={() => {
            setOpenedAt(isOpen ? null : pathname);
          }}
        >
          <span aria-hidden="true">{isOpen ? '✕' : '☰'}</span>
        </button>
        <Mark />
      </header>
      <Sidebar
        onClose={() => {
          setOpenedAt(null);
        }}
      />
      <main id="content" className="content" tabIndex={-1} aria-busy={isBusy}>
        <Outlet />
      </main>
      {before}
    </div>
  );
}
