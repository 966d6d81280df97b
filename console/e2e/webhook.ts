// A Dify server's reports, with the secrets that the end-to-end servers know it by.

import { createHmac } from 'node:crypto';
import type { Server } from './server.ts';

const KEY = 'end-to-end-webhook-key-0123456789';
const SECRET = 'end-to-end-webhook-secret-0123456789';

export const WEBHOOK_SETTINGS = {
  TALLYGATE_DIFY_WEBHOOK_KEY: KEY,
  TALLYGATE_DIFY_WEBHOOK_SECRET: SECRET,
};

/** That a message has ended, and what it used. What is refused is kept as a dead letter. */
export async function report(
  server: Server,
  data: Readonly<Record<string, unknown>>,
): Promise<Response> {
  const body = JSON.stringify({ event: 'message_end', data, request_id: data['message_id'] });
  return fetch(`${server.url}/api/dify/webhook`, {
    method: 'POST',
    headers: {
      'X-API-Key': KEY,
      'X-Signature': `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`,
    },
    body,
  });
}
