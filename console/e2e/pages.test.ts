// Every page there is, opened in three languages: no complaint of the browser, nothing that a screen
// reader stumbles over, and each behind its wall.

import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enter, launch, settled, visit } from './browser.ts';
import { registeredPages } from './pages.ts';
import { makePeople, type Role, ROLES, signInAs } from './people.ts';
import { seed } from './seed.ts';
import { seedMoney } from './seedMoney.ts';
import { Server } from './server.ts';
import { WEBHOOK_SETTINGS } from './webhook.ts';

const LANGUAGES = ['en', 'zh-CN', 'zh-TW'];
const pages = registeredPages();
/** The admin token has no account, so what is one's own is looked at as a member. */
const isOwn = (need: string): boolean => need === 'member';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start(WEBHOOK_SETTINGS);
  browser = await launch();
  await makePeople(server);
  await seed(server);
  await seedMoney(server);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

describe.each(LANGUAGES)('in %s', (language) => {
  test.each(['operators', 'members'])(
    'every page of %s opens without a complaint',
    async (whose) => {
      const { page, context, complaints } = await visit(browser, server.url, { language });
      if (whose === 'members') await signInAs(page, 'member');
      else await enter(context);
      const titles: string[] = [];
      for (const one of pages.filter(({ need }) => isOwn(need) === (whose === 'members'))) {
        await page.goto(one.path);
        await settled(page);
        titles.push(await page.title());
        expect(complaints, `${one.path} in ${language}`).toEqual([]);
        expect(await page.locator('h1').count(), one.path).toBe(1);
      }
      expect(await page.locator('html').getAttribute('lang')).toBe(language);
      expect(new Set(titles).size).toBe(titles.length);
      await context.close();
    },
  );
});

async function stopsOn(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe: check } = window as unknown as { axe: typeof import('axe-core') };
    const { violations } = await check.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
  });
}

/** How far a page is wider than its window. */
async function overhang(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

test('on a phone rows are cards that can be ordered, filtered, opened, chosen and acted on', async () => {
  const { page, context } = await visit(browser, server.url, { isPhone: true });
  await enter(context);
  await page.goto('/console/keys');
  const card = page.getByRole('listitem').filter({ hasText: 'Support bot' });
  await card.getByRole('definition').first().waitFor();
  expect(await card.getByRole('term').allInnerTexts()).toContain('State');
  expect(await card.getByText('Created').count()).toBe(0);
  await card.getByRole('button', { name: 'More: Support bot' }).click();
  await card.getByText('Created').waitFor();
  await page.getByRole('combobox', { name: 'Order' }).click();
  await page.getByTitle('Label ↓').click();
  await page.waitForURL('**sort=-label**');
  await page.getByRole('checkbox', { name: 'Select all' }).check();
  await page.getByText('6 selected').waitFor();
  await page.getByRole('checkbox', { name: 'Support bot' }).uncheck();
  await page.getByText('5 selected').waitFor();
  await page.getByRole('button', { name: 'Clear the selection' }).click();
  await card.getByRole('button', { name: 'Actions: Support bot' }).click();
  await page.getByRole('menuitem', { name: 'Edit key' }).click();
  await page.getByRole('dialog').getByLabel('Label').waitFor();
  await page.goto('/console/charges');
  await page.getByRole('button', { name: 'More filters' }).click();
  await page.getByRole('searchbox', { name: 'Message' }).fill('msg-3');
  await page.waitForURL('**msg-3**');
  await page.getByText('1–1 of 1').waitFor();
  await context.close();
});

const DESK = { width: 1360, height: 850 };
const PHONE = { width: 390, height: 844 };

test('no page in light stops a screen reader', async () => {
  const { page, context } = await visit(browser, server.url);
  await enter(context);
  const stops: Record<string, string[]> = {};
  await context.addInitScript(axe.source); // a script that the policy would not let in by itself
  for (const one of pages.filter(({ need }) => !isOwn(need))) {
    await page.goto(one.path);
    await settled(page);
    const found = await stopsOn(page);
    if (found.length > 0) stops[one.path] = found;
  }
  expect(stops).toEqual({});
  await context.close();
});

test('no page in dark stops a screen reader, at a desk or on a phone, where none is too wide', async () => {
  const { page, context, complaints } = await visit(browser, server.url, { theme: 'dark' });
  await enter(context);
  await context.addInitScript(axe.source);
  const stops: Record<string, string[]> = {};
  let cards = 0;
  for (const one of pages.filter(({ need }) => !isOwn(need))) {
    await page.setViewportSize(DESK);
    await page.goto(one.path);
    await settled(page);
    const atDesk = await stopsOn(page);
    await page.setViewportSize(PHONE);
    await page.locator('.ant-table').first().waitFor({ state: 'detached' }); // cards instead
    const more = page.locator('.row-card-head button[aria-expanded]');
    cards += await more.count();
    if ((await more.count()) > 0) await more.first().click();
    const found = [...atDesk, ...(await stopsOn(page))];
    if (found.length > 0) stops[one.path] = found;
    expect(await overhang(page), one.path).toBeLessThanOrEqual(0);
  }
  expect(stops).toEqual({});
  expect(cards).toBeGreaterThan(50);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a language that is chosen stays chosen', async () => {
  const { page, context } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/keys');
  await page.getByLabel('Language').selectOption('zh-TW');
  await page.getByRole('heading', { name: '金鑰', level: 1 }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: '金鑰', level: 1 }).waitFor();
  await context.close();
});

