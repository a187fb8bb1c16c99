import type { LeaseRow } from './rows.ts';

/**
 * The rows of all leases as they are on disk, kept in step with what is written: they are few, and nearly all that a transition
 * asks is about them. Whoever was given a row keeps it as it was.
 */
export class LeaseRows {
  #rows: Map<number, LeaseRow> | null = null;

  /** By id. `read` gives those on disk, where they are not known yet. */
  all(read: () => LeaseRow[]): ReadonlyMap<number, LeaseRow> {
    this.#rows ??= new Map(read().map((row) => [row.id, row]));
    return this.#rows;
  }

  put(row: LeaseRow): void {
    this.#rows?.set(row.id, row);
  }

  change(id: number, columns: Partial<LeaseRow>): void {
    const row = this.#rows?.get(id);
    if (row !== undefined) this.#rows?.set(id, { ...row, ...columns });
  }

  delete(id: number): void {
    this.#rows?.delete(id);
  }

  clear(): void {
    this.#rows = null;
  }
}
