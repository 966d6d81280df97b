// Counts, shares and durations in words.

/** `1234567` → `1,234,567`. */
export function formatCount(value: number | null | undefined, language: string): string {
  return value === null || value === undefined
    ? '–'
    : new Intl.NumberFormat(language).format(value);
}

/** `1234567` → `1.2M`, for tiles and axes. */
export function formatShort(value: number, language: string): string {
  return new Intl.NumberFormat(language, {
    notation: 'compact',
    maximumFractionDigits: 1,
  }).format(value);
}

/** `0.1234` → `12.3%`. */
export function formatShare(value: number, language: string): string {
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(
    value,
  );
}

/** Milliseconds as ms, or from a second on as s. */
export function formatDuration(ms: number, language: string): string {
  const isLong = ms >= 1000;
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: isLong ? 'second' : 'millisecond',
    unitDisplay: 'narrow',
    maximumFractionDigits: isLong ? 2 : 0,
  }).format(isLong ? ms / 1000 : ms);
}

/** `0.126` → `+12.6%`: how much more, or less. */
export function formatChange(value: number, language: string): string {
  return new Intl.NumberFormat(language, {
    style: 'percent',
    maximumFractionDigits: 1,
    signDisplay: 'exceptZero',
  }).format(value);
}
