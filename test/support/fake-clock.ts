import type { Clock } from '../../src/platform.ts';

interface Sleeper {
  due: number;
  wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: number;
  #sleepers: Sleeper[] = [];

  /** 2026-01-01T00:00:00Z unless told. */
  constructor(now = 1_767_225_600_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      this.#sleepers.push({ due: this.#now + Math.max(0, ms), wake });
    });
  }

  /** How many sleep. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves on by `ms`, waking whoever is due in the order of their times, each with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const next = this.#sleepers.filter((sleeper) => sleeper.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) {
        break;
      }
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next);
      this.#now = Math.max(this.#now, next.due);
      next.wake();
    }
    this.#now = Math.max(this.#now, end);
    await settled();
  }

  /** Jumps without waking anyone, as a clock that is corrected does; may go back. Sleepers keep how long they still sleep. */
  jump(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers) {
      sleeper.due += ms;
    }
  }
}

/** Resolves when every promise that can go on without time has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
