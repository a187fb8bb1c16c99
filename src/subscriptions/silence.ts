import { waitUntil } from './chores.ts';
import { CHORE_RETRY_FIRST_MS, CHORE_RETRY_MAX_MS } from './limits.ts';
import type { Statements } from './sql.ts';
import type { FirstDue } from './sql-exceptions.ts';

/** Until when a lane's log is left alone. */
interface Backoff {
  until: number;
  delay: number;
}

/**
 * Which lanes' logs don't answer. One is left alone for a while, and what has to be tried again of it waits; then one lease
 * of that asks whether it answers again, before there are more. Only memory: whoever has lost it asks again.
 */
export class Silence {
  readonly #sql: Statements;
  readonly #now: () => number;
  readonly #warn: (message: string, fields: Record<string, unknown>) => void;
  /** Lanes whose log has not answered since it last did not. */
  readonly #backoffs = new Map<number, Backoff>();

  constructor(sql: Statements, now: () => number, warn: (message: string, fields: Record<string, unknown>) => void) {
    this.#sql = sql;
    this.#now = now;
    this.#warn = warn;
  }

  /** A log takes its time: nothing more is asked of it for a second. */
  late(lane: number): void {
    const delay = CHORE_RETRY_FIRST_MS;
    if (!this.#backoffs.has(lane)) this.#backoffs.set(lane, { until: this.#now() + delay, delay });
  }

  /**
   * A log could not be read: its lane waits 1 s, doubling to 30 s. What fails while it waits was asked before.
   *
   * @param at when that was, if nobody has looked for a while
   */
  failed(lane: number, error: unknown, at = this.#now()): void {
    const before = this.#backoffs.get(lane)?.delay ?? 0;
    const waits = this.isLeftAlone(lane, at);
    const delay = waits ? before : Math.min(Math.max(before * 2, CHORE_RETRY_FIRST_MS), CHORE_RETRY_MAX_MS);
    if (!waits) this.#backoffs.set(lane, { until: at + delay, delay });
    this.#warn('a log could not be read', { lane, delayMs: delay, error: String(error) });
  }

  answered(lane: number): void {
    this.#backoffs.delete(lane);
  }

  /** Has its log not answered, and not been heard of since? */
  isDoubted(lane: number): boolean {
    return this.#backoffs.has(lane);
  }

  /** Is the lane's log to be left alone now? */
  isLeftAlone(lane: number, now: number): boolean {
    return this.untilOf(lane, now) > now;
  }

  /** Until when the lane's log is left alone; past, if it is not. */
  untilOf(lane: number, now: number): number {
    return waitUntil(this.#backoffs.get(lane), now);
  }

  /** Lanes of which nothing more may be tried again now: they are left alone, or one lease asks already. */
  heldBack(now: number): number[] {
    return [...this.#backoffs.keys()].filter(
      (lane) =>
        (this.#sql.lane(lane)?.retrying ?? 0) > 0 &&
        (this.isLeftAlone(lane, now) || this.#sql.leasesOf(lane).some(({ retry, count }) => retry === 1 && count > 0)),
    );
  }

  /** The exception that goes first; those of a log that is left alone are not due before that is over. */
  firstDue(now: number): FirstDue | null {
    const first = this.#sql.firstDue();
    if (first === null || !this.isDoubted(first.lane)) return first;
    const heldBack = this.heldBack(now);
    if (!heldBack.includes(first.lane)) return first;
    const [other] = this.#sql.lanesDueBeside(heldBack);
    const lanes = [...heldBack.filter((lane) => this.isLeftAlone(lane, now)), ...(other ? [other.lane] : [])];
    const firsts = lanes.flatMap((lane) => {
      const own = this.#sql.firstDueOf(lane);
      return own === null ? [] : [{ ...own, due: Math.max(own.due, this.untilOf(lane, now)) }];
    });
    return firsts.sort((a, b) => a.due - b.due)[0] ?? null;
  }
}
