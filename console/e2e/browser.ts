// A real Chromium, and pages in it that remember every complaint of the browser's console.

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { ADMIN_TOKEN } from './server.ts';

const EXECUTABLE = process.env['TALLYGATE_CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

/** Playwright gives it an empty profile, which goes with it. */
export function launch(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: [...FLAGS, ...more] });
}

export interface Look {
  readonly language?: string;
  readonly theme?: 'light' | 'dark';
  readonly isPhone?: boolean;
}

export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the browser complained of: errors in scripts, refused styles, failed requests. */
  readonly complaints: string[];
}

export async function visit(browser: Browser, url: string, look: Look = {}): Promise<Visitor> {
  const context = await browser.newContext({
    baseURL: url,
    locale: look.language ?? 'en',
    timezoneId: 'UTC',
    colorScheme: look.theme ?? 'light',
    reducedMotion: 'reduce',
    viewport: look.isPhone ? { width: 390, height: 844 } : { width: 1360, height: 850 },
    deviceScaleFactor: 1,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

/** As the admin token's holder, through the form. */
export async function signIn(page: Page, path = '/'): Promise<void> {
  await page.goto(path);
  await page.locator('input[type="password"]').fill(ADMIN_TOKEN);
  await page.locator('form button[type="submit"]').click();
  await page.locator('.frame').waitFor();
}

/** With no form, where signing in is not what is tested. */
export async function enter(context: BrowserContext): Promise<void> {
  await context.addInitScript((token) => {
    sessionStorage.setItem('tallygate.adminToken', token);
  }, ADMIN_TOKEN);
}

/** Until what the page asked for has come and is shown. */
export async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor();
  await page.waitForFunction(
    () => !document.querySelector('main[aria-busy="true"], .ant-spin-spinning, .spinner'),
  );
}

/** To another page of the console without loading it anew, as its links do. */
export async function goWithin(page: Page, path: string): Promise<void> {
  const before = await page.title(); // every page's is another
  await page.evaluate((to) => {
    history.pushState({}, '', to);
    dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  }, path);
  await page.waitForFunction((title) => document.title !== title, before);
  // What it asks for is begun by then, and shown as such in the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  await settled(page);
}
