// Every page that there is, found by its `page.ts`, in the sidebar's order.

import { GROUPS, type PageEntry } from './registry';

const found = import.meta.glob<PageEntry>('./*/page.ts', { eager: true, import: 'default' });

export const pages: readonly PageEntry[] = Object.values(found).sort(
  (one, other) =>
    GROUPS.indexOf(one.group) - GROUPS.indexOf(other.group) || one.order - other.order,
);
