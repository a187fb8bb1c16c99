import type { Core } from './core.ts';
import {
  ATTEMPT_ROWS_AT_ONCE,
  ATTEMPT_ROWS_MAX,
  ATTEMPTS_PER_ROW_MAX,
  TRIM_EVERY_ROWS,
  TRIMMED_AT_ONCE,
  TRIMMED_BY_SWEEP,
} from './limits.ts';
import type { AttemptsQuery } from './protocol.ts';
import type { DeliveryOutcome, RequestDifference, SharedRequest } from './protocol-claims.ts';
import type { AttemptView } from './protocol-views.ts';
import { attemptsIn, attemptsText, type RecordedAttempt } from './recorded-attempts.ts';
import type { AttemptsRow, LaneRow } from './rows.ts';
import { requestOf } from './sent-requests.ts';
import type { StatKeeping } from './stat-keeping.ts';

/** What became of an event that was tried. */
export type Attempted = Exclude<DeliveryOutcome, { kind: 'released' | 'invalid' }>;

export interface Attempt {
  outcome: Attempted;
  /** 1 for the first. */
  number: number;
}

/** What one event's row of deliveries needs. */
type Told = Omit<RecordedAttempt, 'request'> & { replay: string | null };

/** Kept are the attempts after the first `totalAbove`, as far as they were recorded since then. */
interface Kept {
  totalAbove: number;
  since: number;
}

/** What was tried: rows of what was settled together, trimmed as new ones come. */
export class Attempts {
  readonly #core: Core;
  readonly #stats: StatKeeping;

  constructor(core: Core, stats: StatKeeping) {
    this.#core = core;
    this.#stats = stats;
  }

  /**
   * Records the outcomes of one settle. Only inside `tx`.
   *
   * @param request what the requests had in common
   */
  record(lane: LaneRow, attempts: readonly Attempt[], request: SharedRequest | null): void {
    for (let first = 0; first < attempts.length; first += ATTEMPTS_PER_ROW_MAX) {
      this.#add(lane, attempts.slice(first, first + ATTEMPTS_PER_ROW_MAX).map(recorded), request);
    }
  }

  /** A row of them: few enough that it fits into one, whatever was answered. */
  #add(lane: LaneRow, attempts: RecordedAttempt[], request: SharedRequest | null): void {
    const { sql } = this.#core;
    const last = sql.lastAttempts();
    const sequences = attempts.map((attempt) => attempt.sequence);
    const total = (last?.total ?? 0) + attempts.length;
    const id = (last?.id ?? 0) + 1;
    const at = this.#core.now();
    sql.addAttempts({
      id,
      topic: lane.topic,
      replay: lane.replay,
      first: Math.min(...sequences),
      last: Math.max(...sequences),
      at,
      total,
      body: attemptsText(attempts),
      request: request === null ? null : JSON.stringify(request),
    });
    this.#stats.add(id, attempts, at);
    const counted = this.#stats.countMany({ id, total });
    // At most two go for each that comes: cheap, and it catches up.
    if (id % TRIM_EVERY_ROWS === 0) sql.trimAttempts(this.#kept(total), counted, TRIMMED_AT_ONCE);
  }

  /** Lets go of what is no longer kept where nothing new comes that would. */
  trim(): void {
    const { sql } = this.#core;
    const last = sql.lastAttempts();
    const oldest = sql.oldestAttempts();
    if (!this.#core.present || last === null || oldest === null) return;
    const kept = this.#kept(last.total);
    if (isKept(oldest, kept)) return;
    this.#core.tx(() => {
      this.#stats.countAll(last);
      sql.trimAttempts(kept, last.id, TRIMMED_BY_SWEEP);
    });
  }

  /** `total`: how many there have been. */
  #kept(total: number): Kept {
    const { maxCount, maxAgeMs } = this.#core.document.attempts;
    return { totalAbove: total - maxCount, since: this.#core.now() - maxAgeMs };
  }

  /** Newest first, and only what is kept. The cursor is `row:index` of the last one given. */
  list(query: AttemptsQuery): { items: AttemptView[]; next: string | null } {
    const [beforeRow, beforeIndex] = parseCursor(query.cursor);
    const items: AttemptView[] = [];
    const kept = this.#kept(this.#core.sql.lastAttempts()?.total ?? 0);
    let examined = 0;
    let last: number | null = null;
    for (const row of this.#rowsBefore(beforeIndex === null ? beforeRow : beforeRow + 1)) {
      if (!isKept(row, kept)) break;
      if (examined++ === ATTEMPT_ROWS_MAX) return { items, next: `${last}:0` };
      last = row.id;
      if (query.topic !== null && row.topic !== query.topic) continue;
      const all = attemptsIn(row.body);
      const oldest = Math.max(0, all.length - (row.total - kept.totalAbove));
      for (let index = all.length - 1; index >= oldest; index--) {
        const attempt = all[index];
        if (!attempt || (row.id === beforeRow && beforeIndex !== null && index >= beforeIndex)) continue;
        if (query.sequence !== null && attempt.sequence !== query.sequence) continue;
        if (query.status !== null && attempt.status !== query.status && attempt.outcome !== query.status) continue;
        items.push(this.#view(row, attempt));
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
  newestOf(topic: string, sequence: number, wanted: (attempt: Told) => boolean): Told | null {
    for (let before = Number.MAX_SAFE_INTEGER; ; ) {
      const rows = this.#core.sql.attemptsOf(topic, sequence, before, ATTEMPT_ROWS_AT_ONCE);
      for (const row of rows) {
        const { replay } = row;
        const newest = attemptsIn(row.body).findLast(
          (attempt) => attempt.sequence === sequence && wanted({ ...attempt, replay }),
        );
        if (newest) return { ...newest, replay };
        before = row.id;
      }
      if (rows.length < ATTEMPT_ROWS_AT_ONCE) return null;
    }
  }

  #view({ topic, replay, request }: AttemptsRow, { request: difference, ...recorded }: RecordedAttempt): AttemptView {
    const shared = request === null ? null : (JSON.parse(request) as SharedRequest);
    const told = shared !== null && difference !== null;
    const facts = { ...recorded, subscription: this.#core.ports.name, topic, replay };
    return { ...recorded, topic, replay, request: told ? requestOf(facts, shared, difference) : null };
  }
}

/** As it always is: one object, so that it is seen to be the same for all. */
const NO_DIFFERENCE: RequestDifference = {};

function recorded({ outcome, number }: Attempt): RecordedAttempt {
  const { sequence, at, latencyMs, status, response, request = NO_DIFFERENCE } = outcome;
  return {
    sequence,
    attempt: number,
    at,
    status,
    outcome: outcome.kind === 'delivered' ? 'delivered' : outcome.outcome,
    latencyMs,
    response,
    error: outcome.kind === 'delivered' ? null : outcome.error,
    request,
  };
}

function isKept({ total, at }: { total: number; at: number }, { totalAbove, since }: Kept): boolean {
  return total > totalAbove && at >= since;
}

function parseCursor(cursor: string | null): [row: number, index: number | null] {
  const match = cursor === null ? null : /^(\d{1,15}):(\d{1,6})$/.exec(cursor);
  return match ? [Number(match[1]), Number(match[2])] : [Number.MAX_SAFE_INTEGER, null];
}
