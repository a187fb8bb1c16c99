import type { Operation } from '../history/operations.ts';
import type { Scheduler } from './scheduler.ts';

/** Writes the history down while it happens. Its times are the scheduler's steps. */
export class Recorder {
  readonly operations: Operation[] = [];
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get now(): number {
    return this.#scheduler.steps;
  }

  add(operation: Operation): void {
    this.operations.push(operation);
  }
}
