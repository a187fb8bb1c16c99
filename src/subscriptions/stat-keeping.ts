import type { Core } from './core.ts';
import { UNCOUNTED_ATTEMPTS_MAX, UNCOUNTED_ROWS_MAX } from './limits.ts';
import { count, noStats, type Stats } from './stats.ts';

/** Of a recorded attempt, what is counted. */
interface Recorded {
  outcome: string;
  attempt: number;
  latencyMs: number;
}

/**
 * Keeps count of attempts at next to no cost: their rows are written anyway, so that they need only be counted, and the
 * counts written, once in many rows. What is not counted yet is never trimmed, and counted for whoever asks.
 */
export class StatKeeping {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
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
    this.#core.sql.putStats({ through: id, total, body: JSON.stringify(this.current()) });
  }

  current(): Stats {
    const { sql } = this.#core;
    const kept = sql.stats();
    const stats = kept === null || kept.body === '' ? noStats() : (JSON.parse(kept.body) as Stats);
    for (const row of sql.attemptsAfter(kept?.through ?? 0)) {
      const attempts = JSON.parse(row.body) as Recorded[];
      count(
        stats,
        attempts.map(({ outcome, attempt, latencyMs }) => ({ delivered: outcome === 'delivered', attempt, latencyMs })),
        row.at,
      );
    }
    return stats;
  }
}
