// The hours of a week as cells and as steps of colour.

export const HOURS = 24;
export const WEEKDAYS = 7;

export interface HeatCell {
  readonly weekday: number;
  readonly hour: number;
  readonly uses: number;
}

/** Every hour of the week once, Monday first; what the answer lacks counts as nothing. */
export function cellsOf(cells: readonly (readonly number[])[]): readonly HeatCell[] {
  return Array.from({ length: WEEKDAYS * HOURS }, (_, index) => {
    const weekday = Math.floor(index / HOURS);
    const hour = index % HOURS;
    return { weekday, hour, uses: cells[weekday]?.[hour] ?? 0 };
  });
}

export interface HeatStep {
  readonly min: number;
  readonly max: number;
}

/**
 * Steps of colour that share the hours with uses evenly among them: one busy hour must not make
 * all others look the same. The first step is that of no use at all.
 */
export function stepsOf(cells: readonly HeatCell[], count: number): readonly HeatStep[] {
  const uses = cells.map((cell) => cell.uses).filter((one) => one > 0);
  uses.sort((a, b) => a - b);
  const tops = Array.from({ length: count }, (_, step) => {
    const last = Math.ceil(((step + 1) * uses.length) / count) - 1;
    return uses[last];
  });
  const distinct = [...new Set(tops.filter((top) => top !== undefined))];
  const steps = distinct.map((max, index) => ({ min: (distinct[index - 1] ?? 0) + 1, max }));
  return [{ min: 0, max: 0 }, ...steps];
}

/** `0` → Monday in the reader's language. 2024-01-01 was one. */
export function weekdayName(weekday: number, language: string, width: 'short' | 'long'): string {
  const day = new Date(Date.UTC(2024, 0, 1 + weekday));
  return new Intl.DateTimeFormat(language, { weekday: width, timeZone: 'UTC' }).format(day);
}

/** `7` → `07:00`. */
export function hourName(hour: number): string {
  return `${String(hour).padStart(2, '0')}:00`;
}
