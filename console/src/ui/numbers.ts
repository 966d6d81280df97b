// Counts, shares and durations in words.

const made = new Map<string, Intl.NumberFormat>();

/** Kept, since making one takes longer than a hundred uses of it, and each axis has many labels. */
function formatOf(language: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  const key = language + JSON.stringify(options);
  const format = made.get(key) ?? new Intl.NumberFormat(language, options);
  made.set(key, format);
  return format;
}

/** `1234567` → `1,234,567`. */
export function formatCount(value: number | null | undefined, language: string): string {
  return value === null || value === undefined ? '–' : formatOf(language).format(value);
}

/** `1234567` → `1.2M`, for tiles and axes. */
export function formatShort(value: number, language: string): string {
  return formatOf(language, {
    notation: 'compact',
    maximumFractionDigits: 1,
  }).format(value);
}

/** `0.1234` → `12.3%`. */
export function formatShare(value: number, language: string): string {
  return formatOf(language, { style: 'percent', maximumFractionDigits: 1 }).format(value);
}

/** Milliseconds as ms, or from a second on as s. */
export function formatDuration(ms: number, language: string): string {
  const isLong = ms >= 1000;
  return formatOf(language, {
    style: 'unit',
    unit: isLong ? 'second' : 'millisecond',
    unitDisplay: 'narrow',
    maximumFractionDigits: isLong ? 2 : 0,
  }).format(isLong ? ms / 1000 : ms);
}

/** `0.126` → `+12.6%`: how much more, or less. */
export function formatChange(value: number, language: string): string {
  return formatOf(language, {
    style: 'percent',
    maximumFractionDigits: 1,
    signDisplay: 'exceptZero',
  }).format(value);
}
