// Builds src/begin.ts as a classic script with a hashed name, which a browser runs before it paints.
// Vite bundles modules only, and a module runs after the page has been read.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Plugin, transformWithOxc } from 'vite';

const ADDRESS = '/src/begin.ts';
const SOURCE = fileURLToPath(new URL('../src/begin.ts', import.meta.url));
const NAME = 'begin.js';

export function beginScript(): Plugin {
  return {
    name: 'begin-script',
    apply: 'build',
    async buildStart() {
      const { code } = await transformWithOxc(readFileSync(SOURCE, 'utf-8'), SOURCE);
      this.emitFile({ type: 'asset', name: NAME, source: code });
    },
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        const file = Object.values(bundle ?? {}).find(
          (one) => one.type === 'asset' && one.names.includes(NAME),
        );
        if (!file || !html.includes(ADDRESS))
          throw new Error(`${ADDRESS} has no place in the page`);
        return html.replace(ADDRESS, `/${file.fileName}`);
      },
    },
  };
}
