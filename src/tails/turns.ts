import { Bell } from './bell.ts';
import type { ClosingCode } from './closing.ts';
import type { TailStep, TailSteps } from './tail.ts';

/** What the reader is to be given next. */
export type Turn = { kind: 'step'; step: TailStep } | { kind: 'quiet' } | { kind: 'end'; code: ClosingCode };

/** A tail's steps as they come, until it ends or is ended. */
export class Turns {
  readonly #steps: TailSteps;
  readonly #stop: AbortController;
  readonly #failed: (error: unknown) => void;
  #asked = false;
  #next: Turn | null = null;
  #end: Extract<Turn, { kind: 'end' }> | null = null;
  readonly #bell = new Bell();

  /** @param stop what the steps are stopped by */
  constructor(steps: TailSteps, stop: AbortController, failed: (error: unknown) => void) {
    this.#steps = steps;
    this.#stop = stop;
    this.#failed = failed;
  }

  /** Ends the tail; the first end counts. */
  end(code: ClosingCode): void {
    if (this.#end !== null) return;
    this.#end = { kind: 'end', code };
    this.#stop.abort();
    // Those that wait for their next turn end here, the others by `stop`.
    this.#steps.return('done').catch(this.#failed);
    this.#bell.ring();
  }

  /** Ends the wait for the next turn, if one waits for it: that one is `quiet`. */
  beat(): void {
    this.#bell.ring();
  }

  /** The next turn. The step before counts as taken. */
  async next(): Promise<Turn> {
    if (!this.#asked && this.#end === null) {
      this.#asked = true;
      this.#steps.next().then(
        ({ done, value }) => this.#came(done === true ? { kind: 'end', code: value } : { kind: 'step', step: value }),
        (error: unknown) => {
          this.#failed(error);
          this.#came({ kind: 'end', code: 'internal-error' });
        },
      );
    }
    if (this.#next === null && this.#end === null) await this.#bell.rung();
    const turn = this.#end ?? this.#next;
    if (turn === null) return { kind: 'quiet' };
    this.#next = null;
    this.#asked = false;
    return turn;
  }

  #came(turn: Turn): void {
    if (turn.kind === 'end') this.#end ??= turn;
    this.#next = turn;
    this.#bell.ring();
  }
}
