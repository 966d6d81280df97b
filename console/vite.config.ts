// How the console is built: into the Python package, with hashed names and precompressed copies.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { beginScript } from './scripts/beginScript.ts';
import { pageFiles } from './scripts/pageFiles.ts';

const OUT = fileURLToPath(new URL('../src/tallygate/console_files', import.meta.url));
const COMPRESSED_FROM_BYTES = 1024;
const SERVER = process.env['TALLYGATE_URL'] ?? 'http://127.0.0.1:8787';

/** Compress once here rather than in the server for each browser. */
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    closeBundle() {
      const folder = `${OUT}/assets`;
      for (const name of readdirSync(folder)) {
        const bytes = readFileSync(`${folder}/${name}`);
        if (bytes.length < COMPRESSED_FROM_BYTES) continue;
        writeFileSync(`${folder}/${name}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(`${folder}/${name}.br`, brotliCompressSync(bytes));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), precompress(), beginScript(), pageFiles()],
  resolve: {
    alias: {
      '@tallygate/dify-monitor': fileURLToPath(
        new URL('../sdk/dify-monitor/src/index.ts', import.meta.url),
      ),
      '@tallygate/react': fileURLToPath(new URL('../sdk/react/src/index.ts', import.meta.url)),
    },
  },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy allows no data: addresses
    chunkSizeWarningLimit: 1200,
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/admin/', '/v1', '/docs', '/openapi.json', '/metrics'].map((path) => [
        path,
        SERVER,
      ]),
    ),
  },
  test: {
    environment: 'node', // a test of components says `@vitest-environment jsdom` at its top
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/tests/setup.ts'],
  },
});
