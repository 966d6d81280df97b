// Whether a client's address is within the networks that a token may be used from.

interface Address {
  readonly bits: bigint;
  readonly length: 32 | 128;
}

const MAPPED = 0xffffn; // ::ffff:a.b.c.d is a.b.c.d

export function isAddressAllowed(text: string, networks: readonly string[]): boolean {
  const address = readAddress(text);
  return address !== null && networks.some((network) => isWithin(unmapped(address), network));
}

function isWithin(address: Address, network: string): boolean {
  const [start, digits] = network.split('/', 2);
  const base = readAddress(start ?? '');
  if (base === null || base.length !== address.length) return false;
  const kept = digits === undefined ? base.length : Number(digits);
  if (!Number.isInteger(kept) || kept < 0 || kept > base.length) return false;
  const shift = BigInt(base.length - kept);
  return base.bits >> shift === address.bits >> shift;
}

function unmapped(address: Address): Address {
  if (address.length === 32 || address.bits >> 32n !== MAPPED) return address;
  return { bits: address.bits & 0xffffffffn, length: 32 };
}

function readAddress(text: string): Address | null {
  const bits = text.includes(':') ? readSix(text) : readFour(text);
  if (bits === null) return null;
  return { bits, length: text.includes(':') ? 128 : 32 };
}

function readFour(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return null;
  const numbers = parts.map(Number);
  if (numbers.some((number) => number > 255)) return null;
  return numbers.reduce((bits, number) => (bits << 8n) | BigInt(number), 0n);
}

function readSix(text: string): bigint | null {
  const plain = withoutDots(text);
  if (plain === null) return null;
  const halves = plain.split('::');
  if (halves.length > 2) return null;
  const [before, after] = halves.map((half) => (half === '' ? [] : half.split(':')));
  if (before === undefined) return null;
  const missing = 8 - before.length - (after?.length ?? 0);
  if (after === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...before, ...Array<string>(missing).fill('0'), ...(after ?? [])];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

/** The last four bytes may be written with dots; here they are not any more. */
function withoutDots(text: string): string | null {
  if (!text.includes('.')) return text;
  const cut = text.lastIndexOf(':') + 1;
  const bits = readFour(text.slice(cut));
  if (bits === null) return null;
  return `${text.slice(0, cut)}${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}
