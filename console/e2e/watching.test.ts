// What is watched while it happens: the overview moves by itself, and admits when it can not; limits
// that an operator sets in the console are obeyed by the gate.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enter, launch, settled, visit } from './browser.ts';
import { Server } from './server.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

async function makeKey(more: object): Promise<string> {
  const made = await server.call('POST', '/api/keys', { label: 'bot', ...more });
  return (made as { secret: string }).secret;
}

test('the overview counts a request without being asked again', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const requests = page.locator('.tile', { hasText: 'Requests today' }).locator('.tile-value');
  await page.goto('/console/overview');
  await requests.getByText('0', { exact: true }).waitFor();
  const secret = await makeKey({});
  expect(await server.chat(secret)).toBe(200);
  await requests.getByText('1', { exact: true }).waitFor();
  const usage = asked.filter((path) => path.startsWith('/api/usage'));
  expect(usage).toEqual(['/api/usage/overview/live']);
  expect(complaints).toEqual([]);

  await context.setOffline(true);
  await page.getByText('These numbers are not current.').waitFor();
  expect(await server.chat(secret)).toBe(200);
  await context.setOffline(false);
  await requests.getByText('2', { exact: true }).waitFor();
  await page.locator('.live[data-state="live"]').waitFor();
  await context.close();
});

test('limits of a user that are set in the console bind all of their keys', async () => {
  await server.call('POST', '/api/users', { id: 'ann', name: 'Ann Lee' });
  await server.call('POST', '/api/users/ann/wallet/top-up', { points: 5 });
  const secrets = [await makeKey({ user_id: 'ann' }), await makeKey({ user_id: 'ann' })];
  const { page, context } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/users');
  await settled(page);
  await page.getByRole('button', { name: 'Actions: ann' }).click();
  await page.getByRole('menuitem', { name: 'Limits' }).click();
  const dialog = page.getByRole('dialog', { name: 'Limits of Ann Lee' });
  await dialog.getByRole('button', { name: 'Add limit' }).click();
  await dialog.getByLabel('At most').fill('2');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'hidden' });
  const saved = await server.call('GET', '/api/users/ann/limits');
  expect(saved).toMatchObject({ limits: [{ dimension: 'requests', amount: 2, span: 'minute' }] });
  const answers: number[] = [];
  for (const secret of [...secrets, ...secrets]) answers.push(await server.chat(secret));
  expect(answers.slice(2)).toEqual([429, 429]);
  await context.close();
});
