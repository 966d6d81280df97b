// `/` leads everybody to what is theirs: operators to the overview, members to their balance.

import { Navigate } from 'react-router';
import { PAGES } from '../api/urls';
import { may, useWho } from '../auth/session';
import { pages } from '../pages';

export function Home() {
  const who = useWho();
  const wanted = may(who, 'read') ? PAGES.overview : PAGES.balance;
  const open = pages.filter((page) => may(who, page.need) && !page.isHidden);
  const first = open.find((page) => PAGES[page.name] === wanted) ?? open[0];
  return first ? <Navigate to={PAGES[first.name]} replace /> : null;
}
