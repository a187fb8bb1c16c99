import type { MetaRow } from './rows.ts';
import type { Head } from './segments.ts';
import type { Statements } from './sql.ts';

/**
 * What a log knows about itself, read from its tables when first asked for and kept in memory. Whoever changes the tables
 * does so in a transaction and tells this afterwards; `forget` after a failure makes it read again.
 */
export class LogState {
  readonly #sql: Statements;
  #meta: MetaRow | null = null;
  #head: Head | null = null;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  meta(): MetaRow {
    this.#meta ??= this.#sql.meta();
    return this.#meta;
  }

  head(): Head {
    if (this.#head === null) {
      const last = this.#sql.lastSegment();
      const { removed_through, removed_recorded_at } = this.meta();
      this.#head =
        last === null
          ? { lastSequence: removed_through, recordedAt: removed_recorded_at, bytes: 0 }
          : {
              lastSequence: last.first + last.count - 1,
              recordedAt: last.recorded_at,
              bytes: last.bytes_before + last.bytes,
            };
    }
    return this.#head;
  }

  get exists(): boolean {
    return this.meta().created_at !== null;
  }

  get lastSequence(): number {
    return this.head().lastSequence;
  }

  /** The first sequence that can be read; one past the last in an empty topic. */
  get firstSequence(): number {
    return this.exists ? this.meta().removed_through + 1 : this.lastSequence + 1;
  }

  /** After a commit. */
  moved(head: Head): void {
    this.#head = head;
  }

  /** After a commit. */
  changed(columns: Partial<MetaRow>): void {
    this.#meta = { ...this.meta(), ...columns };
  }

  forget(): void {
    this.#meta = null;
    this.#head = null;
  }
}
