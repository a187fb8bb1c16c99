import type { Present } from './core.ts';
import { rateLimitOf } from './delivery-kinds.ts';
import type { RateLimit } from './document.ts';
import { RATE_AHEAD_MS } from './limits.ts';

/**
 * Rate limits as evenly spaced slots. A request starts within a short time after its slot, or not by this slot at all; and
 * slots are spaced for a span that is longer by just this time. So no span ever sees more starts than allowed, whoever makes
 * them and however late each of them is.
 */

/** How much longer than the limit's span the slots are spaced for. */
const TOLERANCE = 0.1;
/** Slots kept in mind beyond the next free one; beyond these, what lies between is lost. */
const BOOKED_MAX = 50;
/** Slots are whole milliseconds. */
const ROUNDING_MS = 1;

/** A limit and which of its slots are given. Moments are milliseconds since the epoch. */
export interface Pace {
  limit: RateLimit;
  /** The next free slot; 0: none was ever given. */
  cursor: number;
  /** Slots beyond the next free one that are given already, ascending. */
  booked: readonly number[];
}

const MINUTE_MS = 60_000;

/** The limit that binds all requests of a subscription together, replays and retries too; null: none does. */
export function effectiveRate({ row, document }: Present): RateLimit | null {
  return slowerRate(rateLimitOf(document.delivery), row.granted_rate);
}

/** The slower of what is configured and what the receiver has granted; null: neither limits. */
export function slowerRate(configured: RateLimit | null, grantedPerMinute: number | null): RateLimit | null {
  if (grantedPerMinute === null) return configured;
  const granted = { count: grantedPerMinute, spanMs: MINUTE_MS };
  const isSlower = configured === null || granted.count / granted.spanMs < configured.count / configured.spanMs;
  return isSlower ? granted : configured;
}

/** From one slot to the next, in milliseconds. */
export function slotDistance(limit: RateLimit): number {
  return (limit.spanMs * (1 + TOLERANCE)) / limit.count;
}

/** For how long after its moment a slot may still be used, in milliseconds. */
export function slotLife(limit: RateLimit): number {
  return limit.spanMs * TOLERANCE - ROUNDING_MS;
}

/**
 * The moments from which the next `count` requests may start. Slots unused in time are lost, never saved up.
 *
 * @param pace whose slots they are
 * @param slower keeps them further apart: what lies between them stays free for others
 * @param earliest no slot lies before
 */
export function giveSlots(
  pace: Pace,
  slower: Pace | null,
  earliest: number,
  count: number,
): { slots: number[]; pace: Pace; slower: Pace | null } {
  const distance = slotDistance(pace.limit);
  let { cursor, booked } = pace;
  /** What lies before this is over, and nothing is given there any more. */
  const moveTo = (moment: number) => {
    cursor = Math.max(cursor, moment);
    booked = booked.filter((slot) => slot + distance > cursor);
  };
  for (const slot of booked) if (slot + distance <= earliest) moveTo(slot + distance);
  let next = slower?.cursor ?? 0;
  const slots: number[] = [];
  for (let given = 0; given < count; given++) {
    const free = firstFree(booked, Math.max(earliest, cursor), distance);
    const slot = next > free ? firstFree(booked, next, distance) : free;
    slots.push(Math.ceil(slot));
    if (slower) next = slot + slotDistance(slower.limit);
    if (slot < free + distance || booked.length >= BOOKED_MAX) moveTo(slot + distance);
    else booked = [...booked, Math.ceil(slot)].sort((a, b) => a - b);
  }
  return {
    slots,
    pace: { ...pace, cursor: Math.ceil(cursor), booked },
    slower: slower && { ...slower, cursor: Math.ceil(next) },
  };
}

/** The first moment from `from` on that is at least a distance away from what is booked. */
function firstFree(booked: readonly number[], from: number, distance: number): number {
  let moment = from;
  for (const slot of booked)
    if (Math.ceil(moment) > slot - distance && moment < slot + distance) moment = slot + distance;
  return moment;
}

/**
 * How many requests may be leased now, by their slots within the next `aheadMs`. None while less than half of that is
 * free: what waits shall share leases.
 */
export function rateAllows(pace: Pace, now: number, aheadMs: number): number {
  const start = Math.max(now, pace.cursor);
  if (start > now + aheadMs / 2) return 0;
  return Math.floor((now + aheadMs - start) / slotDistance(pace.limit)) + 1 - pace.booked.length;
}

/** When the next requests may be leased; past if they may now. */
export function rateReady(pace: Pace, aheadMs: number): number {
  return pace.cursor - aheadMs / 2;
}

/** The next free slot once a limit gives way to another: counted from the last one given. */
export function cursorOf(cursor: number, before: RateLimit | null, after: RateLimit | null): number {
  if (before === null || after === null) return cursor;
  return Math.max(0, Math.ceil(cursor - slotDistance(before) + slotDistance(after)));
}

/**
 * Where the clock has gone back far, the next free slot lies further away than it ever could. What was started within the
 * last span nobody can tell then, so that the next slot comes a whole span later; consumers use none of those they still
 * have. Null: all is well.
 */
export function mendedCursor({ limit, cursor }: Pace, now: number): number | null {
  return cursor > now + 3 * RATE_AHEAD_MS + 2 * limit.spanMs ? now + limit.spanMs : null;
}
