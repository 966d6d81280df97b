// Small choices that a browser remembers; a browser that forbids it forgets them, nothing more.

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(`tallygate.${name}`);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`tallygate.${name}`, value);
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
}
