import type { Recorded, SequencedEvent } from './append.ts';
import { GENERATION_MIN_MS } from './limits.ts';
import type { LogState } from './log-state.ts';
import type { NewEvent } from './protocol.ts';
import type { Generation, MetaRow, Statements } from './sql.ts';

/**
 * Which pairs of source and id were recorded in the deduplication window. They lie in two tables: new ones go to the
 * current one, and when that is a window old, the other, which is older still, is dropped and becomes the current one. So
 * each is kept for at least a window and none is ever deleted by itself; how old one is is checked where it is found.
 */
export class Identities {
  readonly #sql: Statements;
  readonly #state: LogState;

  constructor(sql: Statements, state: LogState) {
    this.#sql = sql;
    this.#state = state;
  }

  /** Those of the events that were recorded inside the window, by identity. */
  recorded(events: readonly NewEvent[], now: number): Map<string, Recorded> {
    const meta = this.#state.meta();
    const found = new Map<string, Recorded>();
    if (meta.created_at === null || events.length === 0) {
      return found;
    }
    for (const row of this.#sql.findIdentities(events.map((event) => event.identity))) {
      const identity = row.identity.toLowerCase();
      // What went with a deleted topic is forgotten with it.
      const counts = row.sequence > meta.removed_through && now - row.recorded_at < meta.window_ms;
      if (counts && row.sequence > (found.get(identity)?.sequence ?? 0)) {
        found.set(identity, { sequence: row.sequence, content: row.content.toLowerCase() });
      }
    }
    return found;
  }

  /**
   * Keeps those of new events, whose sequences go on from `first` without gaps. Part of the append's transaction; answers
   * the columns of `meta` that changed.
   */
  keep(first: number, events: readonly SequencedEvent[], now: number, windowMs: number): Partial<MetaRow> {
    const rotated = this.#rotate(now, windowMs);
    this.#sql.addIdentities(
      generationOf(rotated.dedup_current ?? this.#state.meta().dedup_current),
      first,
      events.map(({ event }) => event.identity + event.content),
      now,
    );
    return rotated;
  }

  /** Forgets everything, where the topic does not exist. */
  clear(): void {
    this.#sql.clearIdentities(0);
    this.#sql.clearIdentities(1);
  }

  #rotate(now: number, windowMs: number): Partial<MetaRow> {
    const { dedup_current, dedup_since } = this.#state.meta();
    if (now - dedup_since < Math.max(windowMs, GENERATION_MIN_MS)) {
      return {};
    }
    const next: Generation = generationOf(dedup_current) === 0 ? 1 : 0;
    const columns = { dedup_current: next, dedup_since: now };
    this.#sql.clearIdentities(next);
    this.#sql.setMeta(columns);
    return columns;
  }
}

function generationOf(column: number): Generation {
  return column === 0 ? 0 : 1;
}
