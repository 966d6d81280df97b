/** One stretch between a start and its stop: whoever waits within it is woken when it ends. */

export class Life {
  #isRunning = true;
  readonly #wakers = new Set<() => void>();

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Until the time is over, or this life, or somebody wakes whoever sleeps. */
  async sleep(ms: number): Promise<void> {
    if (!this.#isRunning || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      // A timer takes no more than 31 bits.
      const timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1));
      this.#wakers.add(wake);
    });
  }

  wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  end(): void {
    this.#isRunning = false;
    this.wake();
  }
}
