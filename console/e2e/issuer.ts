// A provider of OpenID Connect in small: its page asks who one is, its tokens are really signed, and
// codes count once, for whoever began with the right challenge.

import { createHash, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const CLIENT_ID = 'tallygate';
export const CLIENT_SECRET = 'end-to-end-client-secret-0123456789';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

export class Issuer {
  readonly #server: Server;
  readonly #begun = new Map<string, URLSearchParams>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Issuer> {
    const server = createServer();
    const issuer = new Issuer(server);
    server.on('request', (request: IncomingMessage, answer: ServerResponse) => {
      void issuer.#answer(request, answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    if (pathname === '/authorize') {
      answer.setHeader('content-type', 'text/html; charset=utf-8');
      answer.end(this.#page(searchParams));
      return;
    }
    const form = new URLSearchParams(await textOf(request));
    const found = this.#document(pathname, form, request.headers.authorization ?? '');
    answer.writeHead(found ? 200 : 400, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(found ?? { error: 'invalid_grant' }));
  }

  #page(asked: URLSearchParams): string {
    const code = randomBytes(8).toString('hex');
    this.#begun.set(code, asked);
    const back = (query: Record<string, string>): string => {
      const state = asked.get('state') ?? '';
      return `${asked.get('redirect_uri')}?${new URLSearchParams({ ...query, state })}`.replaceAll(
        '&',
        '&amp;',
      );
    };
    return (
      '<!doctype html><link rel="icon" href="data:," /><title>Who are you?</title>' +
      `<a href="${back({ code })}">Go on as Ann</a> ` +
      `<a href="${back({ error: 'access_denied' })}">Not me</a>`
    );
  }

  #document(path: string, form: URLSearchParams, authorization: string): object | null {
    if (path === '/.well-known/openid-configuration') {
      const at = (name: string): string => `${this.url}/${name}`;
      return {
        ...{ issuer: this.url, authorization_endpoint: at('authorize') },
        ...{ token_endpoint: at('token'), jwks_uri: at('keys') },
      };
    }
    if (path === '/keys') {
      return {
        keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }],
      };
    }
    return path === '/token' ? this.#redeem(form, authorization) : null;
  }

  #redeem(form: URLSearchParams, authorization: string): object | null {
    const code = form.get('code') ?? '';
    const asked = this.#begun.get(code);
    this.#begun.delete(code);
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '');
    const pair = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString();
    const isTheirs =
      asked?.get('code_challenge') === challenge.digest('base64url') &&
      asked.get('redirect_uri') === form.get('redirect_uri') &&
      pair === `${CLIENT_ID}:${CLIENT_SECRET}`;
    if (!isTheirs) return null;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: this.url, aud: CLIENT_ID, iat: now, exp: now + 300, nonce: asked.get('nonce') },
      ...{ sub: 'ann-1', name: 'Ann', email: 'ann@example.com', email_verified: true },
    };
    return { access_token: 'a', token_type: 'Bearer', id_token: signed(claims) };
  }
}

function signed(claims: object): string {
  const parts = [{ alg: 'RS256', typ: 'JWT', kid: 'one' }, claims];
  const text = parts.map((one) => Buffer.from(JSON.stringify(one)).toString('base64url')).join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}
