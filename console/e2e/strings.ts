// Every string that a call of the contract takes, and what became of each that somebody hostile sent:
// taken, then some page must show it, or refused. A field that nobody has tried is found by it, too.

import { readFileSync } from 'node:fs';
import { AS_ADMIN, type Headers, type Server } from './server.ts';

const CONTRACT = new URL('../../contract/openapi.json', import.meta.url);
const CHANGING = ['post', 'put', 'patch'];
/** Where a text bears its own number, by which it is known again on a page. */
export const PLACE = '§';
const HOSTILE = /trap\(\)/;
/** The number of a text, as it is shown: between signs that nothing else holds. */
export const NUMBERED = /~\d+~/g;

type Body = Readonly<Record<string, unknown>>;
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
}
interface Contract {
  readonly paths: Record<string, Record<string, { requestBody?: { content: Content } }>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;

const contract = JSON.parse(readFileSync(CONTRACT, 'utf8')) as Contract;

/** `POST /api/keys limits[].zone`; the names in a map are `aliases{}`, its values `aliases{}=`. */
export function stringFields(): readonly string[] {
  const found = Object.entries(contract.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => {
      if (!CHANGING.includes(method) || !requestBody) return [];
      const names = Object.values(requestBody.content).flatMap(({ schema }) => namesIn(schema, ''));
      return names.map((name) => `${method.toUpperCase()} ${path} ${name}`);
    }),
  );
  return [...new Set(found)].sort();
}

function namesIn(schema: Schema, name: string): readonly string[] {
  const named = schema.$ref?.split('/').at(-1);
  if (named) return namesIn(contract.components.schemas[named] ?? {}, name);
  if (schema.anyOf) return schema.anyOf.flatMap((one) => namesIn(one, name));
  if (schema.items) return namesIn(schema.items, `${name}[]`);
  const values = schema.additionalProperties;
  if (typeof values === 'object') return [`${name}{}`, ...namesIn(values, `${name}{}=`)];
  if (schema.properties)
    return Object.entries(schema.properties).flatMap(([one, inner]) =>
      namesIn(inner, name ? `${name}.${one}` : one),
    );
  const isText = schema.type === 'string' || typeof schema.enum?.[0] === 'string';
  return isText ? [name] : [];
}

/** The texts of a body, by the names of their fields. */
function textsIn(value: unknown, name: string): readonly (readonly [string, string])[] {
  if (typeof value === 'string') return [[name, value]];
  if (Array.isArray(value)) return value.flatMap((one: unknown) => textsIn(one, `${name}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const isMap = /(aliases|variables|output_tokens_max|\.add|\.rename)$/.test(name);
    if (!isMap) return textsIn(inner, name ? `${name}.${key}` : key);
    return [[`${name}{}`, key] as const, ...textsIn(inner, `${name}{}=`)];
  });
}

/** A body in which that field is this text, and whatever holds it is made. */
function withText(body: unknown, name: string, text: string): unknown {
  if (name === '') return text;
  if (name.startsWith('[]')) {
    const first = Array.isArray(body) ? (body[0] as unknown) : {};
    return [withText(first, name.slice(2).replace(/^\./, ''), text)];
  }
  if (name === '{}') return { [text]: 'x' };
  if (name === '{}=') return { x: text };
  const [, head = '', rest = ''] = /^(\w+)\.?(.*)$/.exec(name) ?? [];
  const within = (body ?? {}) as Record<string, unknown>;
  return { ...within, [head]: withText(within[head], rest, text) };
}

interface Sent {
  readonly path: string;
  readonly body: Body;
  readonly headers: Headers;
}

export class Attack {
  /** Which text stands in which field, of those that were taken. */
  readonly taken = new Map<string, string>();
  readonly refused = new Set<string>();
  readonly #server: Server;
  readonly #sent = new Map<string, Sent>();
  #count = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  /** A call that must be taken, each text of it with a number of its own. */
  async send(
    method: string,
    path: string,
    body: Body,
    headers: Headers = AS_ADMIN,
  ): Promise<Readonly<Record<string, string>>> {
    const numbered = JSON.parse(
      JSON.stringify(body).replaceAll(PLACE, () => `~${(this.#count += 1)}~`),
    ) as Body;
    const answer = await this.#server.call(method, path, numbered, headers);
    const call = callOf(method, path);
    this.#sent.set(call, { path, body: numbered, headers });
    for (const [name, text] of textsIn(numbered, '')) {
      if (HOSTILE.test(text)) this.taken.set(`${call} ${name}`, text);
    }
    return answer as Record<string, string>;
  }

  /** A call that must be refused, for what it says and not for how it says it. */
  async fail(method: string, path: string, body: Body, headers: Headers = AS_ADMIN): Promise<void> {
    const init = { method, headers, body: JSON.stringify(body) };
    const { status } = await fetch(this.#server.url + path, init);
    if (status < 400 || status >= 500) throw new Error(`${method} ${path}: ${status}`);
    const call = callOf(method, path);
    for (const [name] of textsIn(body, '')) this.refused.add(`${call} ${name}`);
  }

  /** A field that takes no such text must say so, in a call that is right but for it. */
  async tryOthers(text: string): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const field of stringFields()) {
      if (this.taken.has(field) || this.refused.has(field)) continue;
      const why = await this.#tryOne(field, text);
      if (why) wrong.push(`${field}: ${why}`);
      else this.refused.add(field);
    }
    return wrong;
  }

  async #tryOne(field: string, text: string): Promise<string> {
    const [method = '', template = '', name = ''] = field.split(' ');
    const sent = this.#sent.get(`${method} ${template}`);
    if (!sent) return 'nobody has tried this call';
    const answer = await fetch(this.#server.url + sent.path, {
      method,
      headers: sent.headers,
      body: JSON.stringify(withText(sent.body, name, text)),
    });
    const said = (await answer.text()).toLowerCase();
    if (answer.status < 400 || answer.status >= 500) return `${answer.status} ${said}`;
    const words = name.split(/\W+/).filter(Boolean);
    return words.some((word) => said.includes(word.replace(/s$/, ''))) ? '' : `for ${said}`;
  }
}

/** A path as the contract writes it. */
function callOf(method: string, path: string): string {
  const parts = path.split('?')[0]?.split('/') ?? [];
  const found = Object.keys(contract.paths).filter((template) => {
    const wanted = template.split('/');
    const isSame = (part: string, place: number): boolean =>
      part === parts[place] || part.startsWith('{');
    return wanted.length === parts.length && wanted.every(isSame);
  });
  const [nearest] = found.sort((one, two) => one.split('{').length - two.split('{').length);
  return `${method} ${nearest ?? path}`;
}
