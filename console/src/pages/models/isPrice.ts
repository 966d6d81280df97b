// What counts as a price as it is typed: a decimal, not below nothing. The server keeps every digit.

export function isPrice(typed: string, isOptional = false): boolean {
  const text = typed.trim();
  return text === '' ? isOptional : /^\d+(\.\d+)?$/.test(text);
}
