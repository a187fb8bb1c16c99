import { CHORE_RETRY_FIRST_MS, CHORE_RETRY_MAX_MS, CHORE_STEP_MAX_MS, WATCHDOG_MS } from './limits.ts';

/** Work towards D1 or the logs that is owed by rows and tried until it succeeds. */
export interface Chore {
  name: string;
  /** When it has to be done, from the tables; null: there is nothing to do. */
  owed(now: number): number | null;
  /** One bounded step; false if nothing was done. @throws if D1 or a log fails */
  step(): Promise<boolean>;
}

export interface ChoresParts {
  now(): number;
  /** Has it settled within that time? */
  within(promise: Promise<unknown>, ms: number): Promise<boolean>;
  background(task: Promise<unknown>): void;
  /** A chore came to an end, however: arm for what is left, start what it made possible. */
  ended(): void;
  failed(chore: string, delayMs: number, error: unknown): void;
}

interface State {
  running: boolean;
  /** After a failure: not before then. */
  until: number;
  delay: number;
}

/** Runs chores beside each other, each by itself: one that hangs or fails delays no other, and waits 1 s, doubling to 30 s. */
export class Chores {
  readonly #parts: ChoresParts;
  readonly #chores: { chore: Chore; state: State }[];

  constructor(parts: ChoresParts, chores: Chore[]) {
    this.#parts = parts;
    this.#chores = chores.map((chore) => ({ chore, state: { running: false, until: 0, delay: 0 } }));
  }

  /** When a chore has to be looked at next; null: nothing is owed. */
  nextDue(now: number): number | null {
    let earliest: number | null = null;
    for (const { chore, state } of this.#chores) {
      const owed = chore.owed(now);
      if (owed === null) continue;
      const due = state.running ? Math.max(owed, now + WATCHDOG_MS) : Math.max(owed, waitUntil(state, now));
      earliest = Math.min(earliest ?? due, due);
    }
    return earliest;
  }

  /** Starts what is due, without waiting for it. Never throws. */
  run(): void {
    for (const { chore, state } of this.#chores) {
      if (this.#isDue(chore, state)) this.#parts.background(this.#run(chore, state));
    }
  }

  #isDue(chore: Chore, state: State): boolean {
    const now = this.#parts.now();
    const owed = state.running ? null : chore.owed(now);
    return owed !== null && Math.max(owed, waitUntil(state, now)) <= now;
  }

  async #run(chore: Chore, state: State): Promise<void> {
    try {
      while (this.#isDue(chore, state)) {
        state.running = true;
        const step = chore.step();
        // The step may still come back after it was given up: what it then writes is guarded by what it read.
        if (!(await this.#parts.within(step, CHORE_STEP_MAX_MS))) throw new Error('No answer in time.');
        const done = await step;
        state.running = false;
        state.delay = 0;
        state.until = 0;
        if (!done) break;
      }
    } catch (error) {
      state.delay = Math.min(Math.max(state.delay * 2, CHORE_RETRY_FIRST_MS), CHORE_RETRY_MAX_MS);
      state.until = this.#parts.now() + state.delay;
      this.#parts.failed(chore.name, state.delay, error);
    } finally {
      state.running = false;
    }
    this.#parts.ended();
  }
}

/** When a wait ends; one that lies further away than it was made for was made before the clock jumped back. */
export function waitUntil(wait: { until: number; delay: number } | undefined, now: number): number {
  return wait === undefined || wait.until - now > wait.delay ? 0 : wait.until;
}
