import type { Consent } from './consent.ts';
import type { Core } from './core.ts';
import {
  CLAIM_LIFE_MS,
  LOCKED_LOOK_MS,
  PROBE_WITHIN_MS,
  RATE_AHEAD_MS,
  RATE_WAIT_MAX_MS,
  STALLED_MS,
  WATCHDOG_MS,
} from './limits.ts';
import { obstacleWait } from './obstacle.ts';

/**
 * The earliest moment at which something has to be done, derived from the tables; past if it is overdue, null if nothing
 * ever has. Whoever waits for an answer that may never come has the watchdog.
 *
 * @param chores when the first of them is due
 */
export function nextDue(core: Core, consent: Consent, chores: number | null): number | null {
  const now = core.now();
  const lease = core.sql.nextLeaseDue(!core.running);
  // No lease's moment lies further away, whatever the clock has done.
  const latest = now + Math.max(CLAIM_LIFE_MS, obstacleWait(core));
  const dues = [chores, consent.nextDue(now), lease === null ? null : Math.min(lease, latest)];
  if (core.running) dues.push(core.failing ? probeDue(core, now) : workDue(core, now));
  else if (core.enabled && core.locked !== null) dues.push(now + LOCKED_LOOK_MS);
  if (core.row?.stalled_at != null) dues.push(now + WATCHDOG_MS);
  const due = dues.filter((entry) => entry !== null);
  return due.length === 0 ? null : Math.min(...due);
}

/** While failing only one delivery is out at a time: a retry that is due within five minutes, else the next of a log. */
function probeDue(core: Core, now: number): number | null {
  const exception = core.sql.firstDue()?.due ?? null;
  const retryIsNext = exception !== null && exception <= now + PROBE_WITHIN_MS;
  const due = retryIsNext ? exception : hasMore(core) ? core.probeAt(now) : exception;
  // A moment that is past was looked at in this very turn; what still stands in the way is a lease or a read.
  return due !== null && due <= now ? now + WATCHDOG_MS : due;
}

function workDue(core: Core, now: number): number | null {
  const exception = core.sql.firstDue()?.due ?? null;
  const dues = [exception === null || exception > now ? exception : overdueRetry(core, exception, now)];
  if (hasMore(core)) {
    const slots = core.sql.rateSlots().map(({ cursor }) => Math.min(cursor - RATE_AHEAD_MS, now + RATE_WAIT_MAX_MS));
    dues.push(now + WATCHDOG_MS, ...slots.filter((slot) => slot > now));
  }
  const due = dues.filter((entry) => entry !== null);
  return due.length === 0 ? null : Math.min(...due);
}

/** Where nothing more may go out, or what is under way comes first in its order, a settle looks at the rest; the watchdog is for the settle that never comes. */
function overdueRetry(core: Core, due: number, now: number): number {
  const { live, replay, leases } = core.sql.inFlight();
  const inOrder = core.ordering !== 'none' || core.document.ordering !== 'none';
  return live + replay >= core.document.maxInFlight || (inOrder && leases > 0) ? now + WATCHDOG_MS : due;
}

/** Is there more to lease than what has to be tried again? */
function hasMore(core: Core): boolean {
  return core.sql.hasUnread() || core.sql.lanesWithOpenHolds().length > 0;
}

/** Is there something that an alarm should have done long ago? Then it was lost. */
export function isOverdue(core: Core): boolean {
  const long = core.now() - STALLED_MS;
  const lease = core.sql.nextLeaseDue(!core.running);
  if (lease !== null) return lease < long;
  const exception = core.running && !core.failing ? core.sql.firstDue() : null;
  return exception !== null && exception.due < long;
}
