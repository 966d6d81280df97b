// /dify-test in a real Chromium against real servers: what is simulated is decided by the server,
// and whatever a page, a frame or a stranger posts, nothing is charged beyond the operator's rules.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Chat, Operator, post, serverOf, startBrowser, usage, Visitor } from './difyWorld';

let browser: Browser;
let chat: Chat;
let visitor: Visitor | undefined;
const hint = new Operator(serverOf('HINT'));
const charge = new Operator(serverOf('CHARGE'));

beforeAll(async () => {
  [browser, chat] = await Promise.all([startBrowser(), Chat.start()]);
  await Promise.all([hint.setPrice(), charge.setPrice()]);
  for (const operator of [hint, charge]) await operator.addUser('victim', 1000);
});

afterAll(async () => {
  await browser.close();
  await chat.stop();
});

afterEach(async () => {
  await visitor?.close();
  visitor = undefined;
});

let made = 0;

/** A visitor with a wallet of their own, so that no test sees another one's charges. */
async function visit(operator: Operator, points = 1000): Promise<[Visitor, string]> {
  made += 1;
  const id = `ann-${made}`;
  await operator.addUser(id, points);
  visitor = await Visitor.open(browser, operator.server, id);
  return [visitor, id];
}

describe('simulate, let the server decide, watch balance and log', () => {
  it('charges at once where browsers are trusted', async () => {
    const [ann, id] = await visit(charge);
    await ann.listen();
    await expect.poll(() => ann.figure('Balance')).toBe('1000');
    await ann.press('Simulate an event');
    await expect.poll(() => ann.figure('Balance')).toBe('998');
    expect(await ann.log()).toEqual([expect.stringMatching(/Accepted\s+2\s+Token consumption/)]);
    expect(await charge.balance(id)).toBe(998);
    expect(ann.errors).toEqual([]);
  });

  it('records a hint by default, and charges it once the webhook confirms it', async () => {
    const [ann, id] = await visit(hint);
    await ann.listen();
    await ann.press('Simulate an event');
    await expect.poll(() => ann.log()).toEqual([expect.stringMatching(/Accepted\s+0\s+Recorded/)]);
    const [noted] = await hint.charges(id);
    expect([noted?.state, await hint.balance(id)]).toEqual(['noted', 1000]);
    await hint.webhook(usage(noted?.message_id ?? '', { user_id: id }));
    await expect.poll(() => ann.figure('Balance')).toBe('998');
  });

  it('asks before it spends, and blocks whoever has too little', async () => {
    const [ann, id] = await visit(charge, 1);
    await ann.listen();
    await ann.press('Check the balance, then simulate');
    const dialog = ann.page.getByRole('dialog', { name: 'Points for this request' });
    await dialog.getByText('You do not have enough points.').waitFor();
    expect(await dialog.getByRole('button').allInnerTexts()).toEqual(['Cancel', 'Check again']);
    await charge.call('POST', `/api/users/${id}/wallet/top-up`, { points: 9 });
    await dialog.getByRole('button', { name: 'Check again' }).click();
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await expect.poll(() => ann.figure('Balance')).toBe('8');
  });

  it('says when there is no money, and takes none', async () => {
    const [ann, id] = await visit(charge, 1);
    await ann.listen();
    await ann.press('Simulate an event');
    await expect.poll(() => ann.log()).toEqual([expect.stringContaining('Unpaid')]);
    expect(await charge.balance(id)).toBe(1);
  });
});

