import type { SubscriptionDocument } from './document.ts';
import { LEASE_EVENTS_MAX, LEASE_WORK_MS, POOL_SIZE, RETRY_AFTER_MAX_MS } from './limits.ts';

/**
 * When a delivery that has failed `tries` times is tried again, in milliseconds from now; null when that was all. Who pulls
 * says himself how long it waits, and counts deliveries.
 */
export function nextTry(
  { delivery, retry }: Pick<SubscriptionDocument, 'delivery' | 'retry'>,
  tries: number,
  retryAfterMs: number | null,
  fraction: number,
): number | null {
  if (delivery.kind !== 'pull') return retryDelay(retry, tries, retryAfterMs, fraction);
  return tries < delivery.maxDeliveries ? (retryAfterMs ?? 0) : null;
}

/**
 * When a delivery that has failed `tries` times in its present schedule is tried again, in milliseconds from now; null
 * when its attempts are spent: a schedule of N entries is N + 1 attempts.
 *
 * @param fraction uniform in [0, 1), for the jitter
 * @param retryAfterMs what the receiver asked for; the later of it and the schedule counts
 */
export function retryDelay(
  retry: { scheduleMs: number[]; jitter: number },
  tries: number,
  retryAfterMs: number | null,
  fraction: number,
): number | null {
  const scheduled = retry.scheduleMs[tries - 1];
  if (scheduled === undefined) return null;
  const jittered = scheduled * (1 + retry.jitter * (2 * fraction - 1));
  return Math.round(Math.max(jittered, Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS)));
}

/** The longest a retry may wait: a due time beyond it is a clock's jump. */
export function longestDelay(retry: { scheduleMs: number[]; jitter: number }): number {
  return Math.max(RETRY_AFTER_MAX_MS, ...retry.scheduleMs.map((entry) => entry * (1 + retry.jitter)));
}

/** How many events a lease may hold so that the consumer's pool can finish it even if each runs into its timeout. */
export function leaseSize(timeoutMs: number): number {
  return Math.min(LEASE_EVENTS_MAX, callsIn(timeoutMs));
}

/** How many calls the consumer's pool can make in the time for a lease, even if each runs into its timeout; one at least. */
export function callsIn(timeoutMs: number): number {
  return Math.max(1, POOL_SIZE * Math.floor(LEASE_WORK_MS / timeoutMs));
}
