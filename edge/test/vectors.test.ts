// The Worker's pure parts against the shared vectors: what the Python gateway is held to, so are these.

import { describe, expect, it } from 'vitest';

import shared from '../../contract/edge-vectors.json';
import vectors from '../../contract/route-vectors.json';
import { RouteTable, judge, seek } from '../src/decide';
import type { Asked, Verdict } from '../src/decide';
import { answerFields, requestFields } from '../src/headers';
import type { Field } from '../src/headers';
import { readRoutes, readToken, routeOf, rulesOf, tokenKey } from '../src/layout';
import type { Token } from '../src/layout';
import { refusalOf } from '../src/refusals';
import { keyOf, unseal } from '../src/seal';
import { windowAt } from '../src/windows';
import { hashOf, tokenOf } from './given';
import type { Case, Group } from './given';

function verdictOn(group: Group, one: Case): Verdict {
  const table = new RouteTable(group.routes.map((route, id) => routeOf({ ...route, id })));
  const tokens = new Map<string, Token>(
    group.tokens.map((token) => [token.token_hash, tokenOf(token)]),
  );
  const headers: Record<string, string | undefined> = one.headers;
  const asked: Asked = {
    method: one.method,
    host: one.host,
    target: one.target,
    apiKey: headers['x-api-key'] ?? '',
    authorization: headers['authorization'] ?? '',
    address: one.address ?? '127.0.0.1',
  };
  const sought = seek(table, asked);
  if (sought.why !== 'token_needed') return sought;
  return judge(sought.route, tokens.get(hashOf(sought.secret)) ?? null, asked, group.now_ms);
}

for (const group of vectors.groups as Group[]) {
  describe(`a verdict on ${group.name}`, () => {
    it.each(group.requests)('$name', (one) => {
      const { why, route, forwarded } = verdictOn(group, one);
      const status = why === 'ok' ? 200 : refusalOf(why, route).status;
      expect({ why, status, route: route?.path ?? '', forwarded }).toEqual(one.verdict);
    });
  });
}

describe('what goes on to a backend', () => {
  it.each(shared.request_headers)('$name', ({ rules, fields, forwarded }) => {
    expect(requestFields(fields as unknown as Field[], rulesOf(rules))).toEqual(forwarded);
  });
});

describe('what comes back from a backend', () => {
  it.each(shared.answer_headers)('$name', ({ rules, fields, has_host, answered }) => {
    expect(answerFields(fields as unknown as Field[], rulesOf(rules), !has_host)).toEqual(answered);
  });

  it('says nothing of what Cloudflare told the Worker', () => {
    const fields: Field[] = [
      ['cf-connecting-ip', '1.2.3.4'],
      ['cdn-loop', 'cloudflare'],
      ['x-kept', '1'],
    ];
    expect(requestFields(fields, rulesOf(undefined))).toEqual([['x-kept', '1']]);
  });
});

describe('a window of a limit', () => {
  it.each(shared.windows)('$span in $zone at $now_s', ({ span, zone, now_s, start_s, end_s }) => {
    const window = windowAt(span as Parameters<typeof windowAt>[0], zone, now_s);
    expect(window).toEqual({ startS: start_s, endS: end_s });
  });
});

describe('what the publisher writes', () => {
  const { routes, secret, tokens } = shared.kv;

  it('is read as the routes that it was made of', () => {
    const read = readRoutes(routes.text);
    const given = [...routes.given, ...routes.shut].map(([id, path, url]) => [id, path, url]);
    expect(read.map((route) => [route.id, route.path, route.backend_url])).toEqual(
      given.sort(([one], [other]) => Number(one) - Number(other)),
    );
    expect(read[1]).toMatchObject({
      scope: 'team:read',
      methods: ['GET', 'POST'],
      host: 'tools.test',
      strip_prefix: true,
      first_byte_ms: 2000,
      limits: [{ id: 5, span: 'minute', zone: 'UTC', amount: 60 }],
      token_limits: [{ id: 7, span: 'day', zone: 'Asia/Taipei', amount: 100 }],
    });
    expect(read[2]?.rewrite).toBe('/v2');
    expect(read.filter((route) => route.withheld !== '').map((route) => route.id)).toEqual([4, 5]);
    expect(routes.text).not.toContain('never published');
  });

  it('holds the headers that routes add for whoever has the secret, and for that route', async () => {
    const sealed = readRoutes(routes.text)[1]?.request_headers.sealed ?? '';
    expect(await unseal(await keyOf(secret), 2, sealed)).toEqual(routes.opened['2']);
    await expect(keyOf('another').then((key) => unseal(key, 2, sealed))).rejects.toThrow();
    await expect(keyOf(secret).then((key) => unseal(key, 3, sealed))).rejects.toThrow();
    await expect(keyOf(secret).then((key) => unseal(key, 2, 'AY'))).rejects.toThrow();
  });

  it('withholds a route with such headers where the publisher has no secret', () => {
    expect(readRoutes(routes.text_without_secret)[1]?.withheld).not.toBe('');
    expect(readRoutes(routes.text_without_secret)[0]?.withheld).toBe('');
  });

  it.each(tokens)('names a token by its hash: $text', ({ token, name, text }) => {
    expect(tokenKey(hashOf(token))).toBe(name);
    const given = JSON.parse(text) as Record<string, unknown>;
    expect(readToken(text)).toMatchObject(given);
  });
});

describe('what is no document of ours is refused whole', () => {
  it.each([
    '',
    'null',
    '[]',
    '"x"',
    '{"scopes":"*"}',
    '{"scopes":[1]}',
    '{"is_active":"false"}',
    '{"expires_ms":"never"}',
    '{"expires_ms":1.5}',
    '{"addresses":{}}',
    '{"limits":[{"id":1,"span":"century","zone":"UTC","amount":1}]}',
  ])('a token like %s', (text) => {
    expect(() => readToken(text)).toThrow();
  });

  it.each([
    '{}',
    '{"version":2,"routes":[]}',
    '{"version":1,"routes":{}}',
    '{"version":1,"routes":[{"id":1,"path":"/a"}]}',
    '{"version":1,"routes":[{"id":1,"path":"/a","backend_url":"http://b","methods":"GET"}]}',
    '{"version":1,"routes":[{"id":1,"path":"/a","backend_url":"http://b","scope":7}]}',
    '{"version":1,"routes":[{"id":1,"path":"/a","backend_url":"http://b","strip_prefix":1}]}',
  ])('routes like %s', (text) => {
    expect(() => readRoutes(text)).toThrow();
  });
});
