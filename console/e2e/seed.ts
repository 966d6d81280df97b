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
