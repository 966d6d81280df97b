// The frame's outline while it is asked who is there. It is the one that stands in index.html, which
// the browser paints before any script of ours has run, so that nothing changes when this takes over.

import { useTexts } from '../i18n/language';
import { Mark } from './Mark';
import { frameTexts } from './texts';

export function Begins() {
  const t = useTexts(frameTexts);
  return (
    <>
      <p className="unseen" role="status">
        {t.loading}
      </p>
      <div className="begins" aria-hidden="true">
        <div className="topbar">
          <Mark />
        </div>
        <div className="sidebar">
          <div className="sidebar-top">
            <Mark />
          </div>
        </div>
        <div className="content">
          <div className="page">
            <div className="outline begins-head" />
            <div className="outline begins-row" />
            <div className="outline begins-body" />
          </div>
        </div>
      </div>
    </>
  );
}
