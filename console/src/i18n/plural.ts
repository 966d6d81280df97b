// English says one thing in another way than several; Chinese does not. The one maker of such texts.

/** `plural(count, '1 key', `${count} keys`)`; a count that is a text is one that is shown so. */
export function plural(count: number | string, one: string, several: string): string {
  return String(count) === '1' ? one : several;
}
