// Every page's address, read from the pages themselves, so that none is forgotten.

import { readdirSync, readFileSync } from 'node:fs';
import { PAGES, type PageName } from '../src/api/urls.ts';

const FOLDER = new URL('../src/pages/', import.meta.url);

export interface Found {
  readonly name: PageName;
  readonly path: string;
  /** As `page.ts` says it. */
  readonly need: string;
}

export function registeredPages(): readonly Found[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => {
      const text = readFileSync(new URL(`${entry.name}/page.ts`, FOLDER), 'utf8');
      const name = /name: '(\w+)'/.exec(text)?.[1] as PageName | undefined;
      const need = /need: '(\w+)'/.exec(text)?.[1];
      if (!name || !need) throw new Error(`${entry.name}/page.ts says no name or no need`);
      return [{ name, path: PAGES[name], need }];
    });
}
