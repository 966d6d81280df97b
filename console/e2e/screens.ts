// Renders every page in both themes, three languages, desktop and phone, over a seeded data set.
// npm run screens -w @tallygate/console -- [FOLDER] [NAME …]; docs/screens/ keeps a few of them.

import { mkdir } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { enter, launch, type Look, settled, visit } from './browser.ts';
import { registeredPages } from './pages.ts';
import { makePeople, signInAs } from './people.ts';
import { history, seed } from './seed.ts';
import { seedMoney } from './seedMoney.ts';
import { Server } from './server.ts';
import { WEBHOOK_SETTINGS } from './webhook.ts';

const [folder = 'screens', ...names] = process.argv.slice(2);
const THEMES = ['light', 'dark'] as const;
const LANGUAGES = ['en', 'zh-CN', 'zh-TW'] as const;
const pages = registeredPages().filter(({ name }) => names.length === 0 || names.includes(name));

async function render(browser: Browser, url: string, look: Look): Promise<void> {
  const suffix = `${look.theme}-${look.language}${look.isPhone ? '-phone' : ''}`;
  const { page, context } = await visit(browser, url, look);
  await page.goto('/');
  await page.locator('form').waitFor();
  await page.screenshot({ path: `${folder}/sign-in-${suffix}.png` });
  await enter(context);
  const own = await visit(browser, url, look);
  await signInAs(own.page, 'member');
  for (const one of pages) {
    const shown = one.need === 'member' ? own.page : page;
    await shown.goto(one.path);
    await settled(shown);
    await shown.waitForFunction(() => !document.querySelector('.chart-waiting, .outline'));
    await shown.screenshot({ path: `${folder}/${one.name}-${suffix}.png`, fullPage: true });
  }
  await context.close();
  await own.context.close();
}

await mkdir(folder, { recursive: true });
const server = await Server.start({
  ...WEBHOOK_SETTINGS,
  TALLYGATE_ENABLE_DIFY_INTEGRATION: 'true',
});
const browser = await launch();
try {
  await makePeople(server);
  await seed(server);
  await history(server);
  await seedMoney(server);
  for (const theme of THEMES) {
    for (const language of LANGUAGES) {
      for (const isPhone of [false, true]) {
        await render(browser, server.url, { theme, language, isPhone });
      }
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
