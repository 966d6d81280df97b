// A set of data that every page has something to show of, made through the API as operators make it.

import type { Server } from './server.ts';

interface Made {
  readonly id: string;
  readonly secret: string;
}

const KEYS = ['Support bot', 'Marketing site', 'Nightly reports', 'Playground'];

export async function seed(server: Server): Promise<void> {
  const keys: Made[] = [];
  for (const label of KEYS) {
    keys.push((await server.call('POST', '/api/keys', { label, daily_limit: 40 })) as Made);
  }
  const team = (await server.call('POST', '/api/teams', { name: 'Automation' })) as Made;
  for (const name of ['n8n flows', 'Zapier bridge']) {
    await server.call('POST', '/api/tokens', { name, team_id: team.id, scopes: ['read'] });
  }
  await server.call('POST', '/api/users', { id: 'ann', name: 'Ann Lee', email: 'ann@example.com' });
  await server.call('POST', '/api/users/ann/wallet/top-up', { points: 5000, reason: 'invoice 7' });
  for (const [index, key] of keys.entries()) {
    for (let count = 0; count < 4 + index * 9; count += 1) await server.chat(key.secret);
  }
  await server.call('PATCH', `/api/keys/${keys[3]?.id ?? ''}`, { is_active: false });
}

const HOUR_MS = 3_600_000;
const BATCH = 500;
const ROUTES = ['/api/orders', '/api/invoices', '/api/search'];

/** A week of uses by automations, more by day than by night, for charts to show. */
export async function history(server: Server): Promise<void> {
  const { items } = (await server.call('GET', '/api/tokens')) as {
    items: { token_hash: string }[];
  };
  const now = Date.now();
  const uses = [];
  for (let hours = 1; hours < 7 * 24; hours += 1) {
    const at = now - hours * HOUR_MS;
    const wave = Math.sin(((new Date(at).getUTCHours() - 8) / 24) * 2 * Math.PI);
    const count = Math.round(3 + 3 * wave + (hours % 5));
    for (let index = 0; index < count; index += 1) {
      uses.push({
        token_hash: items[(hours + index) % items.length]?.token_hash ?? '',
        route: ROUTES[index % ROUTES.length] ?? '',
        timestamp: at - index * 1000,
        response_status: (hours + index) % 23 === 0 ? 502 : 200,
        response_time_ms: 40 + ((hours * 7 + index * 13) % 160),
      });
    }
  }
  for (let from = 0; from < uses.length; from += BATCH) {
    await server.call('POST', '/api/usage-log', uses.slice(from, from + BATCH));
  }
}
