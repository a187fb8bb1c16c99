import { EVENT_HASHES_BYTES } from '../events/hashes.ts';
import { type Probe, probeAt, type Recorded } from './identity-pages.ts';
import { IdentityRuns } from './identity-runs.ts';
import { EVENTS_A_RUN_WORK, YOUNG_BUSY_FACTOR } from './limits.ts';
import type { LogState } from './log-state.ts';
import type { MetaRow } from './rows.ts';
import type { Statements } from './sql.ts';
import { YoungIdentities } from './young-identities.ts';

/**
 * Records an event of some under this sequence, unless its identity was recorded inside the window: then it answers as what.
 * Whoever does not store the event takes it back.
 */
export type RecordEvent = (index: number, sequence: number) => Recorded | null;

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
  #young: YoungIdentities | null = null;
  /** Events since the object started. */
  #taken = 0;

  constructor(sql: Statements, state: LogState, youngMax: number) {
    this.#sql = sql;
    this.#state = state;
    this.#runs = new IdentityRuns(sql, () => this.#secret);
    this.#youngMax = youngMax;
  }

  /** What records the events of a request, with these hashes and from sequence `first` on, one after the other, at once. */
  recorder(hashes: Uint8Array, first: number, now: number): RecordEvent {
    const probes = Array.from({ length: hashes.length / EVENT_HASHES_BYTES }, (_, index) =>
      probeAt(hashes, index * EVENT_HASHES_BYTES, this.#secret),
    );
    const mayBeInRuns = this.#runs.mayHold(probes);
    return (index, sequence) => {
      const probe = probes[index];
      if (probe === undefined) throw new Error(`There is no event ${index} among these.`);
      const before = this.#find(probe, now, mayBeInRuns[index] === 1, first);
      if (before === null) this.#loaded().add(probe, hashes, index * EVENT_HASHES_BYTES, sequence, now);
      return before;
    };
  }

  /** Takes back what was recorded behind a sequence. */
  takeBack(sequence: number): void {
    this.#loaded().takeBack(sequence);
  }

  /**
   * Seals the young events, all up to `lastSequence`, where those to come would be too many with them; does some of the work
   * on the runs. Part of the append's transaction; answers the columns of `meta` that changed.
   */
  makeRoom(coming: number, lastSequence: number, now: number, windowMs: number): Partial<MetaRow> {
    const young = lastSequence - this.#state.meta().sealed_through;
    // Whoever starts next reads no more of them than were taken here.
    const youngMax = this.#youngMax * Math.min(YOUNG_BUSY_FACTOR, Math.max(1, this.#taken / this.#youngMax));
    const sealed = young > 0 && young + coming > youngMax ? this.#seal(lastSequence) : {};
    this.#taken += coming;
    for (let pieces = 1 + Math.floor(coming / EVENTS_A_RUN_WORK); pieces > 0; pieces -= 1) {
      if (!this.#runs.work(now, windowMs)) break;
    }
    return sealed;
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

  #find(probe: Probe, now: number, mayBeInRuns: boolean, first: number): Recorded | null {
    const { created_at, window_ms, removed_through } = this.#state.meta();
    // Of a topic that is being made there is nothing but what comes with it.
    const windowMs = created_at === null ? Infinity : window_ms;
    const entry = this.#loaded().find(probe) ?? (mayBeInRuns ? this.#runs.find(probe, now, windowMs) : null);
    if (entry === null) return null;
    // What went with a deleted topic is forgotten with it; what a request brings twice is one event, however short the window is.
    const counts = entry.sequence > removed_through && now - entry.recordedAt < windowMs;
    return counts || entry.sequence >= first ? entry : null;
  }

  #seal(lastSequence: number): Partial<MetaRow> {
    const young = this.#loaded();
    young.removeThrough(this.#state.meta().removed_through);
    this.#runs.add(young.removeThrough(lastSequence));
    const columns = { sealed_through: lastSequence };
    this.#sql.setMeta(columns);
    return columns;
  }

  #loaded(): YoungIdentities {
    this.#young ??= this.#load();
    return this.#young;
  }

  #load(): YoungIdentities {
    const young = new YoungIdentities(this.#secret);
    for (const segment of this.#sql.hashesAfter(this.#state.meta().sealed_through)) {
      const hashes = new Uint8Array(segment.hashes);
      for (let index = 0; index < segment.count; index += 1) {
        const at = index * EVENT_HASHES_BYTES;
        young.add(probeAt(hashes, at, this.#secret), hashes, at, segment.first + index, segment.recorded_at);
      }
    }
    return young;
  }

  get #secret(): number {
    return this.#state.meta().index_secret;
  }
}
