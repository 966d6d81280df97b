// What happens to somebody's work when a session ends, the server fails or is away: it is kept; and
// signing in by a provider of OpenID Connect.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, settled, visit } from './browser.ts';
import { CLIENT_ID, CLIENT_SECRET, Issuer } from './issuer.ts';
import { makePeople, PASSWORD, signInAs } from './people.ts';
import { Server } from './server.ts';

let server: Server;
let browser: Browser;
let issuer: Issuer;

beforeAll(async () => {
  issuer = await Issuer.start();
  [server, browser] = await Promise.all([
    Server.start({
      TALLYGATE_OIDC_ISSUER: issuer.url,
      TALLYGATE_OIDC_CLIENT_ID: CLIENT_ID,
      TALLYGATE_OIDC_CLIENT_SECRET: CLIENT_SECRET,
    }),
    launch(),
  ]);
  await makePeople(server);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
  await issuer.stop();
});

async function fillForm(page: Page, label: string): Promise<void> {
  await page.getByRole('button', { name: 'Create key' }).first().click();
  await page.getByRole('dialog').getByLabel('Label').fill(label);
}

function save(page: Page): Promise<void> {
  return page.getByRole('dialog').getByRole('button', { name: 'Create key' }).click();
}

/** In the sign-in that has come in front of the page. */
async function signInAgain(page: Page, id: string): Promise<void> {
  await page.getByText('Your session has ended').waitFor();
  await page.locator('.ant-segmented-item').nth(1).click();
  await page.locator('input[autocomplete="username"]').fill(id);
  await page.locator('input[autocomplete="current-password"]').fill(PASSWORD);
  await page.locator('.sign-in form button[type="submit"]').click();
}

test('a session that ends while somebody types loses nothing: signed in again, it is saved', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/keys?q=');
  await settled(page);
  await fillForm(page, 'typed with care');
  await server.call('PATCH', '/api/users/operator-1', { password: PASSWORD }); // ends sessions
  await save(page);
  await page.getByText('Your session has ended').waitFor();
  expect(await page.title()).toContain('Sign in');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await signInAgain(page, 'operator-1');
  await page.getByRole('dialog', { name: 'Your new key' }).waitFor();
  await page.getByRole('button', { name: 'I have copied it' }).click();
  await page.getByRole('row', { name: /typed with care/ }).waitFor();
  const { items } = (await server.call('GET', '/api/keys?q=typed')) as { items: unknown[] };
  expect(items.length).toBe(1);
  expect(new URL(page.url()).pathname).toBe('/console/keys');
  expect(await page.title()).toContain('Keys');
  await context.close();
});

test('somebody else who signs in then finds nothing of what was typed before', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/keys');
  await settled(page);
  await fillForm(page, 'not for others');
  await server.call('PATCH', '/api/users/operator-1', { password: PASSWORD });
  await save(page);
  await signInAgain(page, 'viewer-1');
  await page.locator('.sign-in').waitFor({ state: 'detached' });
  await settled(page);
  expect(await page.getByRole('dialog').count()).toBe(0);
  expect(await page.locator('.sidebar-name').innerText()).toContain('viewer');
  expect(await server.call('GET', '/api/keys?q=others')).toMatchObject({ total: 0 });
  await context.close();
});

test('what was typed stays when the server fails, and is saved by the second try', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/keys');
  await settled(page);
  await fillForm(page, 'twice tried');
  const failure = { error: { code: 'internal', message: 'the disk is full', request_id: 'req_7' } };
  await context.route('**/api/keys', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    return route.fulfill({ status: 500, json: failure });
  });
  await save(page);
  const form = page.getByRole('dialog');
  await form.getByText('the disk is full').waitFor();
  await form.getByText('req_7').waitFor();
  expect(await form.getByLabel('Label').inputValue()).toBe('twice tried');
  await context.unroute('**/api/keys');
  await context.route('**/api/keys', (route) => route.abort());
  await save(page);
  await form.getByRole('alert').waitFor();
  expect(await form.getByLabel('Label').inputValue()).toBe('twice tried');
  await context.unroute('**/api/keys');
  await save(page);
  await page.getByRole('dialog', { name: 'Your new key' }).waitFor();
  await context.close();
});

test('an API that is away is said so, and asked again until it is back', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/teams');
  await settled(page);
  await context.route('**/api/**', (route) => route.abort());
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  await page.getByRole('alert').first().waitFor();
  expect(await page.getByRole('alert').first().innerText()).toContain('does not answer');
  await context.unroute('**/api/**');
  await page.locator('tbody tr strong').first().waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
  await context.close();
});

test('somebody signs in by their provider, to the page that they wanted', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await page.goto('/console/my-keys?size=50');
  await page.getByRole('link', { name: 'Sign in with single sign-on' }).click();
  await page.getByRole('link', { name: 'Go on as Ann' }).click();
  await page.locator('.frame').waitFor();
  expect(new URL(page.url()).origin + new URL(page.url()).pathname).toBe(
    `${server.url}/console/my-keys`,
  );
  expect(await page.locator('.sidebar-name').innerText()).toContain('Ann');
  const [cookie] = (await context.cookies()).filter(({ name }) => name === 'tallygate_session');
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Lax' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test('whom the provider does not sign in is told so, and may try again', async () => {
  const { page, context } = await visit(browser, server.url);
  await page.goto('/console/balance');
  await page.getByRole('link', { name: 'Sign in with single sign-on' }).click();
  await page.getByRole('link', { name: 'Not me' }).click();
  await page.getByText('Single sign-on did not sign you in').waitFor();
  await page.getByRole('link', { name: 'Sign in with single sign-on' }).click();
  await page.getByRole('link', { name: 'Go on as Ann' }).click();
  await page.locator('.frame').waitFor();
  expect(page.url()).toBe(`${server.url}/console/balance`);
  await context.close();
});
