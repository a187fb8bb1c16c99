import { PROBE_FIRST_MS, PROBE_WITHIN_MS } from './limits.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';

export interface Health {
  /** Failures in a row without a success. */
  streak: number;
  /** Set while the subscription is failing: when the next event of a log may be the probe. */
  probe_at: number | null;
  probe_delay: number;
  slow: number;
  /** The first failure since the last success. */
  failing_since: number | null;
}

/** As far as the receiver is concerned: whoever rejects an event has dealt with it. */
export function isSuccess(outcome: DeliveryOutcome): boolean {
  return outcome.kind === 'delivered' || (outcome.kind === 'failed' && outcome.dead === 'rejected');
}

/**
 * How a receiver does after a settle. Failing begins after `maxInFlight` failures in a row and ends with one success;
 * while it lasts, probes from the log come after 5 s, doubling to 5 minutes (design: "Waiting is free in the log").
 */
export function health(
  before: Health,
  attempted: DeliveryOutcome[],
  facts: { now: number; maxInFlight: number; slowLatencyMs: number; probedLog: boolean },
): Health {
  const tried = attempted
    .filter((outcome) => outcome.kind === 'delivered' || outcome.kind === 'failed')
    .sort((a, b) => a.at + a.latencyMs - b.at - b.latencyMs);
  const lastSuccess = tried.findLastIndex(isSuccess);
  const since = tried.length - 1 - lastSuccess;
  const streak = lastSuccess >= 0 ? since : before.streak + since;
  const firstFailure = tried.find((_, index) => index > lastSuccess)?.at ?? null;
  const failing_since = lastSuccess < 0 ? (before.failing_since ?? firstFailure) : firstFailure;
  const mean = tried.reduce((sum, outcome) => sum + outcome.latencyMs, 0) / Math.max(1, tried.length);
  const slow = mean > facts.slowLatencyMs ? 1 : mean < facts.slowLatencyMs / 2 ? 0 : before.slow;

  // A success in the same settle ended an earlier failing; what followed it may begin a new one.
  const wasFailing = before.probe_at !== null && lastSuccess < 0;
  if (streak < facts.maxInFlight && !wasFailing) return { streak, probe_at: null, probe_delay: 0, slow, failing_since };
  if (!wasFailing)
    return { streak, probe_at: facts.now + PROBE_FIRST_MS, probe_delay: PROBE_FIRST_MS, slow, failing_since };
  if (!facts.probedLog)
    return { streak, probe_at: before.probe_at, probe_delay: before.probe_delay, slow, failing_since };
  const delay = Math.min(before.probe_delay * 2, PROBE_WITHIN_MS);
  return { streak, probe_at: facts.now + delay, probe_delay: delay, slow, failing_since };
}
