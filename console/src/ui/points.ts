// Points in words: whole micro-points, never a float, grouped as the reader's language does.

const MICROS = 1_000_000n;
const FRACTION_DIGITS = 6;

/** `-1234567890` → `-1,234.56789`; `digits` is how many after the point are kept, rounded down. */
export function formatMicros(
  micros: string | bigint,
  language: string,
  digits: number = FRACTION_DIGITS,
): string {
  const value = BigInt(micros);
  const size = value < 0n ? -value : value;
  const whole = new Intl.NumberFormat(language).format(size / MICROS);
  const fraction = (size % MICROS)
    .toString()
    .padStart(FRACTION_DIGITS, '0')
    .slice(0, digits)
    .replace(/0+$/, '');
  const sign = value < 0n ? '−' : '';
  return fraction ? `${sign}${whole}${pointOf(language)}${fraction}` : `${sign}${whole}`;
}

/** Points as somebody types them, as micro-points; null when that is no amount. */
export function microsOf(typed: string): string | null {
  const found = /^\s*(-?)(\d+)(?:\.(\d{1,6}))?\s*$/.exec(typed);
  if (!found) return null;
  const [, sign, whole, fraction = ''] = found;
  const micros = BigInt(whole ?? '0') * MICROS + BigInt(fraction.padEnd(FRACTION_DIGITS, '0'));
  return (sign === '-' ? -micros : micros).toString();
}

/** Micro-points as a plain decimal, for bodies and for CSV: no grouping, nothing lost. */
export function plainPoints(micros: string | bigint): string {
  const value = BigInt(micros);
  const size = value < 0n ? -value : value;
  const fraction = (size % MICROS).toString().padStart(FRACTION_DIGITS, '0').replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${size / MICROS}${fraction ? `.${fraction}` : ''}`;
}

function pointOf(language: string): string {
  const parts = new Intl.NumberFormat(language).formatToParts(1.5);
  return parts.find((part) => part.type === 'decimal')?.value ?? '.';
}
