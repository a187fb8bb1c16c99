import type { Core } from './core.ts';
import { eventsPerRequest } from './delivery-kinds.ts';
import { RATE_AHEAD_MS, RATE_LEAD_MAX_MS, RATE_LEAD_MIN_MS } from './limits.ts';
import {
  effectiveRate,
  giveSlots,
  mendedCursor,
  type Pace,
  rateAllows,
  rateReady,
  slotDistance,
  slotLife,
} from './rate.ts';
import type { LaneRow } from './rows.ts';

/** Of a longer lead, after each claim whose slots could be used. */
const LEAD_KEPT = 0.8;

/** Rate slots of a claim. */
export interface Given {
  /** From when each of its events may start, ascending. */
  slots: number[];
  /** For how long after that, in milliseconds. */
  lifeMs: number;
  /** How many of them may be waited for in a lease. */
  near: number;
}

/** The rate limits of a subscription: its own, over all that it sends, and those of its replays beside it. */
export class Throttle {
  readonly #core: Core;
  /** A slot lies this far ahead at least, so that the claim's answer is there in time. */
  #leadMs = RATE_LEAD_MIN_MS;

  constructor(core: Core) {
    this.#core = core;
  }

  get #pace(): Pace | null {
    const { present } = this.#core;
    const limit = present && effectiveRate(present);
    if (!present || !limit) return null;
    const { rate_cursor: cursor, rate_booked } = present.row;
    return { limit, cursor, booked: JSON.parse(rate_booked) as number[] };
  }

  /** How far ahead of its slot an event is given out. Who pulls would not wait for that: he has each once its slot has come. */
  get aheadMs(): number {
    return this.#core.isPulled ? 0 : RATE_AHEAD_MS;
  }

  /** How many events a request may hold. */
  get #eventsEach(): number {
    return eventsPerRequest(this.#core.document.delivery);
  }

  /** From one of the subscription's slots to the next, in milliseconds; null: it has no limit. */
  get distance(): number | null {
    const pace = this.#pace;
    return pace && slotDistance(pace.limit);
  }

  /** How many events share a lease where there is no hurry. */
  get batch(): number {
    const { distance } = this;
    return distance === null ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(RATE_AHEAD_MS / 2 / distance));
  }

  /** How many more events of any lane may be leased now: of those that are leased some have no slot yet. */
  allows(now: number): number {
    const pace = this.#pace;
    if (pace === null) return Number.POSITIVE_INFINITY;
    return Math.max(0, rateAllows(pace, now, this.aheadMs) * this.#eventsEach - this.#core.sql.unclaimed());
  }

  /** How many more events a replay's own rate lets it lease now. */
  allowsIn(lane: LaneRow, now: number): number {
    const pace = paceOf(lane);
    if (pace === null) return Number.POSITIVE_INFINITY;
    const unclaimed = this.#core.sql
      .leasesOf(lane.id)
      .reduce((sum, lease) => sum + (lease.token === null ? lease.count : 0), 0);
    return rateAllows(pace, now, this.aheadMs) * this.#eventsEach - unclaimed;
  }

  /** When the subscription's rate lets more be leased; past if it does now, null if it has none. */
  get readyAt(): number | null {
    const pace = this.#pace;
    return pace && rateReady(pace, this.aheadMs);
  }

  /** When each of the throttled replays that have something to read may lease more. */
  get replaysReadyAt(): number[] {
    return this.#core.sql
      .pacedReplays()
      .map(paceOf)
      .filter((pace) => pace !== null)
      .map((pace) => rateReady(pace, this.aheadMs));
  }

  /** Would a request have to wait for its slot? */
  isBusy(now: number): boolean {
    return (this.#pace?.cursor ?? 0) > now;
  }

  /** Gives slots to `count` events of a lane, as far as they are near; null: it has no limit. Only inside `tx`. */
  give(laneId: number, now: number, count: number): Given | null {
    this.#mendOwn(now);
    this.#mendIn(laneId, now);
    const lane = this.#core.sql.lane(laneId);
    const own = this.#pace;
    const slower = lane && paceOf(lane);
    const first = own ?? slower;
    if (!first) return null;
    const { aheadMs } = this;
    const earliest = now + Math.min(this.#leadMs, aheadMs);
    const give = (events: number) => giveSlots(first, own && slower, earliest, events);
    const { slots } = give(count);
    const near = slots.filter((slot) => slot <= now + aheadMs).length;
    if (near > 0) {
      const { pace, slower: lanes } = give(near);
      if (own) this.#core.setRow({ rate_cursor: pace.cursor, rate_booked: JSON.stringify(pace.booked) });
      if (slower) this.#core.sql.setLane(laneId, { rate_cursor: (lanes ?? pace).cursor });
    }
    const lives = [own, slower].filter((pace) => pace !== null).map(({ limit }) => slotLife(limit));
    return { slots, near, lifeMs: Math.min(...lives) };
  }

  /** Sees to it that a clock which went back stops nothing. Only inside `tx`. */
  mend(now: number): void {
    this.#mendOwn(now);
    for (const { id } of this.#core.sql.pacedReplays()) this.#mendIn(id, now);
  }

  #mendOwn(now: number): void {
    const pace = this.#pace;
    const rate_cursor = pace && mendedCursor(pace, now);
    if (rate_cursor !== null) this.#core.setRow({ rate_cursor, rate_booked: '[]' });
  }

  #mendIn(laneId: number, now: number): void {
    const lane = this.#core.sql.lane(laneId);
    const pace = lane && paceOf(lane);
    const rate_cursor = pace && mendedCursor(pace, now);
    if (rate_cursor !== null) this.#core.sql.setLane(laneId, { rate_cursor });
  }

  /** Learns whether slots could be used: claims whose answers take long need them further ahead. */
  learn(missed: boolean): void {
    this.#leadMs = missed
      ? Math.min(this.#leadMs * 2, RATE_LEAD_MAX_MS)
      : Math.max(Math.floor(this.#leadMs * LEAD_KEPT), RATE_LEAD_MIN_MS);
  }
}

function paceOf(lane: LaneRow): Pace | null {
  const { rate_count: count, rate_span: spanMs, rate_cursor: cursor } = lane;
  return count === null || spanMs === null ? null : { limit: { count, spanMs }, cursor, booked: [] };
}
