// Rows as CSV that spreadsheets read as text: never as a formula that somebody else wrote.

export type Cell = string | number | boolean | null | undefined;

export function csvOf(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [header, ...rows].map((row) => row.map(cellOf).join(',')).join('\r\n') + '\r\n';
}

function cellOf(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  // The last four are full-width forms, which some read as the others where people write Chinese.
  const isFormula =
    /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(value) && !/^[+-]?\d+(\.\d+)?$/.test(value);
  const text = isFormula ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Gives the browser a file to keep. The mark at its start tells Excel that it is UTF-8. */
export function download(name: string, text: string, type = 'text/csv'): void {
  const address = URL.createObjectURL(
    new Blob(['\ufeff', text], { type: `${type};charset=utf-8` }),
  );
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
