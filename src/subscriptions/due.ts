import type { Consent } from './consent.ts';
import type { Core } from './core.ts';
import type { Lanes } from './lanes.ts';
import { CLAIM_LIFE_MS, LOCKED_LOOK_MS, PROBE_WITHIN_MS, RATE_WAIT_MAX_MS, STALLED_MS, WATCHDOG_MS } from './limits.ts';
import { obstacleWait } from './obstacle.ts';
import type { Statements } from './sql.ts';
import type { Throttle } from './throttle.ts';

/** What is asked for the earliest moment, beside the tables. */
interface DueParts {
  consent: Consent;
  throttle: Throttle;
  lanes: Lanes;
}

/**
 * The earliest moment at which something has to be done, derived from the tables; past if it is overdue, null if nothing
 * ever has. Whoever waits for an answer that may never come has the watchdog.
 *
 * @param chores when the first of them is due
 */
export function nextDue(core: Core, parts: DueParts, chores: number | null): number | null {
  const { consent, throttle } = parts;
  const now = core.now();
  const { lease, held } = leaseDues(core, now);
  // No lease's moment lies further away, whatever the clock has done.
  const latest = now + Math.max(CLAIM_LIFE_MS, obstacleWait(core));
  const dues = [chores, consent.nextDue(now), lease === null ? null : Math.min(lease, latest), held, disableDue(core)];
  if (core.running && core.isWanted)
    dues.push(core.failing ? probeDue(core, throttle, now) : workDue(core, parts, now));
  else if (core.enabled && !core.running) dues.push(core.locked === null ? core.retryAfter : now + LOCKED_LOOK_MS);
  if (core.row?.stalled_at != null) dues.push(now + WATCHDOG_MS);
  return earliest(dues);
}

/** While failing: when the receiver is tried again; null: there is nothing to try it with, or its trial is under way. */
export function nextProbe(core: Core, throttle: Throttle): number | null {
  const exception = core.silence.firstDue(core.now())?.due ?? null;
  const retryIsNext = exception !== null && exception <= core.now() + PROBE_WITHIN_MS;
  const due = retryIsNext ? exception : hasMore(core) ? core.probeAt(core.now()) : exception;
  return due === null ? null : Math.max(due, throttle.readyAt ?? 0, core.retryAfter ?? 0);
}

/** A moment that is past was looked at in this very turn; what still stands in the way is a lease or a read. */
function probeDue(core: Core, throttle: Throttle, now: number): number | null {
  const due = nextProbe(core, throttle);
  return due !== null && due <= now ? now + WATCHDOG_MS : due;
}

function workDue(core: Core, parts: DueParts, now: number): number | null {
  const { throttle } = parts;
  const exception = core.silence.firstDue(now)?.due ?? null;
  const room = roomDue(core, parts, now);
  const dues = [exception === null || exception > now ? exception : (room ?? exception)];
  if (hasMore(core)) {
    const slots = [throttle.readyAt ?? 0, ...throttle.replaysReadyAt].filter((slot) => slot > now);
    dues.push(now + WATCHDOG_MS, ...slots.map((slot) => Math.min(slot, now + RATE_WAIT_MAX_MS)));
  }
  return earliest(dues);
}

/**
 * When more may go out, as far as it can be said; null: now. Where all is out, is kept for a read under way, or is leased and
 * has no rate slot yet, a settle, the read's end or a claim looks at the rest; the watchdog is for the one that never comes.
 */
function roomDue(core: Core, { throttle, lanes }: DueParts, now: number): number | null {
  const { live, replay, leases } = core.sql.inFlight();
  // What is under way comes first in its order.
  const inOrder = core.ordering !== 'none' || core.document.ordering !== 'none';
  if (live + replay >= core.concurrency || (inOrder && leases > 0)) return now + WATCHDOG_MS;
  const { readyAt } = throttle;
  if (readyAt !== null && readyAt > now) return Math.min(readyAt, now + RATE_WAIT_MAX_MS);
  return lanes.roomForRetries(now) > 0 ? null : now + WATCHDOG_MS;
}

/**
 * When a receiver that only fails is disabled, where something waits to be tried again; null: it does not fail, or nothing does.
 * What has not been tried is tried first: the receiver may be back, and nothing have come to show it.
 */
export function disableDue(core: Core): number | null {
  const { present } = core;
  if (!present || !core.running || present.row.obstacle !== null) return null;
  const { streak, failing_since } = present.row;
  if (streak === 0 || failing_since === null) return null;
  const isRetrying = (core.sql.firstDue()?.tries ?? 0) > 0;
  return isRetrying ? failing_since + present.document.disableAfterMs : null;
}

function earliest(dues: (number | null)[]): number | null {
  const due = dues.filter((entry) => entry !== null);
  return due.length === 0 ? null : Math.min(...due);
}

/** Is there more to lease than what has to be tried again? */
function hasMore(core: Core): boolean {
  return core.sql.hasUnread() || core.sql.lanesWithOpenHolds().length > 0;
}

/** When the first lease has to be sent again or taken back, and the first that is held by ack ids. */
function leaseDues(core: Core, now: number): { lease: number | null; held: number | null } {
  const { unclaimed, claimed } = core.sql.leaseDues();
  return {
    lease: earliest(core.running && core.isWanted ? [unclaimed, claimed] : [claimed]),
    held: heldDue(core.sql, now),
  };
}

/** When something has to be done about what is held by ack ids: now, if the clock was set back. */
export function heldDue(sql: Statements, now: number): number | null {
  return beganLater(sql, now) ? now : sql.leaseDues().held;
}

/** Did the time of something that is held by ack ids begin later than now? Then the clock was set back. */
export function beganLater(sql: Statements, now: number): boolean {
  return (sql.leaseDues().heldFrom ?? now) > now;
}

/** Is there something that an alarm should have done long ago? Then it was lost. */
export function isOverdue(core: Core, throttle: Throttle): boolean {
  const now = core.now();
  const long = now - STALLED_MS;
  const { lease, held } = leaseDues(core, now);
  if (held !== null && held < long) return true;
  if (lease !== null) return lease < long;
  const exception = core.running && core.isWanted && !core.failing ? core.silence.firstDue(now) : null;
  return exception !== null && Math.max(exception.due, throttle.readyAt ?? 0) < long;
}
