// Names with a value each: lines in a form, an object in the API.

export interface Pair {
  name: string;
  value: string | number | null;
}

export const NEW_PAIR: Pair = { name: '', value: null };

export function pairsOf(object: Readonly<Record<string, string | number>> = {}): Pair[] {
  return Object.entries(object).map(([name, value]) => ({ name, value }));
}

/** Whether each line that is not empty has both, and no name stands there twice. */
export function isWhole(pairs: readonly Pair[]): boolean {
  const filled = pairs.map(trimmed).filter((pair) => !isEmpty(pair));
  const names = new Set(filled.map(({ name }) => name));
  return names.size === filled.length && filled.every(({ name, value }) => name && value);
}

export function textsOf(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(linesOf(pairs).map(({ name, value }) => [name, String(value)]));
}

export function numbersOf(pairs: readonly Pair[]): Record<string, number> {
  return Object.fromEntries(linesOf(pairs).map(({ name, value }) => [name, Number(value)]));
}

function linesOf(pairs: readonly Pair[]): readonly Pair[] {
  return pairs.map(trimmed).filter((pair) => !isEmpty(pair));
}

function trimmed({ name, value }: Pair): Pair {
  return { name: name.trim(), value: typeof value === 'string' ? value.trim() : value };
}

function isEmpty({ name, value }: Pair): boolean {
  return name === '' && (value === null || value === '');
}
