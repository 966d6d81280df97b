// What somebody hostile tries: texts that would be scripts, formulas or other letters than they look,
// pages that send calls in our users' names, and pages that show ours in a frame.

import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enter, launch, settled, visit, type Visitor } from './browser.ts';
import { fill, FORMULA, NAME, NASTY, SETTINGS } from './hostile.ts';
import { registeredPages } from './pages.ts';
import { makePeople, signInAs } from './people.ts';
import { ADMIN_TOKEN, Server } from './server.ts';
import { Stranger } from './stranger.ts';

const pages = registeredPages();
/** Addresses below the pages', or with something hostile asked for. */
const OTHERS = [
  `/console/wallets?user=${encodeURIComponent(NAME)}`,
  `/console/wallets?tab=grants&user=${encodeURIComponent(NAME)}`,
  `/console/wallets?tab=holds&user=${encodeURIComponent(NAME)}`,
  `/console/keys?q=${encodeURIComponent(NASTY)}`,
  `/console/usage?days=7&route=${encodeURIComponent(NASTY)}`,
  `/console/charges?charge=1`,
  `/console/${encodeURIComponent(NAME)}`,
];
/** Where a hostile text must have been seen, or the test has shown nothing. */
const SHOWING = [
  ...['/console/keys', '/token-dashboard', '/console/teams', '/console/users', '/console/routes'],
  ...['/console/usage', '/console/anomalies', '/console/exchange-rate'],
  ...['/console/redeem-codes', '/console/budgets', '/console/charges', '/console/dead-letters'],
  ...['/console/credentials', '/console/alerts', '/console/audit', '/console/overview'],
  ...['/console/providers', ...OTHERS.slice(0, 3), '/console/charges?charge=1'],
];
const OWN_SHOWING = ['/console/history', '/console/my-keys'];

let server: Server;
let browser: Browser;
let stranger: Stranger;

beforeAll(async () => {
  [server, browser, stranger] = await Promise.all([
    Server.start(SETTINGS),
    launch(),
    Stranger.start(),
  ]);
  await makePeople(server);
  await fill(server, 'member-1');
});

afterAll(async () => {
  await browser.close();
  await stranger.stop();
  await server.stop();
});

interface Trap {
  trapped?: string[];
  trap?: (what?: string) => void;
}

/** Whatever runs that should not, any dialog, and any call to elsewhere is told of. */
async function setTrap({ context, page, complaints }: Visitor): Promise<void> {
  await context.addInitScript(() => {
    const trap = window as unknown as Trap;
    trap.trapped = [];
    trap.trap = () => trap.trapped?.push(location.href);
  });
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const { origin, pathname } = new URL(request.url());
    if (/^https?:/.test(origin) && (origin !== server.url || pathname === '/x'))
      complaints.push(`asked for ${request.url()}`);
  });
}

/** What a page does with what it shows: details, the menu of a row and its question, tooltips. */
async function provoke(page: Page): Promise<void> {
  const closed = page.locator('.ant-table-row-expand-icon-collapsed');
  if ((await closed.count()) > 0) await closed.first().click();
  for (const chart of await page.locator('.chart').all()) {
    await chart.hover();
    const box = await chart.boundingBox();
    if (box) await page.mouse.move(box.x + box.width - 30, box.y + box.height - 50);
  }
  const menu = page.locator('.with-actions tbody td:last-child button').first();
  if ((await menu.count()) === 0) return;
  await menu.click();
  await page.getByRole('menuitem').last().click();
}

async function whatRan(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const bad = '[onerror], img[src="x"], script:not([src]), a[href^="javascript:" i]';
    const found = [...document.querySelectorAll(bad)].map((one) => one.outerHTML.slice(0, 200));
    return [...((window as unknown as Trap).trapped ?? ['no trap']), ...found];
  });
}

/** What is summed up or told live may come a moment after the page: where it must, it is awaited. */
async function showsIt(page: Page, isExpected: boolean): Promise<boolean> {
  const isShown = () =>
    ['onerror=trap()', '=HYPERLINK'].some((part) => document.body.innerText.includes(part));
  if (!isExpected) return page.evaluate(isShown);
  return page.waitForFunction(isShown).then(
    () => true,
    () => false,
  );
}

/** The pages that have shown something hostile, and how many formulas their files have defused. */
async function look(visitor: Visitor, paths: readonly string[], shown: readonly string[]) {
  const { page, complaints } = visitor;
  const expected = new Set(shown);
  await setTrap(visitor);
  const showing: string[] = [];
  let defused = 0;
  for (const path of paths) {
    await page.goto(path);
    await settled(page);
    const isCovered = (await page.getByRole('dialog').count()) > 0; // by what the address opens
    const files = page.locator('.table-foot button', { hasText: 'CSV' });
    for (const button of isCovered ? [] : await files.all()) {
      const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
      defused += defusedIn(await readFile(await download.path(), 'utf8'), path);
    }
    if (!isCovered) await provoke(page);
    expect(await whatRan(page), path).toEqual([]);
    expect(complaints, path).toEqual([]);
    if (await showsIt(page, expected.has(path))) showing.push(path);
  }
  return { showing, defused };
}

/** The cells of a CSV, quoted as RFC 4180 has it. */
function cellsOf(text: string): string[] {
  const cells = text.replace('\ufeff', '').matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(?:,|\r\n)/g);
  return [...cells].map((cell) => (cell[1] ?? cell[2] ?? '').replaceAll('""', '"'));
}

/** How many of its formulas are texts; each is, or the test fails. */
function defusedIn(text: string, from: string): number {
  const cells = cellsOf(text);
  const formulas = cells.filter((cell) => /^[=+\-@\t\r\n]/.test(cell));
  expect(
    formulas.filter((cell) => !/^[+-]?[\d.]+$/.test(cell)),
    from,
  ).toEqual([]);
  return cells.filter((cell) => cell.startsWith(`'${FORMULA}`)).length;
}

test('nothing that somebody else wrote runs on any page of an operator, or in its files', async () => {
  const visitor = await visit(browser, server.url);
  await enter(visitor.context);
  const paths = pages.filter(({ need }) => need !== 'member').map(({ path }) => path);
  const { showing, defused } = await look(visitor, [...paths, ...OTHERS], SHOWING);
  expect(showing).toEqual(expect.arrayContaining(SHOWING));
  expect(defused).toBeGreaterThan(10);
  await visitor.context.close();
});

test('nothing that somebody else wrote runs on any page of a member', async () => {
  const visitor = await visit(browser, server.url);
  await signInAs(visitor.page, 'member');
  const theirs = pages.filter(({ need }) => need === 'member' || need === 'signedIn');
  const paths = theirs.map(({ path }) => path);
  const { showing } = await look(visitor, paths, OWN_SHOWING);
  expect(showing).toEqual(expect.arrayContaining(OWN_SHOWING));
  await visitor.context.close();
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
