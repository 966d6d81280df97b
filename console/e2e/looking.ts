// Looking at pages over a hostile store, and poking at them, with a trap set for whatever runs that
// should not; and at their files, for formulas.

import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { settled, type Visitor } from './browser.ts';
import { FORMULA } from './hostile.ts';
import { NUMBERED } from './strings.ts';

/** What is opened from the menu of a hostile row, on the pages that have such. */
const DIALOGS: Readonly<Record<string, readonly string[]>> = {
  '/console/keys': ['Edit key'],
  '/token-dashboard': ['Edit token'],
  '/console/teams': ['Members', 'Limits', 'Rename'],
  '/console/users': ['Limits', 'Edit user'],
  '/console/routes': ['Edit route'],
  '/console/dify-apps': ['Edit app'],
  '/console/providers': ['Edit provider'],
  '/console/credentials': ['Edit'],
  '/console/redeem-codes': ['Show the codes'],
  '/console/models?q=trap': ['New version of the price', 'History of the price', 'Other names'],
  '/console/budgets': ['Change the amount'],
};

interface Trap {
  trapped?: string[];
  trap?: (what?: string) => void;
}

export interface Seen {
  /** The pages that have shown something hostile. */
  readonly showing: readonly string[];
  /** How many formulas their files have defused. */
  readonly defused: number;
  /** On which pages each numbered text was seen. */
  readonly texts: ReadonlyMap<string, ReadonlySet<string>>;
  /** All that was seen. */
  readonly words: string;
}

/** Whatever runs that should not, any dialog, and any call to elsewhere is told of. */
async function setTrap({ context, page, complaints }: Visitor, url: string): Promise<void> {
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
    if (/^https?:/.test(origin) && (origin !== url || pathname === '/x'))
      complaints.push(`asked for ${request.url()}`);
  });
}

/** What a page does with what it shows: details, tooltips, dialogs, a row's menu and its question. */
async function provoke(page: Page, path: string, heed: () => Promise<void>): Promise<void> {
  const closed = page.locator('.ant-table-row-expand-icon-collapsed');
  if ((await closed.count()) > 0) {
    // One after the other: what is open is remembered anew with each.
    await closed.evaluateAll(async (icons) => {
      for (const icon of icons) {
        (icon as HTMLElement).click();
        await Promise.resolve();
      }
    });
    await closed.first().waitFor({ state: 'detached' });
  }
  for (const chart of await page.locator('.chart').all()) {
    await chart.hover();
    const box = await chart.boundingBox();
    if (box) await page.mouse.move(box.x + box.width - 30, box.y + box.height - 50);
  }
  await heed();
  const row = page.locator('.with-actions tr.ant-table-row', { hasText: 'trap()' }).first();
  const menu = row.locator('> td:last-child button');
  for (const name of DIALOGS[path] ?? []) {
    await menu.click();
    await page.getByRole('menuitem', { name, exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.first().waitFor();
    await settled(page);
    await heed();
    await page.keyboard.press('Escape');
    await dialog.first().waitFor({ state: 'hidden' });
  }
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

/** All that a person may read there: texts, what stands in fields, and what hovering tells. */
async function wordsOf(page: Page): Promise<string> {
  return page.evaluate(() => {
    const fields = [...document.querySelectorAll<HTMLInputElement>('input, textarea')];
    const titled = [...document.querySelectorAll<HTMLElement>('[title]')];
    const told = [...fields.map((one) => one.value), ...titled.map((one) => one.title)];
    return [document.body.innerText, ...told].join('\n');
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

interface Looked {
  readonly url: string;
  readonly paths: readonly string[];
  /** Those that must show something hostile. */
  readonly shown: readonly string[];
  /** What must happen while a page is open, for it to show anything. */
  readonly during?: Readonly<Record<string, () => Promise<unknown>>>;
}

export async function look(visitor: Visitor, asked: Looked): Promise<Seen> {
  const { page, complaints } = visitor;
  const expected = new Set(asked.shown);
  await setTrap(visitor, asked.url);
  const showing: string[] = [];
  const texts = new Map<string, Set<string>>();
  const all: string[] = [];
  let defused = 0;
  for (const path of asked.paths) {
    const heed = async (): Promise<void> => {
      const words = await wordsOf(page);
      all.push(words);
      for (const [number] of words.matchAll(NUMBERED))
        texts.set(number, (texts.get(number) ?? new Set()).add(path));
    };
    await page.goto(path);
    await settled(page);
    await asked.during?.[path]?.();
    const isCovered = (await page.getByRole('dialog').count()) > 0; // by what the address opens
    const files = page.locator('.table-foot button', { hasText: 'CSV' });
    for (const button of isCovered ? [] : await files.all()) {
      const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
      defused += defusedIn(await readFile(await download.path(), 'utf8'), path);
    }
    if (!isCovered) {
      await provoke(page, path, heed).catch((cause: unknown) => {
        throw new Error(`on ${path}`, { cause });
      });
    }
    if (await showsIt(page, expected.has(path))) showing.push(path);
    await heed();
    expect(await whatRan(page), path).toEqual([]);
    expect(complaints, path).toEqual([]);
  }
  return { showing, defused, texts, words: all.join('\n') };
}

/** The cells of a CSV, quoted as RFC 4180 has it. */
function cellsOf(text: string): string[] {
  const cells = text.replace('\ufeff', '').matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(?:,|\r\n)/g);
  return [...cells].map((cell) => (cell[1] ?? cell[2] ?? '').replaceAll('""', '"'));
}

/** How many of its formulas are texts; each is, or the test fails. */
export function defusedIn(text: string, from: string): number {
  const cells = cellsOf(text);
  const formulas = cells.filter((cell) => /^[=+\-@\t\r\n]/.test(cell));
  expect(
    formulas.filter((cell) => !/^[+-]?[\d.]+$/.test(cell)),
    from,
  ).toEqual([]);
  return cells.filter((cell) => cell.startsWith(`'${FORMULA}`)).length;
}
