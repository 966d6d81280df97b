/** Which events came before. It remembers the last thousand, so a page may stay open for weeks. */
import type { UsageEvent } from './types.js';

export const SEEN_MAX = 1_000;

export class Seen {
  readonly #names = new Set<string>();

  has(event: UsageEvent): boolean {
    return this.#names.has(nameOf(event));
  }

  add(event: UsageEvent): void {
    this.#names.add(nameOf(event));
    if (this.#names.size > SEEN_MAX) {
      for (const oldest of this.#names) {
        this.#names.delete(oldest);
        break;
      }
    }
  }

  get size(): number {
    return this.#names.size;
  }
}

function nameOf(event: UsageEvent): string {
  return `${event.conversationId}\0${event.messageId}\0${event.totalTokens}`;
}
