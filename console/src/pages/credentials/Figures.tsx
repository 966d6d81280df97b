// How many credentials are in which state.

import { useRead } from '../../api/queries';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { Tile, Tiles } from '../../ui/Tile';
import { credentialTexts } from './texts';

const EVERY_MS = 10_000;

export function Figures() {
  const t = useTexts(credentialTexts);
  const { language } = useLanguage();
  const valid = useCount('valid');
  const waiting = [useCount('fresh'), useCount('due'), useCount('checking')];
  const suspect = useCount('suspect');
  const quarantined = useCount('quarantined');
  const said = (count: number | undefined): string => formatCount(count, language);
  const sum = waiting.reduce<number>((all, one) => all + (one ?? 0), 0);
  return (
    <Tiles>
      <Tile label={t.figureValid} value={said(valid)} note={t.figureValidNote} tone="good" />
      <Tile label={t.figureWaiting} value={said(sum)} note={t.figureWaitingNote} />
      <Tile label={t.figureSuspect} value={said(suspect)} note={t.figureSuspectNote} />
      <Tile
        label={t.figureQuarantined}
        value={said(quarantined)}
        note={t.figureQuarantinedNote}
        tone={quarantined ? 'bad' : 'plain'}
      />
    </Tiles>
  );
}

function useCount(state: string): number | undefined {
  const list = useRead('/api/credentials', { query: { state, limit: 1 }, everyMs: EVERY_MS });
  return list.data?.total;
}
