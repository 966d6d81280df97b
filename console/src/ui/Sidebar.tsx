// The list of pages that somebody may open, and the choices at its foot.

import { NavLink, useLocation } from 'react-router';
import { PAGES } from '../api/urls';
import { may, useAuth, useWho } from '../auth/session';
import { facts } from '../facts';
import { useLanguage, useTexts } from '../i18n/language';
import { pages } from '../pages';
import { GROUPS, type Group, type PageEntry } from '../pages/registry';
import { useRoleName } from './actors';
import { Choices } from './Choices';
import { Mark } from './Mark';
import { frameTexts } from './texts';

export function Sidebar({ onClose }: { readonly onClose: () => void }) {
  const t = useTexts(frameTexts);
  const who = useWho();
  const mine = pages.filter((page) => !page.isHidden && may(who, page.need));
  return (
    <>
      <div className="shade" onClick={onClose} aria-hidden="true" />
      <aside
        id="sidebar"
        className="sidebar"
        aria-label="Tallygate"
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose();
        }}
      >
        <div className="sidebar-top">
          <Mark />
        </div>
        <nav aria-label={t.sidebar}>
          {GROUPS.map((group) => (
            <PageGroup key={group} group={group} pages={mine} />
          ))}
        </nav>
        <Foot />
      </aside>
    </>
  );
}

function PageGroup({
  group,
  pages: all,
}: {
  readonly group: Group;
  readonly pages: readonly PageEntry[];
}) {
  const t = useTexts(frameTexts);
  const pages = all.filter((page) => page.group === group);
  if (pages.length === 0) return null;
  return (
    // A group, not a region: six landmarks in the list of pages would only be in the way.
    <div role="group" aria-labelledby={`group-${group}`}>
      <p id={`group-${group}`} className="sidebar-group">
        {t[group]}
      </p>
      <ul>
        {pages.map((page) => (
          <li key={page.name}>
            <PageLink page={page} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function PageLink({ page }: { readonly page: PageEntry }) {
  const { language } = useLanguage();
  const { pathname } = useLocation();
  const path = PAGES[page.name];
  // Its document has another policy: into it and out of it the browser asks the server.
  const leavesDocument =
    page.isOwnDocument === true ||
    pages.some((one) => one.isOwnDocument && PAGES[one.name] === pathname);
  return (
    <NavLink to={path} className="sidebar-link" reloadDocument={leavesDocument}>
      <span className="sidebar-icon" aria-hidden="true">
        <page.icon />
      </span>
      <span>{page.title[language]}</span>
      {page.badge ? <page.badge /> : null}
    </NavLink>
  );
}

function Foot() {
  const t = useTexts(frameTexts);
  const { signOut } = useAuth();
  const who = useWho();
  const roleName = useRoleName();
  return (
    <div className="sidebar-foot">
      <Choices />
      <div className="sidebar-who">
        <span className="sidebar-name" title={who.email ?? who.name}>
          {who.id === null ? t.adminToken : who.name}
          <small>{roleName(who.role)}</small>
        </span>
        <button
          type="button"
          className="plain-button"
          onClick={() => {
            void signOut();
          }}
        >
          {t.signOut}
        </button>
      </div>
      <small className="sidebar-version">
        {facts.version} · <a href="/docs">{t.apiDocs}</a>
      </small>
    </div>
  );
}
