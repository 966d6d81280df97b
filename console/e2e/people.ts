// Accounts to sign in as: one of each role, and cookies instead of the form where that is not the
// point.

import type { Page } from 'playwright-core';
import type { Server } from './server.ts';

export const ROLES = ['admin', 'operator', 'viewer', 'member'] as const;
export type Role = (typeof ROLES)[number];
export const PASSWORD = 'a long enough passphrase';

export async function makePeople(server: Server): Promise<void> {
  for (const role of ROLES) {
    await server.call('POST', '/api/users', {
      id: `${role}-1`,
      name: role,
      role,
      password: PASSWORD,
    });
  }
}

/** The headers that a page of ours sends for somebody who is signed in, without a page. */
export async function headersOf(server: Server, id: string): Promise<Record<string, string>> {
  const answer = await fetch(`${server.url}/api/session`, {
    method: 'POST',
    body: JSON.stringify({ id, password: PASSWORD }),
  });
  const { csrf_token } = (await answer.json()) as { csrf_token: string };
  const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  return { cookie, 'X-CSRF-Token': csrf_token };
}

/** Through the sign-in form, by the account's id. */
export async function signInAs(page: Page, role: Role, path = '/'): Promise<void> {
  await page.goto(path);
  await page.locator('.ant-segmented-item').nth(1).click();
  await page.locator('input[autocomplete="username"]').fill(`${role}-1`);
  await page.locator('input[type="password"]').fill(PASSWORD);
  await page.locator('form button[type="submit"]').click();
  await page.locator('.frame').waitFor();
}