describe('nobody there, or nothing on', () => {
  it('signed out it is a titled page that asks who one is, and opens no stream', async () => {
    visitor = await Visitor.open(browser, charge.server);
    await visitor.page.locator('input[type="password"]').first().waitFor();
    expect(await visitor.page.title()).toMatch(/Tallygate/);
    expect(visitor.asked.filter(({ accept }) => accept.includes('event-stream'))).toEqual([]);
  });

  it('switched off it is a titled note, and opens no stream', async () => {
    const off = new Operator(serverOf('DISABLED'));
    const [ann] = await visit(off);
    await ann.page.getByText('Dify in pages is switched off').waitFor();
    expect(await ann.page.title()).toBe('Dify test · Tallygate');
    expect(await ann.page.locator('iframe').count()).toBe(0);
    expect(ann.asked.filter(({ accept }) => accept.includes('event-stream'))).toEqual([]);
  });
});

describe('the path of messages, attacked', () => {
  it('a chat that may be believed is', async () => {
    const [ann, id] = await visit(charge);
    const frame = await ann.watch(chat.address('chat'));
    await post(frame, 'parent', [usage('honest')]);
    await expect.poll(() => charge.balance(id)).toBe(998);
    expect(await charge.balance('victim')).toBe(1000);
  });

  it('another window is not, whatever its origin', async () => {
    const [ann, id] = await visit(charge);
    const frame = await ann.watch(chat.address('chat'));
    const nested = [chat.address('same-origin'), chat.address('stranger', 'localhost')];
    for (const address of nested) {
      await frame.evaluate((src) => {
        document.body.append(Object.assign(document.createElement('iframe'), { src }));
      }, address);
      await post(await ann.frameAt(address), 'top', [usage(`from ${address}`)]);
    }
    await ann.page.evaluate(() => {
      window.postMessage({ event: 'message_end', messageId: 'own', totalTokens: 1 }, '*');
    });
    await expect.poll(async () => Number(await ann.figure('Of strangers'))).toBeGreaterThan(2);
    expect([ann.reports, await charge.charges(id)]).toEqual([0, []]);
  });

  it('the right frame is not, once it shows another origin', async () => {
    const [ann, id] = await visit(charge);
    const frame = await ann.watch(chat.address('chat'));
    await frame.goto(chat.address('elsewhere', 'localhost'));
    await post(frame, 'parent', [usage('elsewhere')]);
    await expect.poll(() => ann.figure('Of strangers')).toBe('1');
    expect([ann.reports, await charge.charges(id)]).toEqual([0, []]);
  });

  it('counts that can not be true are reported nowhere', async () => {
    const [ann, id] = await visit(charge);
    await ann.listen();
    await ann.press('Counts that can not be true');
    await expect.poll(() => ann.figure('Malformed')).toBe('3');
    expect([ann.reports, await charge.charges(id)]).toEqual([0, []]);
  });

  it('counts that are only too high wait for an operator', async () => {
    const [ann, id] = await visit(charge, 1_000_000);
    const frame = await ann.watch(chat.address('chat'));
    const data = { input_tokens: 0, output_tokens: 9_000_000, total_tokens: 9_000_000 };
    await post(frame, 'parent', [usage('huge', data)]);
    await expect.poll(() => ann.log()).toEqual([expect.stringContaining('Held for review')]);
    expect(await charge.balance(id)).toBe(1_000_000);
  });

  it('a replay costs nothing more, by message or by call', async () => {
    const [ann, id] = await visit(charge);
    const frame = await ann.watch(chat.address('chat'));
    await post(
      frame,
      'parent',
      Array.from({ length: 50 }, () => usage('again')),
    );
    await expect.poll(() => ann.figure('Repeated')).toBe('49');
    await expect.poll(() => charge.balance(id)).toBe(998);
    const answers = await forge(ann, Array(5).fill(usage('again')));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const [other] = await forge(ann, [usage('again', { input_tokens: 1, total_tokens: 501 })]);
    expect(other?.status).toBe(409);
    expect([await charge.balance(id), (await charge.charges(id)).length]).toEqual([998, 1]);
  });

  it('a forged call is held to the same rules, for nobody but oneself', async () => {
    const [ann, id] = await visit(charge);
    await ann.listen();
    const forged = [
      usage('f-1', { input_tokens: -5_000_000, total_tokens: -4_999_500 }),
      usage('f-2', { total_tokens: 1 }),
      usage('f-3', { output_tokens: 10_000_001, total_tokens: undefined }),
      usage('f-4', { model_name: 'no-such-model' }),
      usage('f-5', { timestamp: '2001-01-01T00:00:00Z' }),
    ];
    const statuses = (await forge(ann, forged)).map(({ status }) => status);
    expect(statuses.every((status) => status === 422)).toBe(true);
    expect((await forge(ann, [usage('mine', { user_id: 'victim' })]))[0]?.status).toBe(200);
    expect([await charge.balance(id), await charge.balance('victim')]).toEqual([998, 1000]);
    const [unsigned] = await forge(ann, [usage('f-6')], 'guessed');
    expect(unsigned?.status).toBe(403);
  });

  it('a flood of 1,000 messages a second charges a second’s worth a second, and the page lives', async () => {
    const [ann, id] = await visit(charge);
    const frame = await ann.watch(chat.address('chat'));
    const began = Date.now();
    const flooded = frame.evaluate(
      (one) =>
        new Promise<number>((resolve) => {
          let count = 0;
          const timer = setInterval(() => {
            for (let now = 0; now < 100; now += 1) {
              count += 1;
              const data = { ...one.data, message_id: `flood-${count}` };
              parent.postMessage({ ...one, data }, '*');
            }
            if (count < 5_000) return;
            clearInterval(timer);
            resolve(count);
          }, 100);
        }),
      usage('flood') as { data: object },
    );
    await ann.page.getByText('Simulated', { exact: true }).hover(); // it answers meanwhile
    expect(await ann.page.evaluate(() => 6 * 7)).toBe(42);
    const posted = await flooded;
    await expect
      .poll(async () => {
        const names = ['Waiting', 'Reported', 'Too many'] as const;
        const counts = await Promise.all(names.map((name) => ann.figure(name)));
        return counts.map(Number).reduce((sum, one) => sum + one, 0);
      })
      .toBe(posted);
    const seconds = (Date.now() - began) / 1000;
    expect(ann.reports).toBeLessThanOrEqual(seconds + 1);
    expect(Number(await ann.figure('Waiting'))).toBeLessThanOrEqual(100);
    const charged = await charge.charges(id);
    expect(charged.length).toBeLessThanOrEqual(ann.reports);
    expect(await charge.balance(id)).toBeGreaterThanOrEqual(1000 - 2 * ann.reports);
    expect(ann.errors).toEqual([]);
  });

  it('a flood of calls is put off by the server, and costs nothing while it is only a hint', async () => {
    const [ann, id] = await visit(hint);
    const calls = Array.from({ length: 300 }, (_, number) => usage(`call-${number}`));
    const statuses = (await forge(ann, calls)).map(({ status }) => status);
    const taken = statuses.filter((status) => status === 200).length;
    expect(taken).toBeLessThan(300);
    expect(statuses.filter((status) => status === 429)).toHaveLength(300 - taken);
    expect((await hint.charges(id)).length).toBe(taken);
    expect([await hint.balance(id), await hint.balance('victim')]).toEqual([1000, 1000]);
  });
});

/** What somebody who has the page open can do without the package: call the API themselves. */
async function forge(
  ann: Visitor,
  bodies: object[],
  token?: string,
): Promise<{ status: number }[]> {
  return ann.page.evaluate(
    async ({ bodies, token }) => {
      const session = (await (await fetch('/api/session')).json()) as { csrf_token: string };
      const headers = { 'x-csrf-token': token ?? session.csrf_token };
      const answers = [];
      for (const body of bodies) {
        const init = { method: 'POST', headers, body: JSON.stringify(body) };
        answers.push({ status: (await fetch('/api/dify/events', init)).status });
      }
      return answers;
    },
    { bodies, token },
  );
}
