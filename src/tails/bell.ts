/** What a loop waits at, and what wakes it: no timer, and nothing to take back. One waits at a time. */
export class Bell {
  #wake: (() => void) | null = null;

  /** Resolves at the next ring. */
  rung(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Wakes the one that waits; nothing where nobody does. */
  ring(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
