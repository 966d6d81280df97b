// Members see what is theirs: one who asks for everything there is, with another's ids, is told
// nothing of the other and changes nothing of theirs. The calls are those of the contract.

import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goWithin, launch, settled, visit } from './browser.ts';
import { SETTINGS } from './hostile.ts';
import { registeredPages } from './pages.ts';
import { headersOf, makePeople, PASSWORD, signInAs } from './people.ts';
import { Server } from './server.ts';
import { report } from './webhook.ts';

const CONTRACT = new URL('../../contract/openapi.json', import.meta.url);
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
/** Stands in every text of the other member's, and in their id. */
const OTHERS = 'zzz-somebody-else';

interface Call {
  readonly method: string;
  readonly path: string;
}

interface Caller {
  readonly headers: Readonly<Record<string, string>>;
}

let server: Server;
let browser: Browser;
let ids: Readonly<Record<string, string>>;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start(SETTINGS), launch()]);
  await makePeople(server);
  ids = await makeSomebodyElse();
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Another member with something of everything; what their things are called by. */
async function makeSomebodyElse(): Promise<Record<string, string>> {
  const call = server.call.bind(server) as (...args: unknown[]) => Promise<Record<string, string>>;
  await call('POST', '/api/users', {
    ...{ id: OTHERS, name: OTHERS, password: PASSWORD, email: `${OTHERS}@example.com` },
  });
  const team = await call('POST', '/api/teams', { name: OTHERS });
  await call('POST', `/api/teams/${team['id']}/members`, { user_id: OTHERS });
  const key = await call('POST', '/api/keys', { label: OTHERS, user_id: OTHERS });
  const token = await call('POST', '/api/tokens', { name: OTHERS, user_id: OTHERS });
  await server.chat(key['secret'] ?? '', OTHERS, OTHERS);
  await call('POST', '/api/models', {
    ...{ model_name: 'gpt-4', input_token_price: '1', output_token_price: '2' },
    ...{ currency: 'points', per_tokens: 1000 },
  });
  const wallet = `/api/users/${OTHERS}/wallet`;
  await call('PATCH', wallet, { warn_below: '100000' });
  await call('POST', `${wallet}/top-up`, { points: '777', reason: OTHERS });
  await call('POST', `${wallet}/grant`, { points: '5', reason: OTHERS });
  const hold = await call('POST', `${wallet}/holds`, { points: '1', owner: OTHERS });
  const budget = await call('POST', '/api/budgets', {
    points: '1',
    span: 'total',
    user_id: OTHERS,
  });
  const batch = await call('POST', '/api/redeem-batches', { count: 1, points: '1', label: OTHERS });
  const used = { model_name: 'gpt-4', input_tokens: 1000, output_tokens: 1000, total_tokens: 2000 };
  const said = { conversation_id: OTHERS, message_id: OTHERS, user_id: OTHERS };
  expect((await report(server, { ...said, ...used })).status).toBe(200);
  await report(server, {
    ...said,
    ...used,
    message_id: `${OTHERS}-2`,
    user_id: `${OTHERS}-nobody`,
  });
  const first = async (path: string): Promise<string> => {
    const { items } = (await server.call('GET', path)) as { items: { id: string }[] };
    return items[0]?.id ?? '';
  };
  return {
    ...{
      key: key['id'] ?? '',
      token: token['id'] ?? '',
      user_id: OTHERS,
      hold_id: hold['id'] ?? '',
    },
    ...{
      team: team['id'] ?? '',
      grant_id: await first(`${wallet}/grants`),
      budget_id: budget['id'] ?? '',
    },
    ...{ batch_id: batch['id'] ?? '', charge_id: await first('/api/charges'), letter_id: '1' },
    ...{ model_name: 'gpt-4', alias: OTHERS, name: OTHERS, anomaly_id: '1', id: '1', node: '1' },
  };
}

function calls(): readonly Call[] {
  const { paths } = JSON.parse(readFileSync(CONTRACT, 'utf8')) as {
    paths: Record<string, Record<string, unknown>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => method in methods).map((method) => ({ method, path })),
  );
}

/** The path about the other member, and the same asked for in the query. */
function addressOf({ path }: Call): string {
  const whose = path.includes('/users/') ? OTHERS : path.includes('/teams/') ? ids['team'] : '1';
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent((name === 'id' ? whose : ids[name]) ?? '1'),
  );
  return server.url + filled;
}

const QUERIES = ['', `?user_id=${OTHERS}&user=${OTHERS}`, `?q=zzz&limit=1000`];

async function signedIn(id: string): Promise<Caller> {
  return { headers: await headersOf(server, id) };
}

