// A page behind its wall: titled, and shown only to those whom it is for.

import { type ReactNode, useEffect } from 'react';
import { useMay, useWho } from '../auth/session';
import { useLanguage, useTexts } from '../i18n/language';
import type { PageEntry } from '../pages/registry';
import { useRoleName } from './actors';
import { EmptyState } from './EmptyState';
import { frameTexts } from './texts';

interface Props {
  readonly page: PageEntry;
  readonly children: ReactNode;
}

export function Walled({ page, children }: Props) {
  const { language } = useLanguage();
  const t = useTexts(frameTexts);
  const who = useWho();
  const roleName = useRoleName();
  const isAllowed = useMay(page.need);
  const title = page.title[language];
  useEffect(() => {
    document.title = `${title} · Tallygate`;
  }, [title]);
  if (isAllowed) return children;
  return <EmptyState title={t.forbidden} hint={t.forbiddenHint(roleName(who.role))} level={1} />;
}
