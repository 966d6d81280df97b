// The whole time in five numbers.

import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount, formatDuration, formatShare, formatShort } from '../../ui/numbers';
import { Points } from '../../ui/Points';
import { Tile, Tiles } from '../../ui/Tile';
import { usageTexts } from './texts';

export function Totals({ of: total }: { readonly of: Schemas['Figures'] }) {
  const t = useTexts(usageTexts);
  const { language } = useLanguage();
  const short = (count: number): string => formatShort(count, language);
  return (
    <Tiles>
      <Tile label={t.requests} value={formatCount(total.uses, language)} />
      <Tile
        label={t.tokens}
        value={short(total.total_tokens)}
        note={t.inAndOut(short(total.input_tokens), short(total.output_tokens))}
      />
      <Tile label={t.points} value={<Points micros={total.points_micros} digits={2} />} />
      <Tile
        label={t.errorRate}
        value={formatShare(total.error_rate, language)}
        note={total.refused > 0 ? t.refusedOf(formatCount(total.refused, language)) : null}
      />
      <Tile
        label={t.meanTime}
        value={total.mean_ms === null ? '–' : formatDuration(total.mean_ms, language)}
      />
    </Tiles>
  );
}
