// How many notices one has not seen yet, beside the page's name. Part of the frame, so it is small.

import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { countNew, useSeen } from './seen';
import { noticeTexts } from './texts';

const EVERY_MS = 60_000;
const MOST = 20;

export function NewNotices() {
  const t = useTexts(noticeTexts);
  const seen = useSeen();
  const { data } = useRead('/api/user/notices', { query: { limit: MOST }, everyMs: EVERY_MS });
  const ids = (data?.items ?? []).map((notice) => notice.id);
  const count = countNew(ids, seen);
  if (count === 0) return null;
  const said = count < MOST ? String(count) : `${MOST}+`;
  return (
    <span className="badge" aria-label={t.unseen(said)} role="img">
      {said}
    </span>
  );
}
