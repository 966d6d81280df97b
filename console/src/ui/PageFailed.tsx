// What is shown in place of a page that could not be fetched or that has a mistake in it.

import { useRouteError } from 'react-router';
import { useTexts } from '../i18n/language';
import { EmptyState } from './EmptyState';
import { frameTexts } from './texts';

export function PageFailed() {
  const t = useTexts(frameTexts);
  const thrown = useRouteError();
  const detail = thrown instanceof Error ? thrown.message : '';
  return (
    <EmptyState
      title={t.pageFailed}
      hint={[t.pageFailedHint, detail].filter(Boolean).join(' ')}
      level={1}
      action={
        <button
          type="button"
          className="plain-button"
          onClick={() => {
            location.reload();
          }}
        >
          {t.reload}
        </button>
      }
    />
  );
}
