// What an address that is nobody's shows.

import { Link } from 'react-router';
import { useTexts } from '../i18n/language';
import { EmptyState } from './EmptyState';
import { frameTexts } from './texts';

export function NotFound() {
  const t = useTexts(frameTexts);
  return (
    <EmptyState
      title={t.notFound}
      hint={t.notFoundHint}
      level={1}
      action={<Link to="/">{t.home}</Link>}
    />
  );
}
