// The Worker on this machine, in the real workerd, on port 8788: `npm run dev [-- FILE]`. FILE is what
// `tallygate edge show --json` prints, and fills KV; it is read again whenever it changes.

import { readFile, watch } from 'node:fs/promises';

import { Miniflare } from 'miniflare';

const PORT = 8788;
const SECRETS = ['USAGE_SECRET', 'EDGE_SECRET'];
const EMPTY = '{"version":1,"routes":[]}';

const settings = { ...(await varsOf('env.dev.vars')), ...fromEnvironment() };
const file = process.argv[2];
const miniflare = new Miniflare({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT ?? PORT),
  modules: true,
  scriptPath: new URL('dist/index.js', import.meta.url).pathname,
  compatibilityDate: '2026-07-01',
  kvNamespaces: ['KV'],
  durableObjects: { LIMITS: { className: 'LimitCounter', useSQLite: true } },
  bindings: { CACHE_S: '1', ...settings },
});
const url = await miniflare.ready;
const kv = await miniflare.getKVNamespace('KV');
await kv.put('routes', EMPTY);
await fill();
console.log(`the edge serves ${url.href} and reports to ${settings.TOKEN_MANAGER_BACKEND ?? '–'}`);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void miniflare.dispose().then(() => process.exit(0)));
}
if (file !== undefined) {
  for await (const { eventType } of watch(file)) {
    await fill().catch((error) => console.error(`${eventType}: ${error.message}`));
  }
}

/** What a section of wrangler.toml sets, where each line is NAME = "value". */
async function varsOf(section) {
  const text = await readFile(new URL('wrangler.toml', import.meta.url), 'utf8');
  const [, after = ''] = text.split(`[${section}]\n`);
  const lines = after.split(/^\[/m)[0] ?? '';
  return Object.fromEntries(
    [...lines.matchAll(/^(\w+)\s*=\s*"([^"]*)"/gm)].map(([, name, value]) => [name, value]),
  );
}

function fromEnvironment() {
  const names = ['TOKEN_MANAGER_BACKEND', ...SECRETS];
  const set = names.filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(set.map((name) => [name, process.env[name]]));
}

async function fill() {
  if (file === undefined) return;
  const { entries } = JSON.parse(await readFile(file, 'utf8'));
  const named = new Set(entries.map(({ name }) => name));
  const { keys } = await kv.list();
  await Promise.all(keys.filter(({ name }) => !named.has(name)).map(({ name }) => kv.delete(name)));
  await Promise.all(entries.map(({ name, value }) => kv.put(name, value)));
  console.log(`KV holds ${entries.length} entries of ${file}`);
}
