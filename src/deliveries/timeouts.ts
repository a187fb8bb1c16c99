import type { Clock } from '../platform.ts';

interface Running {
  /** When it was started. */
  at: number;
  end: () => void;
}

/**
 * Timeouts of one length that share a timer: they end in the order in which they were started, so that one sleep at a time
 * is enough. A timer for each request is a good part of what the request costs, and nearly all of them end unneeded.
 */
export class Timeouts {
  readonly #clock: Clock;
  readonly #ms: number;
  /** In the order of their start. */
  readonly #running = new Set<Running>();
  #sleeping = false;
  /** Of requests that have ended by themselves. */
  readonly #spare: AbortController[] = [];

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Calls `end` when the time is over, unless the function it answers has been called before. */
  start(end: () => void): () => void {
    const running = { at: this.#clock.now(), end };
    this.#running.add(running);
    if (!this.#sleeping) void this.#sleep(running.at);
    return () => {
      this.#running.delete(running);
    };
  }

  /** What can end one request. To make one costs a tenth of the request: give it back when that has ended by itself. */
  takeAbort(): AbortController {
    return this.#spare.pop() ?? new AbortController();
  }

  giveBack(abort: AbortController): void {
    this.#spare.push(abort);
  }

  /** Sleeps for those that were started at `at`, then as much longer as the next ones were started later. */
  async #sleep(at: number): Promise<void> {
    this.#sleeping = true;
    for (let ms = this.#ms; ; ) {
      await this.#clock.sleep(ms);
      for (const running of this.#running) {
        if (running.at !== at) break;
        this.#running.delete(running);
        running.end();
      }
      const [next] = this.#running;
      if (next === undefined) break;
      const later = next.at - at;
      // A clock that was corrected between the two must not end one early.
      ms = later >= 0 && later <= this.#ms ? later : this.#ms;
      at = next.at;
    }
    this.#sleeping = false;
  }
}
