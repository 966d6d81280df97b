// A moment, in the reader's own language and time zone; the exact one in its tooltip.

import { useLanguage, useTexts } from '../i18n/language';
import { partTexts } from './texts';

interface Props {
  /** RFC 3339, or milliseconds. */
  readonly at: string | number | null | undefined;
  /** What stands there when there is no such moment; `never` by default. */
  readonly otherwise?: string;
  readonly withSeconds?: boolean;
}

export function Time({ at, otherwise, withSeconds = false }: Props) {
  const { language } = useLanguage();
  const t = useTexts(partTexts);
  if (at === null || at === undefined || at === '') {
    return <span className="muted">{otherwise ?? t.never}</span>;
  }
  const moment = new Date(at);
  const exact = moment.toISOString();
  return (
    <time dateTime={exact} title={exact} className="number">
      {formatMoment(moment, language, withSeconds)}
    </time>
  );
}

export function formatMoment(moment: Date, language: string, withSeconds = false): string {
  return new Intl.DateTimeFormat(language, {
    dateStyle: 'medium',
    timeStyle: withSeconds ? 'medium' : 'short',
    hourCycle: 'h23',
  }).format(moment);
}
