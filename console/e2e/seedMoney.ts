// Money for every page that shows some: wallets, charges, what could not be paid or understood, and
// a member who has all of it. After `makePeople`, on a server with the settings of webhook.ts.

import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import type { Server } from './server.ts';
import { report } from './webhook.ts';

const MEMBER = 'member-1';
const HOUR_MS = 3_600_000;
const MODELS = ['gpt-4o', 'claude-3-5-sonnet', 'deepseek-chat'];
const MESSAGES = 18;

interface Made {
  readonly id: string;
  readonly secret: string;
}

export async function seedMoney(server: Server): Promise<void> {
  await server.call('POST', '/api/users', {
    id: 'bob',
    name: 'Bob Chen',
    email: 'bob@example.com',
  });
  for (const [id, points] of [
    [MEMBER, '2500'],
    ['bob', '0.01'],
  ]) {
    const wallet = `/api/users/${id}/wallet`;
    await server.call('POST', `${wallet}/top-up`, { points, reason: 'invoice 2026-118' });
    await server.call('PATCH', wallet, { warn_below: '3000' });
    await server.call('POST', '/api/budgets', { points: '500', span: 'month', user_id: id });
  }
  await seedWallet(server, `/api/users/${MEMBER}/wallet`);
  await seedMessages(server);
  await seedKeys(server);
  await server.call('POST', '/api/redeem-batches', {
    ...{ count: 20, points: '50', label: 'Spring workshop', grant_days: 90 },
  });
  await server.call('PUT', '/api/exchange-rate', { rate: '12000', reason: 'new contract' });
  await server.call('POST', '/api/routes', {
    ...{ path: '/api/orders', backend_url: 'https://orders.example.com', scope: 'orders' },
  });
  await seedApps(server);
  for (const name of ['mail account', 'search index']) {
    await server.call('POST', '/api/credentials', {
      ...{
        kind: 'bearer-probe',
        name,
        user: 'ops@example.com',
        pool: 'mail',
        secret: `not real: ${name}`,
      },
      variables: { url: 'https://api.example.com/me' },
    });
  }
  seedAnomalies(server);
}

async function seedApps(server: Server): Promise<void> {
  const cloud = { api_url: 'https://api.dify.ai/v1', api_key: 'app-not-real', model: 'gpt-4o' };
  await server.call('POST', '/api/dify/apps', { name: 'help-desk', ...cloud });
  const own = { instance: 'in-house', api_url: 'http://10.0.0.8/v1', billed_by: 'gateway' };
  await server.call('POST', '/api/dify/apps', { name: 'contracts', hold_points: '12.5', ...own });
}

async function seedWallet(server: Server, wallet: string): Promise<void> {
  await server.call('POST', `${wallet}/grant`, {
    ...{ points: '100', reason: 'welcome', category: 'promotional' },
    expires_at: new Date(Date.now() + 30 * 24 * HOUR_MS).toISOString(),
  });
  await server.call('POST', `${wallet}/adjust`, { points: '-12.5', reason: 'counted twice' });
  await server.call('POST', `${wallet}/holds`, {
    ...{ points: '20', owner: 'nightly report', reason: 'until it has run' },
  });
}

async function seedMessages(server: Server): Promise<void> {
  for (let index = 0; index < MESSAGES; index += 1) {
    const [input, output] = [900 + ((index * 613) % 4000), 200 + ((index * 211) % 900)];
    await report(server, {
      ...{ conversation_id: `conv-${index % 4}`, message_id: `msg-${index}` },
      user_id: index % 9 === 8 ? 'bob' : MEMBER,
      model_name: MODELS[index % MODELS.length],
      ...{ input_tokens: input, output_tokens: output, total_tokens: input + output },
      timestamp: new Date(Date.now() - index * 0.9 * HOUR_MS).toISOString(),
    });
  }
  const lost = { conversation_id: 'conv-9', message_id: 'msg-lost', user_id: 'nobody@example.com' };
  const used = { model_name: 'gpt-4o', input_tokens: 10, output_tokens: 10, total_tokens: 20 };
  await report(server, { ...lost, ...used });
  const { items } = (await server.call('GET', `/api/charges?user_id=${MEMBER}`)) as {
    items: Made[];
  };
  const refund = { points: '0.5', reason: 'the answer broke off' };
  await server.call('POST', `/api/charges/${items[0]?.id ?? ''}/refund`, refund);
}

async function seedKeys(server: Server): Promise<void> {
  for (const label of ['My laptop', 'Home assistant']) {
    const key = (await server.call('POST', '/api/keys', { label, user_id: MEMBER })) as Made;
    for (let count = 0; count < 3; count += 1) await server.chat(key.secret);
  }
}

/** Put there by hand: it takes weeks of traffic until something counts as strange. */
function seedAnomalies(server: Server): void {
  const now = Date.now();
  const hour = Math.floor(now / HOUR_MS) * 3600;
  const use = { request_id: 'req_1', at_ms: now, route: '/api/orders', model: '', status: 200 };
  const evidence = {
    ...{ what: 'uses in an hour', expected: 12.5, seen: 380, uses: 380, chance: -14 },
    hours: [0, 1, 2, 3].map((back) => [hour - back * 3600, 380 - back * 70]),
    rows: [{ ...use, address: '203.0.113.9', agent: 'n8n/1.64' }],
  };
  const store = new DatabaseSync(join(server.data, 'tallygate.db'));
  try {
    store.exec('PRAGMA busy_timeout = 20000');
    const insert = store.prepare(
      `INSERT INTO anomaly (kind, key_id, state, started_ms, last_ms, evidence, created_ms,
         acknowledged_by, note, throttle) VALUES (?, ?, 'open', ?, ?, ?, ?, '', '', 'off')`,
    );
    for (const [index, kind] of ['volume', 'source', 'errors'].entries()) {
      const begun = now - (index + 1) * 5 * HOUR_MS;
      insert.run(kind, index + 1, begun, now, JSON.stringify(evidence), begun);
    }
  } finally {
    store.close();
  }
}
