import type { LaneChange, LaneRow } from './rows.ts';

/** Rows kept: of as many lanes as may have leases at once. Most subscriptions have one or a few. */
const ROWS_MAX = 1_000;

/** The counters that a transition may change, as rows.ts has them. */
const COUNTERS = [
  'delivered',
  'filtered',
  'skipped',
  'discarded',
  'dead',
  'failed',
  'in_flight',
  'retrying',
  'held',
] as const satisfies (keyof LaneChange)[];

/** Rows of lanes as they are on disk, kept in step with what is written: they are wide, and every transition asks for one. */
export class LaneRows {
  readonly #rows = new Map<number, LaneRow>();

  get(id: number): LaneRow | null {
    return this.#rows.get(id) ?? null;
  }

  keep(row: LaneRow): void {
    if (this.#rows.size >= ROWS_MAX) this.#rows.clear();
    this.#rows.set(row.id, row);
  }

  /** Follows a write. Whoever was given the row before keeps it as it was. */
  move(id: number, change: LaneChange, columns: Partial<LaneRow>): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    const moved = { ...row, ...columns };
    for (const counter of COUNTERS) moved[counter] += change[counter] ?? 0;
    this.#rows.set(id, moved);
  }

  clear(): void {
    this.#rows.clear();
  }
}
