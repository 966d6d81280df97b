// `npm run dev`: the gate on a developer's machine, filled with what the server would publish.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { hashOf } from './given';
import { Played, TOKEN } from './rig';

const FOLDER = new URL('..', import.meta.url).pathname;

let backend: Played;
let folder: string;

beforeAll(async () => {
  execFileSync('npm', ['run', 'build'], { cwd: FOLDER, stdio: 'ignore' });
  backend = await Played.start();
  folder = await mkdtemp(join(tmpdir(), 'tallygate-edge-'));
});
afterAll(async () => {
  await backend.stop();
  await rm(folder, { recursive: true });
});

it('serves the entries that `tallygate edge show --json` prints', async () => {
  const routes = [{ id: 1, path: '/api/test', backend_url: backend.url }];
  const entries = [
    { name: 'routes', value: JSON.stringify({ version: 1, routes }) },
    { name: `token:${hashOf(TOKEN)}`, value: '{}' },
  ];
  const file = join(folder, 'kv.json');
  await writeFile(file, JSON.stringify({ entries }));
  const environment = { ...process.env, PORT: '0', TOKEN_MANAGER_BACKEND: backend.url };
  const dev = spawn('node', ['dev.mjs', file], { cwd: FOLDER, env: environment });
  try {
    let said = '';
    for await (const part of dev.stdout) {
      said += String(part);
      if (said.includes(' and reports to ')) break;
    }
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(said)?.[0] ?? '';
    expect(said).toContain('KV holds 2 entries');
    expect((await fetch(`${url}api/test`)).status).toBe(401);
    const answer = await fetch(`${url}api/test`, { headers: { 'x-api-key': TOKEN } });
    expect(await answer.text()).toBe('fine');
  } finally {
    dev.kill();
  }
});
