// How the end-to-end tests of /dify-test are run: tests/web/test_dify_page.py starts the servers.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['e2e/dify.e2e.ts'],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    fileParallelism: false,
    expect: { poll: { timeout: 30_000, interval: 100 } },
  },
});
