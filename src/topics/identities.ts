import type { Recorded, SequencedEvent } from './append.ts';
import { hashesAt } from './batch.ts';
import { type IdentityEntry, textOf } from './identity-pages.ts';
import { IdentityRuns } from './identity-runs.ts';
import { EVENTS_A_RUN_WORK } from './limits.ts';
import type { LogState } from './log-state.ts';
import type { MetaRow, Statements } from './sql.ts';

/**
 * Which pairs of source and id were recorded in the deduplication window. The youngest events are looked up in memory, which
 * is read from their segments when first needed. When there are enough of them they are *sealed*: their identities become a
 * run (identity-runs.ts), because a table sorted by hash would be written in as many places as it is given entries.
 */
export class Identities {
  readonly #sql: Statements;
  readonly #state: LogState;
  readonly #runs: IdentityRuns;
  readonly #youngMax: number;
  /** By identity, of each the last. */
  #young: Map<string, IdentityEntry> | null = null;

  constructor(sql: Statements, state: LogState, youngMax: number) {
    this.#sql = sql;
    this.#state = state;
    this.#runs = new IdentityRuns(sql, state);
    this.#youngMax = youngMax;
  }

  /** What was recorded last under an identity; undefined if nothing was inside the window. */
  find(identity: string, now: number): Recorded | undefined {
    const { created_at, window_ms, removed_through } = this.#state.meta();
    if (created_at === null) return undefined;
    const entry = this.#loaded().get(identity) ?? this.#runs.find(identity, now, window_ms);
    // What went with a deleted topic is forgotten with it.
    const counts = entry !== null && entry.sequence > removed_through && now - entry.recordedAt < window_ms;
    return counts ? entry : undefined;
  }

  /**
   * Seals the young events, all up to `lastSequence`, where those to come would be too many with them; does some of the work
   * on the runs. Part of the append's transaction; answers the columns of `meta` that changed.
   */
  makeRoom(coming: number, lastSequence: number, now: number, windowMs: number): Partial<MetaRow> {
    const young = lastSequence - this.#state.meta().sealed_through;
    const sealed = young > 0 && young + coming > this.#youngMax ? this.#seal(lastSequence) : {};
    for (let pieces = 1 + Math.floor(coming / EVENTS_A_RUN_WORK); pieces > 0; pieces -= 1) {
      if (!this.#runs.work(now, windowMs)) break;
    }
    return sealed;
  }

  /** These were committed. */
  committed(events: readonly SequencedEvent[], recordedAt: number): void {
    const [first] = events;
    if (first === undefined) return;
    // Everything before them may have been sealed on this occasion.
    if (this.#state.meta().sealed_through === first.sequence - 1) this.#young = new Map();
    const young = this.#loaded();
    for (const { sequence, identity, content } of events) {
      young.set(identity, { identity, content, sequence, recordedAt });
    }
  }

  /** Forgets everything, where the topic does not exist. Part of a transaction. */
  clear(): void {
    this.#sql.clearRuns();
    this.forget();
  }

  /** Forgets what memory holds of the tables. */
  forget(): void {
    this.#young = null;
    this.#runs.forget();
  }

  #seal(lastSequence: number): Partial<MetaRow> {
    const { removed_through } = this.#state.meta();
    const young = [...this.#loaded().values()];
    this.#runs.add(young.filter(({ sequence }) => sequence > removed_through));
    const columns = { sealed_through: lastSequence };
    this.#sql.setMeta(columns);
    return columns;
  }

  #loaded(): Map<string, IdentityEntry> {
    this.#young ??= this.#load();
    return this.#young;
  }

  #load(): Map<string, IdentityEntry> {
    const young = new Map<string, IdentityEntry>();
    for (const segment of this.#sql.hashesAfter(this.#state.meta().sealed_through)) {
      const hashes = textOf(new Uint8Array(segment.hashes));
      for (let index = 0; index < segment.count; index += 1) {
        const sequence = segment.first + index;
        const { identity, content } = hashesAt(hashes, index);
        young.set(identity, { identity, content, sequence, recordedAt: segment.recorded_at });
      }
    }
    return young;
  }
}
