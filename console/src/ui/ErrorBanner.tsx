// An error, in words, with the id to find it in the server's log by; asks again by itself if told to.

import { Alert, Button } from 'antd';
import type { ApiError } from '../api/errors';
import { isPassing } from '../api/errors';
import { useLanguage, useTexts } from '../i18n/language';
import { meaningOf } from './errorWords';
import { partTexts } from './texts';

interface Props {
  readonly error: ApiError;
  readonly onRetry?: (() => void) | undefined;
}

export function ErrorBanner({ error, onRetry }: Props) {
  const t = useTexts(partTexts);
  const { language } = useLanguage();
  const isAway = error.code === 'unreachable';
  const notes = [
    isAway ? '' : error.message,
    onRetry && isPassing(error) ? t.retrying : '',
    error.requestId ? t.requestId(error.requestId) : '',
  ].filter(Boolean);
  return (
    <Alert
      role="alert"
      type={isPassing(error) ? 'warning' : 'error'}
      showIcon
      title={isAway ? t.unreachable : (meaningOf(error.code, language) ?? t.failed)}
      description={notes.length > 0 ? notes.join(' · ') : undefined}
      action={onRetry ? <Button onClick={onRetry}>{t.retry}</Button> : undefined}
    />
  );
}
