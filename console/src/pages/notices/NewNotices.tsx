// How many notices one has not seen yet, beside the page's name. Part of the frame, so it is small.

import { useTexts } from '../../i18n/language';
import { useNew } from './seen';
import { noticeTexts } from './texts';

const MOST = 99;

export function NewNotices() {
  const t = useTexts(noticeTexts);
  const { count } = useNew();
  if (count === 0) return null;
  const said = count <= MOST ? String(count) : `${MOST}+`;
  return (
    <span className="badge" aria-label={t.unseen(said)} role="img">
      {said}
    </span>
  );
}
