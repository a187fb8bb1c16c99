import type { Clock } from '../platform.ts';
import { WAIT_SLICE_MS, WAITING_READERS_MAX } from './limits.ts';
import type { Matcher } from './scan.ts';

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

  /** Resolves when an event that matches may have come, or at `deadline`; false: too many wait already. */
  async wait(matches: Matcher, deadline: number): Promise<boolean> {
    if (this.#readers.size >= WAITING_READERS_MAX) {
      return false;
    }
    let woken = false;
    const reader: Reader = { matches, wake: () => {} };
    const signal = new Promise<void>((resolve) => {
      reader.wake = () => {
        woken = true;
        resolve();
      };
    });
    this.#readers.add(reader);
    try {
      for (let left = deadline - this.#clock.now(); !woken && left > 0; left = deadline - this.#clock.now()) {
        await Promise.race([signal, this.#clock.sleep(Math.min(left, WAIT_SLICE_MS))]);
      }
    } finally {
      this.#readers.delete(reader);
    }
    return true;
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
