import { isSuccess } from './health.ts';
import { HOLD_MAX_MS } from './limits.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';

/** Answers by which a receiver, or what stands before it, says that it is asked too much. */
const PUSHBACKS: ReadonlySet<number | null> = new Set([429, 502, 503, 504]);

export function pushesBack(outcome: DeliveryOutcome): boolean {
  return outcome.kind === 'failed' && PUSHBACKS.has(outcome.status);
}

/** How much a receiver may be asked. Times are milliseconds since the epoch. */
export interface Pressure {
  /** How many deliveries may be out; null: `maxInFlight`. What is over a whole number is on its way to the next. */
  concurrency: number | null;
  /** Since when it is less than `maxInFlight`. */
  slowed_since: number | null;
  /** When it was halved last; 0: never. */
  halved_at: number;
  /** Nothing starts before, because the receiver asked for it. */
  retry_after: number | null;
}

/** Of a receiver that has never pushed back. */
export const NO_PRESSURE: Pressure = { concurrency: null, slowed_since: null, halved_at: 0, retry_after: null };

/**
 * What a settle says of it: additive increase, multiplicative decrease, as TCP does (RFC 5681). A push-back halves what may
 * be out, once a round: what was started before the last halving says nothing new. A round of successes adds one.
 */
export function pressure(
  before: Pressure,
  attempted: DeliveryOutcome[],
  facts: { now: number; maxInFlight: number },
): Pressure {
  const { now, maxInFlight } = facts;
  const present = Math.min(before.concurrency ?? maxInFlight, maxInFlight);
  const pushbacks = attempted.filter((outcome) => outcome.kind === 'failed').filter(pushesBack);
  const retry_after = latest([before.retry_after, ...pushbacks.map((outcome) => askedFor(outcome, now))], now);
  // A clock that went back makes no halving lie in the future.
  const halvedAt = before.halved_at > now ? 0 : before.halved_at;
  if (pushbacks.some((outcome) => outcome.at > halvedAt)) {
    const concurrency = Math.max(1, Math.floor(present / 2));
    return { concurrency, slowed_since: before.slowed_since ?? now, halved_at: now, retry_after };
  }
  const successes = attempted.filter(isSuccess).length;
  const concurrency = present + successes / Math.floor(present);
  if (before.concurrency === null || concurrency >= maxInFlight) return { ...NO_PRESSURE, retry_after };
  return { concurrency, slowed_since: before.slowed_since, halved_at: halvedAt, retry_after };
}

/** What a `Retry-After` asks for, as far as it holds everything up: one answer shall not stop a subscription for a day. */
function askedFor(outcome: DeliveryOutcome, now: number): number | null {
  if (outcome.kind !== 'failed' || !outcome.retryAfterMs) return null;
  return Math.min(outcome.at + outcome.latencyMs + outcome.retryAfterMs, now + HOLD_MAX_MS);
}

function latest(times: (number | null)[], now: number): number | null {
  const ahead = times.filter((time) => time !== null).filter((time) => time > now && time <= now + HOLD_MAX_MS);
  return ahead.length === 0 ? null : Math.max(...ahead);
}
