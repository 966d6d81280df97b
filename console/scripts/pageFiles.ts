// Which files each page of the console needs beyond those that every page has. The server names
// them in the page that it sends (control/console.py), so that a browser asks for all of them at once
// and not for one after the script that wants it has run.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin, Rolldown } from 'vite';
import { PAGES, type PageName } from '../src/api/urls.ts';

type Chunks = ReadonlyMap<string, Rolldown.OutputChunk>;

/** Asks for the charts' library as soon as it is there itself. */
const CHART = '/src/ui/Chart.tsx';

export function pageFiles(): Plugin {
  return {
    name: 'page-files',
    apply: 'build',
    generateBundle(_, bundle) {
      const chunks: Chunks = new Map(
        Object.values(bundle)
          .filter((file) => file.type === 'chunk')
          .map((chunk) => [chunk.fileName, chunk]),
      );
      const source = JSON.stringify(Object.fromEntries(filesByPath(chunks)));
      this.emitFile({ type: 'asset', fileName: 'pages.json', source });
    },
  };
}

function* filesByPath(chunks: Chunks): Iterable<[path: string, files: readonly string[]]> {
  const entry = [...chunks.values()].filter((chunk) => chunk.isEntry);
  const first = reached(
    chunks,
    entry.map((chunk) => chunk.fileName),
  );
  for (const chunk of chunks.values()) {
    const page = chunk.facadeModuleId?.match(/\/src\/pages\/\w+\/\w+\.tsx$/);
    const path = page && chunk.facadeModuleId ? pathOf(chunk.facadeModuleId) : null;
    if (!path) continue;
    const files = reached(chunks, [chunk.fileName]);
    const charts = [...files]
      .map((name) => chunks.get(name))
      .filter((one) => one?.moduleIds.some((id) => id.endsWith(CHART)))
      .flatMap((one) => one?.dynamicImports ?? []);
    yield [path, [...new Set([...files, ...reached(chunks, charts)])].filter((f) => !first.has(f))];
  }
}

/** The address of the page whose component this is; none for a part of a page. */
function pathOf(component: string): string | null {
  const folder = dirname(component);
  const told = readFileSync(join(folder, 'page.ts'), 'utf-8');
  const name = /name: '(\w+)'/.exec(told)?.[1];
  const loaded = /load: \(\) => import\('\.\/(\w+)'\)/.exec(told)?.[1];
  if (!name || !loaded || !(name in PAGES)) throw new Error(`${folder}/page.ts is not understood`);
  return component === join(folder, `${loaded}.tsx`) ? PAGES[name as PageName] : null;
}

/** These files and all that they import. */
function reached(chunks: Chunks, from: readonly string[]): ReadonlySet<string> {
  const found = new Set(from);
  for (const name of found) for (const one of chunks.get(name)?.imports ?? []) found.add(one);
  return found;
}
