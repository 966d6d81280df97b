// Headers that routes add are mostly a backend's own credential: they lie in KV sealed with
// AES-256-GCM under a key made of EDGE_SECRET, so that whoever reads KV learns nothing.

import { textsOf } from './layout';

const VERSION = 1;
const NONCE_BYTES = 12;

export class Shut extends Error {}

export async function keyOf(secret: string): Promise<CryptoKey> {
  const material = new TextEncoder().encode(`tallygate edge ${secret}`);
  const digest = await crypto.subtle.digest('SHA-256', material);
  return crypto.subtle.importKey('raw', digest, 'AES-GCM', false, ['decrypt']);
}

/** What was sealed for this route; Shut: with another secret, or for another route. */
export async function unseal(
  key: CryptoKey,
  routeId: number,
  sealed: string,
): Promise<Record<string, string>> {
  try {
    const bytes = Uint8Array.from(atob(sealed), (letter) => letter.charCodeAt(0));
    if (bytes[0] !== VERSION) throw new Shut();
    const iv = bytes.slice(1, 1 + NONCE_BYTES);
    const additionalData = new TextEncoder().encode(`edge.route:${routeId}`);
    const closed = bytes.slice(1 + NONCE_BYTES);
    const opened = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv, additionalData },
      key,
      closed,
    );
    return textsOf(JSON.parse(new TextDecoder().decode(opened)));
  } catch {
    throw new Shut('EDGE_SECRET is not TALLYGATE_EDGE_SECRET of the server that published');
  }
}
