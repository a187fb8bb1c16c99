import type { Operation } from '../../../history/operations.ts';

/** Writes the history down while it happens. Its times are milliseconds of one clock that never goes back. */
export class Recorder {
  readonly operations: Operation[] = [];

  now(): number {
    return performance.now();
  }

  add<T extends Operation>(operation: T): T {
    this.operations.push(operation);
    return operation;
  }
}
