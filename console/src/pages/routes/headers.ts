// The headers that a route changes: rows in the form, three collections in the API.

export const DEEDS = ['add', 'remove', 'rename'] as const;

export interface HeaderRow {
  deed: (typeof DEEDS)[number];
  name: string;
  /** What is added, or the new name. */
  value: string;
}

interface Headers {
  readonly add: Readonly<Record<string, string | null>>;
  readonly remove: readonly string[];
  readonly rename: Readonly<Record<string, string>>;
}

export const NEW_HEADER: HeaderRow = { deed: 'add', name: '', value: '' };

export function rowsOf(headers: Headers): HeaderRow[] {
  return [
    ...headers.remove.map((name) => ({ deed: 'remove' as const, name, value: '' })),
    ...Object.entries(headers.rename).map(([name, value]) => ({
      deed: 'rename' as const,
      name,
      value,
    })),
    ...Object.entries(headers.add).map(([name, value]) => ({
      deed: 'add' as const,
      name,
      value: value ?? '',
    })),
  ];
}

/** An empty value of a header whose value the server withholds is sent as null: it is kept. */
export function headersOf(rows: readonly HeaderRow[], before?: Headers) {
  const add: [string, string | null][] = [];
  const remove: string[] = [];
  const rename: [string, string][] = [];
  for (const row of rows) {
    const name = row.name.trim();
    const value = row.value.trim();
    if (row.deed === 'remove') remove.push(name);
    else if (row.deed === 'rename') rename.push([name, value]);
    else add.push([name, value === '' && isWithheld(name, before) ? null : value]);
  }
  return { add: Object.fromEntries(add), remove, rename: Object.fromEntries(rename) };
}

export function isWithheld(name: string, before: Headers | undefined): boolean {
  const known = name.trim().toLowerCase();
  return before !== undefined && Object.hasOwn(before.add, known) && before.add[known] === null;
}
