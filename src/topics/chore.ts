import type { Clock, Log } from '../platform.ts';
import { CHORE_RETRY_MAX_MS, CHORE_RETRY_MS, CHORE_SAFETY_MS } from './limits.ts';

export interface ChoreParts {
  /** What could not be done, for the log: "The topic could not be announced". */
  complaint: string;
  topic: string;
  clock: Clock;
  log: Log;
  /** Whether there is something to do, from the tables. */
  needed(): boolean;
  /** Does it, or as much of it as is good at once; may be repeated after a crash at any point. */
  work(): Promise<void>;
}

/** Work that the alarm does until it is done: one at a time, again after a failure, after 1 s doubling to a minute. */
export class Chore {
  readonly #parts: ChoreParts;
  #running: Promise<void> | null = null;
  #tries = 0;
  #retryAt = 0;

  constructor(parts: ChoreParts) {
    this.#parts = parts;
  }

  /** Does the work if it is needed and due; the promise resolves when it ends, however. Null: nothing to do now. */
  run(): Promise<void> | null {
    if (this.#running === null && (this.#dueAt(this.#parts.clock.now()) ?? Infinity) <= this.#parts.clock.now()) {
      this.#running = this.#run();
    }
    return this.#running;
  }

  /** When to look at it next; null: nothing to do. */
  nextDue(now: number): number | null {
    return this.#running === null ? this.#dueAt(now) : now + CHORE_SAFETY_MS;
  }

  #dueAt(now: number): number | null {
    // Never further away than the longest wait, whatever the clock has done since.
    return this.#parts.needed() ? Math.min(Math.max(this.#retryAt, now), now + CHORE_RETRY_MAX_MS) : null;
  }

  async #run(): Promise<void> {
    const { work, log, clock, complaint, topic } = this.#parts;
    try {
      await work();
      this.#tries = 0;
      this.#retryAt = 0;
    } catch (error) {
      this.#retryAt = clock.now() + Math.min(CHORE_RETRY_MS * 2 ** this.#tries, CHORE_RETRY_MAX_MS);
      this.#tries += 1;
      log('warn', `${complaint}; it will be tried again.`, { topic, tries: this.#tries, error });
    } finally {
      this.#running = null;
    }
  }
}
