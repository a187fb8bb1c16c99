import type { Core } from './core.ts';
import { ATTEMPT_ROWS_AT_ONCE, ATTEMPT_ROWS_MAX, LATENCY_ROWS } from './limits.ts';
import type { AttemptsQuery, AttemptView, DeliveryOutcome } from './protocol.ts';
import type { AttemptsRow, LaneRow } from './rows.ts';

type Recorded = Omit<AttemptView, 'topic' | 'replay'>;

/** What was tried: one row a settle, trimmed as new ones come. */
export class Attempts {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Records the outcomes of one settle. Only inside `tx`. `numbers`: which attempt it was, by sequence. */
  record(
    lane: LaneRow,
    outcomes: Exclude<DeliveryOutcome, { kind: 'released' | 'invalid' }>[],
    numbers: Map<number, number>,
  ): void {
    const attempts: Recorded[] = [];
    for (const outcome of outcomes) {
      const { sequence, at, latencyMs, status, response } = outcome;
      attempts.push({
        sequence,
        attempt: numbers.get(sequence) ?? 1,
        at,
        status,
        outcome: outcome.kind === 'delivered' ? 'delivered' : outcome.outcome,
        latencyMs,
        response,
        error: outcome.kind === 'delivered' ? null : outcome.error,
      });
    }
    if (attempts.length === 0) return;
    const { sql } = this.#core;
    const last = sql.lastAttempts();
    const sequences = attempts.map((attempt) => attempt.sequence);
    const total = (last?.total ?? 0) + attempts.length;
    const now = this.#core.now();
    sql.addAttempts({
      id: (last?.id ?? 0) + 1,
      topic: lane.topic,
      replay: lane.replay,
      first: Math.min(...sequences),
      last: Math.max(...sequences),
      at: now,
      total,
      body: JSON.stringify(attempts),
    });
    // At most two go for each that comes: cheap, and it catches up.
    const { maxCount, maxAgeMs } = this.#core.document.attempts;
    for (const oldest of sql.oldestAttempts(2)) {
      if (total - oldest.total >= maxCount || oldest.at < now - maxAgeMs) sql.deleteAttempts(oldest.id);
    }
  }

  /** Newest first. The cursor is `row:index` of the last one given. */
  list(query: AttemptsQuery): { items: AttemptView[]; next: string | null } {
    const [beforeRow, beforeIndex] = parseCursor(query.cursor);
    const items: AttemptView[] = [];
    let examined = 0;
    let last: number | null = null;
    for (const row of this.#rowsBefore(beforeIndex === null ? beforeRow : beforeRow + 1)) {
      if (examined++ === ATTEMPT_ROWS_MAX) return { items, next: `${last}:0` };
      last = row.id;
      const all = parse(row);
      for (let index = all.length - 1; index >= 0; index--) {
        const attempt = all[index];
        if (!attempt || (row.id === beforeRow && beforeIndex !== null && index >= beforeIndex)) continue;
        if (query.sequence !== null && attempt.sequence !== query.sequence) continue;
        if (query.status !== null && attempt.status !== query.status && attempt.outcome !== query.status) continue;
        items.push(attempt);
        if (items.length === query.limit) return { items, next: `${row.id}:${index}` };
      }
    }
    return { items, next: null };
  }

  /** Newest first, a few at a time: a row may be large. */
  *#rowsBefore(id: number): Generator<AttemptsRow> {
    for (let before = id; ; ) {
      const page = this.#core.sql.attemptsBefore(before, ATTEMPT_ROWS_AT_ONCE);
      yield* page;
      before = page.at(-1)?.id ?? 0;
      if (page.length < ATTEMPT_ROWS_AT_ONCE) return;
    }
  }

  /** The newest recorded attempt at one event that is wanted, or null. */
  newestOf(topic: string, sequence: number, wanted: (attempt: AttemptView) => boolean): AttemptView | null {
    for (let before = Number.MAX_SAFE_INTEGER; ; ) {
      const rows = this.#core.sql.attemptsOf(topic, sequence, before, ATTEMPT_ROWS_AT_ONCE);
      for (const row of rows) {
        const newest = parse(row).findLast((attempt) => attempt.sequence === sequence && wanted(attempt));
        if (newest) return newest;
        before = row.id;
      }
      if (rows.length < ATTEMPT_ROWS_AT_ONCE) return null;
    }
  }

  /** Percentiles over the latest attempts, in milliseconds. */
  latency(): { p50: number | null; p99: number | null } {
    const latencies = this.#core.sql
      .attemptsBefore(Number.MAX_SAFE_INTEGER, LATENCY_ROWS)
      .flatMap((row) => parse(row).map((attempt) => attempt.latencyMs))
      .sort((a, b) => a - b);
    const at = (quantile: number) =>
      latencies[Math.min(latencies.length - 1, Math.floor(quantile * latencies.length))] ?? null;
    return { p50: at(0.5), p99: at(0.99) };
  }
}

function parse(row: AttemptsRow): AttemptView[] {
  return (JSON.parse(row.body) as Recorded[]).map((attempt) => ({ ...attempt, topic: row.topic, replay: row.replay }));
}

function parseCursor(cursor: string | null): [row: number, index: number | null] {
  const match = cursor === null ? null : /^(\d{1,15}):(\d{1,6})$/.exec(cursor);
  return match ? [Number(match[1]), Number(match[2])] : [Number.MAX_SAFE_INTEGER, null];
}
