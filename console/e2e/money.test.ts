// Money from the price list to somebody's balance: an operator sets a rate and a price and tops up, a
// Dify server reports a message, and the person it was for sees what it cost.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enter, launch, settled, visit } from './browser.ts';
import { makePeople, PASSWORD, signInAs } from './people.ts';
import { Server } from './server.ts';
import { report, WEBHOOK_SETTINGS } from './webhook.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start(WEBHOOK_SETTINGS);
  browser = await launch();
  await makePeople(server);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A message of member-1 that used 1,000 tokens in and 1,000 out, as a Dify server tells it. */
async function tell(id: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await report(server, {
    conversation_id: 'c-1',
    message_id: id,
    user_id: 'member-1',
    model_name: 'gpt-4',
    input_tokens: 1000,
    output_tokens: 1000,
    total_tokens: 2000,
    timestamp: new Date().toISOString(),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('a rate, a price, a top-up and a reported message move a balance that its owner sees', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);

  await page.goto('/console/exchange-rate');
  await page.getByRole('button', { name: 'Change rate' }).click();
  const rate = page.getByRole('dialog');
  await rate.getByLabel('Points for a dollar').fill('ten');
  await rate.getByRole('button', { name: 'Save' }).click();
  await rate.getByText('A number of points, with up to six decimals').first().waitFor();
  await rate.getByLabel('Points for a dollar').fill('12345.5');
  await rate.getByLabel('Reason').fill('end to end');
  await rate.getByRole('button', { name: 'Save' }).click();
  await page.locator('.tile').getByText('12,345.5').waitFor();

  await server.call('POST', '/api/models', {
    model_name: 'gpt-4',
    input_token_price: '30',
    output_token_price: '60',
    currency: 'points',
    per_tokens: 1000,
  });
  await page.goto('/console/calculator');
  await page.getByLabel('Model').fill('gpt-4');
  await page.getByLabel('Input tokens').press('Enter'); // the model's list lies over the button
  await page.locator('.figure').getByText('90').waitFor();

  await page.goto('/console/wallets?user=member-1');
  await settled(page);
  await page.getByRole('button', { name: 'Top up' }).first().click();
  const top = page.getByRole('dialog');
  await top.getByLabel('Points').fill('100');
  await top.getByRole('button', { name: 'Top up' }).click();
  await page.locator('.tile', { hasText: 'Balance' }).getByText('100', { exact: true }).waitFor();

  const charged = await tell('m-1');
  expect(charged.status).toBe(200);
  expect(charged.body['data']).toMatchObject({ pointsDeducted: 90, tokensUsed: 2000 });
  expect((await tell('m-1')).body).toEqual(charged.body);
  expect((await tell('m-2')).status).toBe(402);
  await page.reload();
  await page.locator('.tile', { hasText: 'Balance' }).getByText('10', { exact: true }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();

  const owner = await visit(browser, server.url);
  await signInAs(owner.page, 'member', '/console/balance');
  await owner.page
    .locator('.tile', { hasText: 'Balance' })
    .getByText('10', { exact: true })
    .waitFor();
  await owner.page.goto('/console/history');
  await owner.page.getByRole('cell', { name: 'gpt-4' }).first().waitFor();
  expect(owner.complaints).toEqual([]);
  await owner.context.close();
});

test('a notice that is read in one browser is new in no other one, nor in another tab', async () => {
  const price = { input_token_price: '30', output_token_price: '60', per_tokens: 1000 };
  await server.call('POST', '/api/models', { model_name: 'gpt-4', currency: 'points', ...price });
  const wallet = '/api/users/member-1/wallet';
  await server.call('POST', `${wallet}/top-up`, { points: '500', reason: 'end to end' });
  const before = (await server.call('GET', wallet)) as { balance: number };
  await server.call('PATCH', wallet, { warn_below: String(before.balance) });
  expect((await tell('m-low')).status).toBe(200); // below it now

  const [first, second] = [await visit(browser, server.url), await visit(browser, server.url)];
  await signInAs(first.page, 'member', '/console/balance');
  await signInAs(second.page, 'member', '/console/balance');
  const tab = await first.context.newPage();
  await tab.goto('/console/balance');
  for (const page of [first.page, second.page, tab]) {
    await page.getByRole('img', { name: '1 new' }).waitFor();
  }
  await first.page.goto('/console/notices');
  await first.page.getByText(/^Your balance fell below/).waitFor();
  await first.page.locator('.badge').waitFor({ state: 'detached' });
  await tab.locator('.badge').waitFor({ state: 'detached' });
  const seen = await second.page.request.get('/api/user/notices/seen');
  expect(await seen.json()).toEqual({ new: 0 });
  await second.page.reload();
  await second.page.locator('.badge').waitFor({ state: 'detached' });
  expect([...first.complaints, ...second.complaints]).toEqual([]);
  await first.context.close();
  await second.context.close();
});

test('a key that is deleted on its page is refused from then on', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  const key = (await server.call('POST', '/api/keys', { label: 'to be revoked' })) as {
    secret: string;
  };
  expect(await server.chat(key.secret)).toBe(200);
  await page.goto('/console/keys?q=to%20be%20revoked');
  await page
    .getByRole('row', { name: /to be revoked/ })
    .getByRole('button')
    .last()
    .click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted').waitFor();
  await expect.poll(() => server.chat(key.secret), { timeout: 10_000 }).toBe(401);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a Dify app is added, shows its tracing pair once, is changed, switched off and deleted', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/dify-apps');
  await page.getByRole('button', { name: 'Add app' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Name').fill('help desk');
  await form.getByLabel('Address of its API').fill('ftp://dify.example');
  await form.getByLabel('API key', { exact: true }).fill('app-of-nobody');
  const add = (): Promise<void> => form.getByRole('button', { name: 'Add app' }).click();
  await add();
  await form.getByText('Letters, digits, dots').waitFor();
  await form.getByLabel('Name').fill('help-desk');
  await add();
  const address = form.locator('.ant-form-item', { hasText: 'Address of its API' });
  await address.locator('.ant-form-item-explain-error').waitFor(); // the server's own refusal
  expect(await form.getByLabel('API key', { exact: true }).inputValue()).toBe('app-of-nobody');
  await form.getByLabel('Address of its API').fill('https://dify.example/v1');
  await add();
  const pair = page.getByRole('dialog').filter({ hasText: 'Tracing of' });
  const secret = await pair.getByLabel('Secret Key', { exact: true }).innerText();
  expect(secret).toMatch(/^sk-lf-/);
  expect(await pair.getByLabel('Host', { exact: true }).innerText()).toBe(server.url);
  await pair.getByRole('button', { name: 'I have copied it' }).click();
  await pair.waitFor({ state: 'hidden' });

  const row = page.getByRole('row', { name: /help-desk/ });
  const pick = async (name: string): Promise<void> => {
    await row.getByRole('button').last().click();
    await page.getByRole('menuitem', { name, exact: true }).click();
  };
  await pick('Edit app');
  expect(await form.getByLabel('API key', { exact: true }).inputValue()).toBe('');
  await form.getByLabel('Model').fill('gpt-4');
  await form.getByLabel('Set aside').fill('12.5');
  await form.getByRole('button', { name: 'Save' }).click();
  await row.getByText('12.5').waitFor();
  const kept = { name: 'help-desk', model: 'gpt-4', hold_points: 12.5, has_api_key: true };
  const listed = (): Promise<unknown> => server.call('GET', '/api/dify/apps');
  expect(await listed()).toMatchObject({ items: [kept] });
  expect(JSON.stringify(await listed())).not.toContain(secret);
  await pick('Deactivate');
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await row.getByText('inactive').waitFor();
  await pick('Delete');
  const question = page.getByRole('dialog');
  await question.getByRole('textbox').fill('help-desk');
  await question.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No Dify app yet').waitFor();
  expect(await listed()).toMatchObject({ total: 0 });
  const others = complaints.filter((one) => !one.includes('400')); // the refused address
  expect(others).toEqual([]);
  await context.close();
});

test('an operator makes a member, who signs in, and nobody with another role', async () => {
  const { page, context } = await visit(browser, server.url);
  await signInAs(page, 'operator', '/console/users');
  await settled(page);
  await page.getByRole('button', { name: 'Create user' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Name').fill('Dora Diaz');
  await form.getByLabel('Id', { exact: true }).fill('member-1');
  await form.getByLabel('Email').fill('dora');
  await form.getByLabel('Password').fill('short');
  expect(await form.getByLabel('Role').isDisabled()).toBe(true);
  const save = (): Promise<void> => form.getByRole('button', { name: 'Create user' }).click();
  const refusal = (label: string) =>
    form.locator('.ant-form-item', { hasText: label }).locator('.ant-form-item-explain-error');
  await save();
  await refusal('Password').getByText('At least 8 characters').waitFor();
  await form.getByLabel('Password').fill(PASSWORD);
  await save();
  await refusal('Email').waitFor();
  await form.getByLabel('Email').fill('dora@example.com');
  await save();
  await refusal('What Dify').getByText('already').waitFor(); // the id is somebody else's
  await form.getByLabel('Id', { exact: true }).fill('dora');
  const failure = { error: { code: 'internal', message: 'the disk is full', request_id: 'req_7' } };
  await context.route('**/api/users', (route) => route.fulfill({ status: 500, json: failure }));
  await save();
  await form.getByText('the disk is full').waitFor();
  expect(await form.getByLabel('Name').inputValue()).toBe('Dora Diaz');
  expect(await form.getByLabel('Password').inputValue()).toBe(PASSWORD);
  await context.unroute('**/api/users');
  await save();
  await page.getByRole('row', { name: /Dora Diaz.*member/ }).waitFor();
  const admins = page.getByRole('row', { name: /admin-1/ }).getByRole('button');
  await admins.click();
  await page.getByRole('menuitem', { name: 'Open wallet' }).waitFor();
  expect(await page.getByRole('menuitem', { name: 'Edit user' }).count()).toBe(0);
  await context.close();
  expect(await server.call('GET', '/api/users/dora')).toMatchObject({ role: 'member' });
  const body = JSON.stringify({ email: 'dora@example.com', password: PASSWORD });
  const answer = await fetch(`${server.url}/api/session`, { method: 'POST', body });
  expect(answer.status).toBe(201);
});

test('whose a key is, is found by a part of a name', async () => {
  await server.call('POST', '/api/users', { id: 'u-4711', name: 'Erika Mustermann' });
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  await page.goto('/console/keys');
  await page.getByRole('button', { name: 'Create key' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Label').fill('of Erika');
  await form.getByLabel('User').fill('muster');
  await page.locator('.ant-select-item-option', { hasText: 'u-4711' }).click();
  expect(await form.getByLabel('User').inputValue()).toBe('u-4711');
  await form.getByRole('button', { name: 'Create key' }).click();
  await page.getByRole('button', { name: 'I have copied it' }).click();
  const keys = server.call('GET', '/api/keys?q=Erika');
  expect(await keys).toMatchObject({ items: [{ user_id: 'u-4711' }] });
  expect(complaints).toEqual([]);
  await context.close();
});

test('other names, largest outputs and scopes are typed in lines and kept as they were typed', async () => {
  const { page, context, complaints } = await visit(browser, server.url);
  await enter(context);
  const form = page.getByRole('dialog');
  await server.call('POST', '/api/providers', {
    name: 'acme',
    base_url: 'https://acme.example/v1',
  });
  await page.goto('/console/providers');
  const edit = async (name: RegExp, deed: string): Promise<void> => {
    await page.getByRole('row', { name }).getByRole('button').last().click();
    await page.getByRole('menuitem', { name: deed }).click();
  };
  await edit(/acme/, 'Edit provider');
  await form.getByRole('button', { name: 'Add a name' }).click();
  await form.getByLabel('As asked for').fill('gpt-4');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText('Each line needs a name').waitFor();
  await form.getByLabel('As the provider calls it').fill('deployment-7');
  await form.getByRole('button', { name: 'Add a model' }).click();
  await form.getByLabel('Model', { exact: true }).fill('deployment-7');
  await form.getByLabel('Tokens').fill('4096');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'hidden' });
  const aliases = { 'gpt-4': 'deployment-7' };
  const largest = { 'deployment-7': 4096 };
  const kept = { items: [{ aliases, output_tokens_max: largest, credentials: null }] };
  expect(await server.call('GET', '/api/providers')).toMatchObject(kept);

  await server.call('POST', '/api/keys', { label: 'whole app', models: ['dify/a'] });
  await page.goto('/console/keys');
  await edit(/whole app/, 'Edit key');
  await form.getByLabel('Scopes').fill('dify');
  await form.getByLabel('Scopes').press('Enter');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'hidden' });
  const keys = server.call('GET', '/api/keys?q=whole%20app');
  expect(await keys).toMatchObject({ items: [{ scopes: ['dify'], models: ['dify/a'] }] });
  expect(complaints).toEqual([]);
  await context.close();
});
