// Today in numbers, each beside what it means.

import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount, formatDuration, formatShare, formatShort } from '../../ui/numbers';
import { Points } from '../../ui/Points';
import { formatMicros } from '../../ui/points';
import { Tile, Tiles } from '../../ui/Tile';
import { overviewTexts } from './texts';

const ERRORS_BAD = 0.05;

export function TodayTiles({ of: data }: { readonly of: Schemas['Overview'] }) {
  const t = useTexts(overviewTexts);
  const { language } = useLanguage();
  const { today, yesterday } = data;
  const short = (value: number): string => formatShort(value, language);
  const elsewhere = data.charged_elsewhere_micros;
  return (
    <Tiles>
      <Tile
        label={t.requests}
        value={formatCount(today.uses, language)}
        note={
          yesterday.uses
            ? t.sinceYesterday(formatShare(today.uses / yesterday.uses - 1, language))
            : t.noneYesterday
        }
      />
      <Tile
        label={t.tokens}
        value={short(today.total_tokens)}
        note={t.inAndOut(short(today.input_tokens), short(today.output_tokens))}
      />
      <Tile
        label={t.points}
        value={<Points micros={today.points_micros} digits={2} />}
        note={
          BigInt(elsewhere) > 0n ? t.elsewhere(formatMicros(elsewhere, language, 2)) : undefined
        }
      />
      <Tile
        label={t.errors}
        value={formatShare(today.error_rate, language)}
        tone={today.error_rate > ERRORS_BAD ? 'bad' : 'plain'}
        note={t.refused(short(today.refused))}
      />
      <Tile
        label={t.latency}
        value={today.mean_ms === null ? '–' : formatDuration(today.mean_ms, language)}
      />
      <Tile label={t.keys} value={formatCount(data.active_keys, language)} />
    </Tiles>
  );
}
