// From nothing to the first request on the chart, as somebody new would do it.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enter, launch, settled, signIn, visit } from './browser.ts';
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

test('a new operator signs in, makes a key, calls through it and sees the call arrive', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await signIn(page);
  await page.waitForURL('**/console/overview');
  await page.getByRole('link', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Make the key' }).click();
  const secret = await page.locator('pre').first().innerText();
  expect(secret).toMatch(/^roc_/);
  await page.getByText('Waiting for the first request').waitFor();
  expect(await server.chat(secret)).toBe(200);
  await page.getByText('It has arrived.').waitFor();
  await page.getByRole('link', { name: 'To the overview' }).click();
  await settled(page);
  await page
    .locator('.tile', { hasText: 'Requests today' })
    .getByText('1', { exact: true })
    .waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test('the page itself can send the first call, with the key and nothing of the operator', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  const sent: (string | undefined)[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/v1/chat/completions')) {
      sent.push(request.headers()['x-admin-token'], request.headers()['cookie']);
    }
  });
  await page.goto('/console/start');
  await page.getByRole('button', { name: 'Make the key' }).click();
  await page.getByRole('button', { name: 'Send it from here' }).click();
  await page.getByText('Echo: Hello').waitFor();
  expect(sent).toEqual([undefined, undefined]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a key is made in its form, shown once, deactivated, and refuses', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/keys');
  await page.getByRole('button', { name: 'Create key' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Label').fill('<img src=x onerror=alert(1)>');
  await form.getByLabel('Addresses').fill('not-a-network');
  await form.getByLabel('Addresses').press('Enter');
  await form.getByRole('button', { name: 'Create key' }).click();
  await form.locator('.ant-form-item-explain-error').waitFor();
  expect(await form.getByLabel('Label').inputValue()).toBe('<img src=x onerror=alert(1)>');
  await form.getByTitle('not-a-network').locator('.ant-select-selection-item-remove').click();
  await form.getByRole('button', { name: 'Create key' }).click();
  const shown = page.getByRole('dialog', { name: 'Your new key' });
  const secret = await shown.locator('pre').first().innerText();
  expect(await server.chat(secret)).toBe(200);
  await shown.getByRole('button', { name: 'I have copied it' }).click();
  const row = page.getByRole('row', { name: /onerror/ });
  await row.getByRole('button').click();
  await page.getByRole('menuitem', { name: 'Deactivate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await row.getByText('inactive').waitFor();
  await expect.poll(() => server.chat(secret), { timeout: 10_000 }).toBe(403);
  // The refusal of the first try is the browser's own line about its status, and nothing more.
  expect(complaints.filter((one) => !one.includes('status of 400'))).toEqual([]);
  await context.close();
});

test('filters and order stand in the address, and a link to them shows the same rows', async () => {
  for (const label of ['zebra one', 'zebra two', 'yak']) {
    await server.call('POST', '/api/keys', { label });
  }
  const { page, context } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/keys');
  await page.getByRole('searchbox').fill('zebra');
  await page.waitForURL('**q=zebra**');
  await page.getByRole('columnheader', { name: 'Label' }).click();
  await page.getByRole('columnheader', { name: 'Label' }).click();
  await page.waitForURL('**sort=-label**');
  const again = await context.newPage();
  await again.goto(page.url());
  await again.getByText('1–2 of 2').waitFor();
  const names = await again.locator('tbody tr strong').allInnerTexts();
  expect(names).toEqual(['zebra two', 'zebra one']);
  await context.close();
});
