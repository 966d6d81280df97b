// What somebody hostile tries: texts that would be scripts, formulas or other letters than they look,
// pages that send calls in our users' names, and pages that show ours in a frame.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enter, launch, visit } from './browser.ts';
import { fill, NAME, NASTY, SETTINGS } from './hostile.ts';
import { defusedIn, look, type Seen } from './looking.ts';
import { registeredPages } from './pages.ts';
import { makePeople, signInAs } from './people.ts';
import { ADMIN_TOKEN, Server } from './server.ts';
import { Stranger } from './stranger.ts';
import { type Attack, NUMBERED, stringFields } from './strings.ts';
import { report } from './webhook.ts';

const pages = registeredPages();
/** Addresses below the pages', or with something hostile asked for. */
const OTHERS = [
  `/console/wallets?user=${encodeURIComponent(NAME)}`,
  `/console/wallets?tab=grants&user=${encodeURIComponent(NAME)}`,
  `/console/wallets?tab=holds&user=${encodeURIComponent(NAME)}`,
  `/console/keys?q=${encodeURIComponent(NASTY)}`,
  `/console/usage?days=7&route=${encodeURIComponent(NASTY)}`,
  `/console/charges?charge=1`,
  '/console/models?q=trap',
  '/console/audit?size=250',
  `/console/${encodeURIComponent(NAME)}`,
];
/** Where a hostile text must have been seen, or the test has shown nothing. */
const SHOWING = [
  ...['/console/keys', '/token-dashboard', '/console/teams', '/console/users', '/console/routes'],
  ...['/console/usage', '/console/anomalies', '/console/exchange-rate'],
  ...['/console/redeem-codes', '/console/budgets', '/console/charges', '/console/dead-letters'],
  ...['/console/credentials', '/console/alerts', '/console/audit', '/console/overview'],
  ...[
    '/console/providers',
    '/console/dify-apps',
    ...OTHERS.slice(0, 3),
    '/console/charges?charge=1',
  ],
];
const OWN_SHOWING = ['/console/history', '/console/my-keys'];

let server: Server;
let browser: Browser;
let stranger: Stranger;
let attack: Attack;

beforeAll(async () => {
  [server, browser, stranger] = await Promise.all([
    Server.start(SETTINGS),
    launch(),
    Stranger.start(),
  ]);
  await makePeople(server);
  attack = await fill(server, 'member-1');
});

afterAll(async () => {
  await browser.close();
  await stranger.stop();
  await server.stop();
});

/** What is told live comes after the page. */
async function chargeAgain(): Promise<void> {
  const used = { conversation_id: NASTY, model_name: NAME, input_tokens: 900, output_tokens: 90 };
  const said = { ...used, message_id: `${NASTY} live`, user_id: NAME, total_tokens: 990 };
  expect((await report(server, said)).status).toBe(200);
}

/** No page shows these, and none may. */
const SECRET = /(password|secret|api_key|request_headers\.add{}=)$/;
/** On the pages of operators, and then of members. */
const seen: Seen[] = [];

test('what takes a hostile text is known, and every other field of a call refuses it', async () => {
  expect(await attack.tryOthers(NASTY)).toEqual([]);
  expect([...attack.taken.keys(), ...attack.refused].sort()).toEqual(stringFields());
});

/** Many pages, on a machine that may be busy. */
const LOOK_MS_MAX = 240_000;
const OPERATORS = pages.filter(({ need }) => need !== 'member').map(({ path }) => path);
const HALF = Math.ceil(OPERATORS.length / 2);

test.each([
  { which: 'the first', paths: OPERATORS.slice(0, HALF) },
  { which: 'the other', paths: [...OPERATORS.slice(HALF), ...OTHERS] },
])(
  'nothing that somebody wrote runs on $which pages of operators, or in files',
  async (half) => {
    const visitor = await visit(browser, server.url);
    await enter(visitor.context);
    const shown = SHOWING.filter((path) => half.paths.includes(path));
    const during = { '/console/live': chargeAgain };
    const found = await look(visitor, { url: server.url, paths: half.paths, shown, during });
    seen.push(found);
    expect(found.showing).toEqual(expect.arrayContaining(shown));
    expect(found.defused).toBeGreaterThan(5);
    await visitor.context.close();
  },
  LOOK_MS_MAX,
);

test('nothing that somebody else wrote runs on any page of a member', async () => {
  const visitor = await visit(browser, server.url);
  await signInAs(visitor.page, 'member');
  const theirs = pages.filter(({ need }) => need === 'member' || need === 'signedIn');
  const paths = theirs.map(({ path }) => path);
  const found = await look(visitor, { url: server.url, paths, shown: OWN_SHOWING });
  seen.push(found);
  expect(found.showing).toEqual(expect.arrayContaining(OWN_SHOWING));
  await visitor.context.close();
});

