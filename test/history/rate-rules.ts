import type { RateLimit } from '../../src/subscriptions/document.ts';
import type { Violation } from './operations.ts';

/** A request, when its sender started it. Times here are milliseconds of one clock that never jumps. */
export interface RequestStart {
  subscription: string;
  at: number;
}

/** A subscription was given a limit, or none; by when that was certain (never, where nobody was told). */
export interface RateChange {
  subscription: string;
  limit: RateLimit | null;
  from: number;
  madeAt: number;
}

/**
 * No span sees more starts of a subscription than its limit allows, wherever one limit alone was in force.
 *
 * @param facts `graceMs`: how long after a change what was claimed before may go on; `breaks`: when the hub's clock jumped
 * forward, so that it took a span for over that was not
 */
export function checkRates(
  starts: RequestStart[],
  changes: RateChange[],
  facts: { graceMs: number; breaks: number[] },
  violations: Violation[],
): void {
  for (const [subscription, own] of Map.groupBy(starts, (start) => start.subscription)) {
    const times = own.map(({ at }) => at).sort((a, b) => a - b);
    const ofIt = changes.filter((change) => change.subscription === subscription);
    for (const [index, at] of times.entries()) {
      const limit = limitAt(ofIt, at, facts.graceMs);
      const over = limit === null ? undefined : times[index + limit.count];
      if (limit === null || over === undefined || over - at >= limit.spanMs) continue;
      if (facts.breaks.some((moment) => moment >= at && moment <= over)) continue;
      const detail = `${subscription} started ${limit.count + 1} requests in ${over - at} ms from ${at} on, ${limit.count} in ${limit.spanMs} ms are allowed`;
      violations.push({ rule: 'rate', detail });
      break;
    }
  }
}

/** The limit that was in force in the whole span from `at` on; null: none, or it can't be told. */
function limitAt(changes: RateChange[], at: number, graceMs: number): RateLimit | null {
  const last = changes.findLastIndex(({ madeAt }) => madeAt + graceMs <= at);
  const [limit] = changes.slice(last).map((change) => change.limit);
  if (last < 0 || !limit) return null;
  const others = changes.slice(last + 1).filter(({ from }) => from <= at + limit.spanMs);
  return others.some((change) => JSON.stringify(change.limit) !== JSON.stringify(limit)) ? null : limit;
}
