// How soon a dashboard can be used: opened in a browser that knows nothing of it, and again in one
// that has its files. `node console/e2e/paint.ts NAME URL TIMES` prints JSON; DASHBOARD_TOKEN signs
// in. The figures are the browser's own, and the same for ours and for others (dashboards.ts).

import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContext } from 'playwright-core';
import { launch } from './browser.ts';
import { type Dashboard, DASHBOARDS, type Standing } from './dashboards.ts';

const SHOWN = 'shown';
const LARGEST = 'largest';
const WAIT_MS_MAX = 60_000;
// Fonts, news and stars of other hosts are refused at once: nobody's page waits for a network.
const NO_OTHER_HOST = '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1';

export interface Paint {
  /** Since the address was asked for, in milliseconds. */
  readonly first_byte_ms: number;
  readonly first_contentful_paint_ms: number;
  readonly largest_contentful_paint_ms: number;
  /** What the dashboard is opened for stands there, painted. */
  readonly usable_ms: number;
  /** Of the page, all files and all answers until then. */
  readonly requests: number;
  readonly transferred_bytes: number;
  /** As they were sent, and as they had to be read. */
  readonly script_bytes: number;
  readonly script_unpacked_bytes: number;
}

interface Watched {
  readonly shown: string;
  readonly largest: string;
  readonly standing: Standing;
}

/** Watches, from inside of the page, for the frame in which everything stands there. */
function watch({ shown, largest, standing }: Watched): void {
  performance.setResourceTimingBufferSize(2000);
  new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) performance.mark(largest, { startTime });
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  const counts = (element: Element): boolean =>
    !standing.isFirstScreen || element.getBoundingClientRect().top < innerHeight;
  const shownOf = (selector: string): number =>
    [...document.querySelectorAll(selector)].filter(counts).length;
  const isThere = (): boolean =>
    standing.there.every(([selector, count]) => shownOf(selector) >= count) &&
    shownOf(standing.gone) === 0;
  const look = (): void => {
    if (!isThere()) {
      requestAnimationFrame(look);
      return;
    }
    // What stands there in this frame has been painted in the next one.
    requestAnimationFrame(() => performance.mark(shown));
  };
  requestAnimationFrame(look);
}

/** In the page, once everything stands there. */
async function read({ shown, largest }: { shown: string; largest: string }): Promise<Paint> {
  // The browser tells of a paint a frame after it.
  for (let frames = 0; frames < 2; frames += 1) await new Promise(requestAnimationFrame);
  const at = (name: string): number =>
    Math.round(performance.getEntriesByName(name).at(-1)?.startTime ?? Number.NaN);
  const usable = at(shown);
  const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  const files = (performance.getEntriesByType('resource') as PerformanceResourceTiming[]).filter(
    (file) => file.startTime <= usable,
  );
  const scripts = files.filter((file) => /\.m?js$/.test(new URL(file.name).pathname));
  const sum = (
    of: readonly PerformanceResourceTiming[],
    what: 'transferSize' | 'encodedBodySize' | 'decodedBodySize',
  ): number => of.reduce((total, one) => total + one[what], 0);
  return {
    first_byte_ms: Math.round(navigation?.responseStart ?? Number.NaN),
    first_contentful_paint_ms: at('first-contentful-paint'),
    largest_contentful_paint_ms: at(largest),
    usable_ms: usable,
    requests: files.length + 1,
    transferred_bytes: sum(navigation ? [navigation, ...files] : files, 'transferSize'),
    script_bytes: sum(scripts, 'encodedBodySize'),
    script_unpacked_bytes: sum(scripts, 'decodedBodySize'),
  };
}

/** In a tab of its own, as somebody comes to it. */
async function opened(context: BrowserContext, address: string): Promise<Paint> {
  const page = await context.newPage();
  try {
    await page.goto(address, { timeout: WAIT_MS_MAX });
    await page.waitForFunction((mark) => performance.getEntriesByName(mark).length > 0, SHOWN, {
      timeout: WAIT_MS_MAX,
    });
    return await page.evaluate(read, { shown: SHOWN, largest: LARGEST });
  } finally {
    await page.close();
  }
}

async function visitor(
  browser: Browser,
  dashboard: Dashboard,
  url: string,
  token: string,
): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 850 } });
  await dashboard.signIn(context, url, token);
  await context.addInitScript(watch, {
    shown: SHOWN,
    largest: LARGEST,
    standing: dashboard.standing,
  });
  return context;
}

/** Each time a browser that has never been here, and the same one again. */
export async function measure(dashboard: Dashboard, url: string, token: string, times: number) {
  const browser = await launch([NO_OTHER_HOST]);
  const [first, again]: [Paint[], Paint[]] = [[], []];
  try {
    for (let count = 0; count < times; count += 1) {
      const context = await visitor(browser, dashboard, url, token);
      first.push(await opened(context, `${url}${dashboard.path}`));
      again.push(await opened(context, `${url}${dashboard.path}`));
      await context.close();
    }
  } finally {
    await browser.close();
  }
  return { first, again };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [name = '', url = '', times = '5'] = process.argv.slice(2);
  const dashboard = DASHBOARDS[name];
  if (!dashboard) throw new Error(`no such dashboard: ${Object.keys(DASHBOARDS).join(', ')}`);
  const token = process.env['DASHBOARD_TOKEN'] ?? '';
  const found = await measure(dashboard, url, token, Number(times));
  console.log(JSON.stringify(found));
}
