import type { Core } from './core.ts';
import { UNCOUNTED_ATTEMPTS_MAX, UNCOUNTED_ROWS_MAX } from './limits.ts';
import { attemptsIn, type RecordedAttempt } from './recorded-attempts.ts';
import { type Attempted, count, noStats, type Stats } from './stats.ts';

/** Of a recorded attempt, what is counted. */
type Recorded = Pick<RecordedAttempt, 'outcome' | 'attempt' | 'latencyMs'>;

/**
 * Keeps count of attempts at next to no cost: their rows are written anyway, so that they need only be counted, and the
 * counts written, once in many rows. What is not counted yet is never trimmed, and counted for whoever asks.
 */
export class StatKeeping {
  readonly #core: Core;
  /** All counts up to a row, so that those which come after need not be read again to be counted. */
  #counted: { through: number; stats: Stats } | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Follows a row that is written. Only inside `tx`. */
  add(id: number, attempts: readonly Recorded[], at: number): void {
    // After a rollback the next row has a number that was counted already.
    if (this.#counted?.through !== id - 1) {
      this.#counted = null;
      return;
    }
    count(this.#counted.stats, attempts.map(attempted), at);
    this.#counted.through = id;
  }

  /** Counts the rows that wait, if they are many; answers up to which they are counted. Only inside `tx`. */
  countMany(last: { id: number; total: number }): number {
    const kept = this.#core.sql.statsKept();
    const few = last.id - kept.through < UNCOUNTED_ROWS_MAX && last.total - kept.total < UNCOUNTED_ATTEMPTS_MAX;
    if (few) return kept.through;
    this.countAll(last);
    return last.id;
  }

  /** Only inside `tx`. `last`: the last row of attempts. */
  countAll({ id, total }: { id: number; total: number }): void {
    const stats = this.#counted?.through === id ? this.#counted.stats : this.current();
    this.#counted = { through: id, stats };
    this.#core.sql.putStats({ through: id, total, body: JSON.stringify(stats) });
  }

  current(): Stats {
    const { sql } = this.#core;
    const kept = sql.stats();
    const stats = kept === null || kept.body === '' ? noStats() : (JSON.parse(kept.body) as Stats);
    for (const row of sql.attemptsAfter(kept?.through ?? 0)) {
      count(stats, attemptsIn(row.body).map(attempted), row.at);
    }
    return stats;
  }
}

function attempted({ outcome, attempt, latencyMs }: Recorded): Attempted {
  return { delivered: outcome === 'delivered', attempt, latencyMs };
}
