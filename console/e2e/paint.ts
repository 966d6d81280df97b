// How soon the overview can be used: opened in a browser that knows nothing of it, and again in one
// that has its files. `node console/e2e/paint.ts URL TIMES` prints JSON; ADMIN_TOKEN signs in.

import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { launch } from './browser.ts';

const SHOWN = 'shown';

export interface Paint {
  /** Since the address was asked for, in milliseconds. */
  readonly first_byte_ms: number;
  readonly first_contentful_paint_ms: number;
  /** Numbers and both charts stand there, painted. */
  readonly usable_ms: number;
  /** Of all files and answers until then. */
  readonly transferred_bytes: number;
}

/** Watches, from inside of the page, for the frame in which everything stands there. */
function watch(mark: string): void {
  const isThere = (): boolean =>
    document.querySelectorAll('.tile dd').length >= 6 &&
    document.querySelectorAll('main .panel canvas').length >= 2 &&
    !document.querySelector('.chart-waiting, main .outline');
  const look = (): void => {
    if (!isThere()) {
      requestAnimationFrame(look);
      return;
    }
    // What stands there in this frame has been painted in the next one.
    requestAnimationFrame(() => performance.mark(mark));
  };
  requestAnimationFrame(look);
}

async function opened(page: Page, url: string): Promise<Paint> {
  await page.goto(`${url}/console/overview`);
  await page.waitForFunction((mark) => performance.getEntriesByName(mark).length > 0, SHOWN);
  return page.evaluate((mark) => {
    const [navigation] = performance.getEntriesByType('navigation');
    const files = performance.getEntriesByType('resource') as PerformanceResourceTiming[];
    const all = [navigation as PerformanceNavigationTiming, ...files];
    const at = (name: string): number =>
      Math.round(performance.getEntriesByName(name)[0]?.startTime ?? Number.NaN);
    return {
      first_byte_ms: Math.round((navigation as PerformanceNavigationTiming).responseStart),
      first_contentful_paint_ms: at('first-contentful-paint'),
      usable_ms: at(mark),
      transferred_bytes: all.reduce((sum, one) => sum + one.transferSize, 0),
    };
  }, SHOWN);
}

async function visitor(browser: Browser, token: string): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 850 } });
  await context.addInitScript((kept) => {
    sessionStorage.setItem('tallygate.adminToken', kept);
  }, token);
  await context.addInitScript(watch, SHOWN);
  return context;
}

/** Each time a browser that has never been here, and the same one again. */
export async function measure(url: string, token: string, times: number) {
  const browser = await launch();
  const [first, again]: [Paint[], Paint[]] = [[], []];
  try {
    for (let count = 0; count < times; count += 1) {
      const context = await visitor(browser, token);
      const page = await context.newPage();
      first.push(await opened(page, url));
      again.push(await opened(page, url));
      await context.close();
    }
  } finally {
    await browser.close();
  }
  return { first, again };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [url = '', times = '5'] = process.argv.slice(2);
  const found = await measure(url, process.env['ADMIN_TOKEN'] ?? '', Number(times));
  console.log(JSON.stringify(found));
}
