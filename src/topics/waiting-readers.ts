import type { Clock } from '../platform.ts';
import { WAITING_READERS_MAX } from './limits.ts';
import type { Matcher } from './scan.ts';
import { settledWithin } from './timeout.ts';

interface Reader {
  matches: Matcher;
  wake(): void;
}

/** Long polls: reads that wait for an event to come. */
export class WaitingReaders {
  readonly #clock: Clock;
  readonly #readers = new Set<Reader>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many wait. */
  get size(): number {
    return this.#readers.size;
  }

  /** Resolves when an event that matches may have come; false: none within `ms`, or too many wait already. */
  async wait(matches: Matcher, ms: number): Promise<boolean> {
    if (this.#readers.size >= WAITING_READERS_MAX) {
      return false;
    }
    const reader: Reader = { matches, wake: () => {} };
    const woken = new Promise<void>((resolve) => {
      reader.wake = resolve;
    });
    this.#readers.add(reader);
    try {
      return await settledWithin(this.#clock, woken, ms);
    } finally {
      this.#readers.delete(reader);
    }
  }

  /** Wakes the readers that one of these events concerns. */
  arrived(events: readonly string[]): void {
    for (const reader of this.#readers) {
      const { matches } = reader;
      if (matches === null || events.some(matches)) {
        reader.wake();
      }
    }
  }

  wakeAll(): void {
    for (const reader of this.#readers) {
      reader.wake();
    }
  }
}