/** An answer's status and text; of a stream, what comes at once. */
async function ask(
  caller: Caller,
  call: Call,
  query = '',
): Promise<{ status: number; text: string }> {
  const response = await fetch(addressOf(call) + query, {
    method: call.method.toUpperCase(),
    headers: caller.headers,
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  if (!isStream) return { status: response.status, text: await response.text() };
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return { status: response.status, text: new TextDecoder().decode(first?.value) };
}

/** What an operator sees of the other member: whatever changes it, shows here. */
async function picture(): Promise<string> {
  const paths = [
    ...[`/api/users/${OTHERS}`, `/api/users/${OTHERS}/wallet`, `/api/users/${OTHERS}/limits`],
    ...[`/api/users/${OTHERS}/wallet/ledger`, `/api/users/${OTHERS}/wallet/holds`],
    ...[`/api/users/${OTHERS}/wallet/grants`, `/api/keys/${ids['key']}`, '/api/redeem-batches'],
    ...[
      '/api/budgets',
      `/api/charges?user_id=${OTHERS}`,
      '/api/dead-letters',
      `/api/teams/${ids['team']}/members`,
    ],
  ];
  return JSON.stringify(await Promise.all(paths.map((path) => server.call('GET', path))));
}

test('a member is told nothing of another one by any call there is', async () => {
  const member = await signedIn('member-1');
  const admin = await signedIn('admin-1');
  const told: string[] = [];
  let toldToAdmin = 0;
  for (const call of calls().filter(({ method }) => method === 'get')) {
    for (const query of QUERIES) {
      const { status, text } = await ask(member, call, query);
      // What was asked for may be said back, in a refusal.
      if (status >= 500 || (status < 400 && text.includes(OTHERS))) told.push(call.path + query);
    }
    if ((await ask(admin, call)).text.includes(OTHERS)) toldToAdmin += 1;
  }
  expect(told).toEqual([]);
  expect(toldToAdmin).toBeGreaterThan(20);
});

test('a member and a viewer change nothing of another member by any call there is', async () => {
  const before = await picture();
  const taken: string[] = [];
  for (const id of ['member-1', 'viewer-1']) {
    const caller = await signedIn(id);
    for (const call of calls().filter(({ method }) => method !== 'get')) {
      const isOwn = /^\/api\/(user|session|dify\/events|prices)(\/|$)/.test(call.path);
      const names = call.path.includes('{');
      const { status } = await ask(caller, call);
      const isRefused = status === 403 || (isOwn && names && status === 404);
      if (!isRefused && !(isOwn && !names && status < 500))
        taken.push(`${id} ${call.path} ${status}`);
      if (call.path === '/api/session') Object.assign(caller.headers, (await signedIn(id)).headers);
    }
  }
  expect(taken).toEqual([]);
  expect(await picture()).toBe(before);
});

test('a member who names somebody else as theirs is refused', async () => {
  const member = await signedIn('member-1');
  const before = await picture();
  const use = { model: 'gpt-4', input_tokens: 1, output_tokens: 1 };
  const event = { event: 'message_end', data: { message_id: 'm', user_id: OTHERS, ...use } };
  const said: readonly (readonly [string, unknown])[] = [
    ['/api/user/points/check-balance', { model: 'gpt-4', userId: OTHERS }],
    ['/api/user/redeem', { code: 'x', user_id: OTHERS }],
    ['/api/user/keys', { label: 'x', user_id: OTHERS }],
    ['/api/dify/events', event],
  ];
  for (const [path, body] of said) {
    const init = { method: 'POST', headers: member.headers, body: JSON.stringify(body) };
    const answer = await fetch(server.url + path, init);
    expect(await answer.text(), path).not.toContain('"balance');
    if (path !== '/api/dify/events') expect([400, 403, 404], path).toContain(answer.status);
  }
  expect(await picture()).toBe(before);
});

test('no address of a member shows anything of another one', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await signInAs(page, 'member');
  for (const { path, need } of registeredPages()) {
    if (need !== 'member' && need !== 'signedIn') continue;
    for (const query of QUERIES.slice(1)) {
      await page.goto(path + query);
      await settled(page);
      expect(await page.locator('main').innerText(), path).not.toContain(OTHERS);
    }
  }
  expect(complaints).toEqual([]);
  await context.close();
});

const CHANGING =
  /^(create|add|new|edit|change|delete|remove|void|top up|grant|adjust|give|refund|replay|dismiss|approve|reject|settle|publish|rotate|deactivate|activate|acknowledge|save|restore|capture|release)\b/i;

/** Where an operator is offered something, or the test has shown nothing. */
const OFFERING = [
  ...['/console/keys', '/token-dashboard', '/console/teams', '/console/models', '/console/budgets'],
  ...['/console/dead-letters', '/console/redeem-codes'],
];

/** What is offered on a page, its first rows' menus included, that would change something. */
async function offered(page: Page): Promise<string[]> {
  const words = await page.locator('main button').allInnerTexts();
  const menus = page.locator('main .with-actions tbody td:last-child button');
  if ((await menus.count()) > 0) {
    await menus.first().click();
    await page.getByRole('menuitem').first().waitFor();
    words.push(...(await page.getByRole('menuitem').allInnerTexts()));
  }
  return words.map((one) => one.trim()).filter((one) => CHANGING.test(one));
}

test('a viewer is offered nothing that changes something, on any page', async () => {
  const found = {
    viewer: {} as Record<string, string[]>,
    operator: {} as Record<string, string[]>,
  };
  for (const role of ['viewer', 'operator'] as const) {
    const { page, context } = await visit(browser, server.url);
    await signInAs(page, role);
    for (const { path, need } of registeredPages()) {
      if (need !== 'read') continue;
      await goWithin(page, path);
      const words = await offered(page);
      if (words.length > 0) found[role][path] = words;
    }
    await context.close();
  }
  expect(found.viewer).toEqual({});
  expect(Object.keys(found.operator)).toEqual(expect.arrayContaining(OFFERING));
});
