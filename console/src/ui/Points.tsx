// An amount of points.

import { useLanguage, useTexts } from '../i18n/language';
import { formatMicros } from './points';
import { partTexts } from './texts';

interface Props {
  readonly micros: string;
  readonly digits?: number;
  /** Say the word, too, where no heading does. */
  readonly withUnit?: boolean;
  /** Show a plus before what comes in. */
  readonly isSigned?: boolean;
}

export function Points({ micros, digits, withUnit = false, isSigned = false }: Props) {
  const { language } = useLanguage();
  const t = useTexts(partTexts);
  const plus = isSigned && BigInt(micros) > 0n ? '+' : '';
  return (
    <span className="number" title={formatMicros(micros, language)}>
      {plus}
      {formatMicros(micros, language, digits)}
      {withUnit ? ` ${t.points}` : null}
    </span>
  );
}
