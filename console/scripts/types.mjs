// Writes src/api/schema.ts from contract/openapi.json, before every build and check.
// Whole micro-points can be larger than a JavaScript number holds exactly, so the client reads
// them as strings (api/exact.ts), and here their type says so.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTypescript, { astToString } from 'openapi-typescript';

const contract = new URL('../../contract/openapi.json', import.meta.url);
const target = new URL('../src/api/schema.ts', import.meta.url);

function withExactMicros(value, name = '') {
  if (Array.isArray(value)) return value.map((one) => withExactMicros(one));
  if (value === null || typeof value !== 'object') return value;
  if (/micros$/i.test(name) && JSON.stringify(value).includes('"integer"')) {
    const isNullable = JSON.stringify(value).includes('"null"');
    return { type: isNullable ? ['string', 'null'] : 'string' };
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withExactMicros(one, key)]),
  );
}

const document = withExactMicros(JSON.parse(await readFile(contract, 'utf8')));
const types = astToString(await openapiTypescript(document, { defaultNonNullable: false }));
const text = `// Generated from contract/openapi.json by scripts/types.mjs; not kept in git.\n${types}`;
const before = await readFile(target, 'utf8').catch(() => '');
if (before !== text) await writeFile(target, text);