/** Until the account has heard of it. */
async function choose(page: Page, language: string): Promise<void> {
  const told = page.waitForResponse((answer) => answer.request().method() === 'PATCH');
  await page.locator('.choices select').first().selectOption(language);
  expect((await told).status()).toBe(200);
}

test('a language goes with an account to a browser in which nobody chose one', async () => {
  const first = await visit(browser, server.url);
  await signInAs(first.page, 'viewer', '/console/keys');
  await choose(first.page, 'zh-CN');
  await first.context.close();
  const second = await visit(browser, server.url);
  await signInAs(second.page, 'viewer', '/console/keys');
  await second.page.getByRole('heading', { name: '密钥', level: 1 }).waitFor();
  await choose(second.page, 'en'); // as others expect it
  await second.page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
  expect(second.complaints).toEqual([]);
  await second.context.close();
});

const ALLOWED: Readonly<Record<Role, readonly string[]>> = {
  admin: ['read', 'operate', 'administer', 'signedIn', 'member'],
  operator: ['read', 'operate', 'signedIn', 'member'],
  viewer: ['read', 'signedIn', 'member'],
  member: ['signedIn', 'member'],
};

test.each(ROLES)('%s finds the pages that are for them and no other', async (role) => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, role);
  const shown = await page
    .locator('nav a')
    .evaluateAll((links) => links.map((link) => link.getAttribute('href')));
  for (const one of pages) {
    const isAllowed = ALLOWED[role].includes(one.need);
    if (!isAllowed) expect(shown, one.path).not.toContain(one.path);
    if (isAllowed) continue;
    await page.goto(one.path);
    await page.getByRole('heading', { name: 'This page is not for your role' }).waitFor();
  }
  await context.close();
});

test('a session that ends asks to sign in and comes back to the same page', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/keys?q=bot');
  await page.locator('tbody tr strong').first().waitFor();
  await context.clearCookies();
  await page.getByRole('searchbox').fill('bo');
  await page.getByText('Your session has ended').waitFor();
  await page.locator('.ant-segmented-item').nth(1).click();
  await page.locator('input[autocomplete="username"]').fill('operator-1');
  await page.locator('input[type="password"]').fill('a long enough passphrase');
  await page.locator('form button[type="submit"]').click();
  await page.locator('tbody tr strong').first().waitFor();
  expect(new URL(page.url()).pathname).toBe('/console/keys');
  await context.close();
});

test('signed out, a page is the titled sign-in and asks the server for no stream', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  for (const path of ['/', '/admin', '/token-dashboard', '/dify-test', '/console/live']) {
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(await page.title()).toContain('Tallygate');
  }
  expect(asked.filter((path) => path.includes('live') && path.startsWith('/api'))).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});
