// What a page says about itself. Each page's folder has a `page.ts` that default-exports this;
// pages/index.ts finds them all, so that no list needs to be changed for a new one.

import type { ComponentType } from 'react';
import type { PageName } from '../api/urls';
import type { Need } from '../auth/session';
import type { Language } from '../i18n/language';

export const GROUPS = ['watch', 'access', 'traffic', 'money', 'upkeep', 'mine'] as const;
export type Group = (typeof GROUPS)[number];

export interface PageEntry {
  readonly name: PageName;
  readonly title: Readonly<Record<Language, string>>;
  readonly icon: ComponentType;
  readonly group: Group;
  /** Where in its group: smaller stands higher. */
  readonly order: number;
  /** Who finds it in the sidebar and may open it. */
  readonly need: Need;
  /** The page itself, in a file of its own that is fetched when it is opened. */
  readonly load: () => Promise<{ default: ComponentType }>;
  /** Paths below the page's own, such as `:id`, that it answers, too. */
  readonly below?: readonly string[];
  /** Other addresses of the same page. */
  readonly aliases?: readonly string[];
  /** Opened as a document of its own, since the server sends it another policy. */
  readonly isOwnDocument?: boolean;
  readonly isHidden?: boolean;
  /** What stands beside its name in the sidebar, such as how many are new. */
  readonly badge?: ComponentType;
}

export function definePage(page: PageEntry): PageEntry {
  return page;
}