test('each text that was taken was seen on a page as it is, and no secret on any', () => {
  const words = seen.map((one) => one.words).join('\n');
  const isSeen = (text: string): boolean => words.includes(text.match(NUMBERED)?.[0] ?? text);
  const fields = [...attack.taken].map(([field, text]) => ({ field, text }));
  const secrets = fields.filter(({ field }) => SECRET.test(field));
  expect(secrets.filter(({ text }) => isSeen(text))).toEqual([]);
  expect(secrets.length).toBeGreaterThan(5);
  expect(fields.filter((one) => !secrets.includes(one) && !isSeen(one.text))).toEqual([]);
  // What stands there now is shown where it is used, too, and not only where changes are told of.
  const elsewhere = fields.filter(({ field, text }) => {
    const number = text.match(NUMBERED)?.[0] ?? '';
    const paths = seen.flatMap((one) => [...(one.texts.get(number) ?? [])]);
    const isNow =
      field.startsWith('PATCH') && number !== '' && !secrets.some((one) => one.field === field);
    return isNow && paths.every((path) => path.startsWith('/console/audit'));
  });
  expect(elsewhere.map(({ field }) => field)).toEqual([]);
});

test.each(['use', 'token', 'user', 'team'])('an export per %s holds no formula', async (per) => {
  const headers = { 'X-Admin-Token': ADMIN_TOKEN };
  const file = await fetch(`${server.url}/api/usage/export?per=${per}&days=7`, { headers });
  const text = await file.text();
  expect(text).toContain('\r\n');
  defusedIn(text, per);
});

test('no page of ours is shown in a page of somebody else', async () => {
  const { page, context } = await visit(browser, server.url);
  await page.goto(stranger.url);
  const paths = [...pages.map(({ path }) => path), '/', '/admin', '/console', '/docs', ...OTHERS];
  const framed = [...paths.map((path) => server.url + path), `${stranger.url}/harmless`];
  await page.evaluate(async (addresses) => {
    const loaded = addresses.map((address) => {
      const frame = document.createElement('iframe');
      frame.src = address;
      const done = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      return done;
    });
    await Promise.all(loaded);
  }, framed);
  const shown = page.frames().slice(1);
  expect(shown.length).toBe(framed.length);
  const visible = shown
    .map((frame) => frame.url())
    .filter((url) => !url.startsWith('chrome-error'));
  expect(visible).toEqual([`${stranger.url}/harmless`]);
  await context.close();
});

/** How many changes there were: every one is in the audit log. */
async function changes(): Promise<number> {
  return ((await server.call('GET', '/api/audit?limit=1')) as { total: number }).total;
}

interface Forged {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

const FORGED: readonly Forged[] = [
  { method: 'POST', path: '/api/keys', body: '{"label":"forged"}' },
  { method: 'POST', path: '/api/user/keys', body: '{}' },
  { method: 'POST', path: '/api/users/admin-1/wallet/top-up', body: '{"points":"9"}' },
  { method: 'POST', path: '/api/teams', body: '{"name":"forged"}' },
  { method: 'PATCH', path: '/api/users/member-1', body: '{"role":"admin"}' },
  { method: 'PUT', path: '/api/exchange-rate', body: '{"rate":"1"}' },
  { method: 'DELETE', path: '/api/session', body: '' },
];

test('what a page of somebody else sends in the name of an admin changes nothing', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'admin');
  const before = await changes();
  const answers: number[] = [];
  await page.goto(stranger.url);
  page.on('response', (one) => {
    if (one.url().startsWith(`${server.url}/api/`)) answers.push(one.status());
  });
  const read = await page.evaluate(
    async ({ url, forged }) => {
      const read: string[] = [];
      for (const { method, path, body } of forged) {
        for (const mode of ['no-cors', 'cors'] as const) {
          try {
            const init: RequestInit = { method, mode, credentials: 'include' };
            const answer = await fetch(url + path, body ? { ...init, body } : init);
            if (answer.type !== 'opaque') read.push(path);
          } catch {
            // Refused by the browser, before or after it was sent.
          }
        }
        navigator.sendBeacon(url + path, body);
      }
      return read;
    },
    { url: server.url, forged: FORGED },
  );
  expect(read).toEqual([]);
  // Known, by the cookie that came along, and refused all the same.
  await expect.poll(() => answers.filter((status) => status === 403).length).toBeGreaterThan(6);
  expect(answers.filter((status) => ![403, 404, 405].includes(status))).toEqual([]);
  for (const { path, body } of FORGED) {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      await page.goto(stranger.url);
      const gone = page.waitForNavigation();
      await page.evaluate(
        ({ action, enctype, body }) => {
          const form = document.createElement('form');
          Object.assign(form, { method: 'POST', action, enctype });
          const field = document.createElement('input');
          // As text, `name=value` is JSON: the equals sign is inside of a string.
          Object.assign(field, { name: `${body.slice(0, -1)},"x":"`, value: '"}' });
          form.append(field);
          document.body.append(form);
          form.submit();
        },
        { action: server.url + path, enctype: type, body },
      );
      expect([403, 404, 405], `${path} as ${type}`).toContain((await gone)?.status());
    }
  }
  await page.goto('/console/keys');
  await page.locator('.frame').waitFor(); // and still signed in
  expect(await changes()).toBe(before);
  await context.close();
});
