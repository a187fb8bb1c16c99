import { describe, expect, test } from 'vitest';
import { health } from '../../src/subscriptions/health.ts';
import type { DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';
import { leaseSize, longestDelay, retryDelay } from '../../src/subscriptions/retry.ts';

const retry = { scheduleMs: [5_000, 300_000], jitter: 0.2 };

describe('retryDelay', () => {
  test.each([
    [1, null, 0.5, 5_000],
    [1, null, 0, 4_000],
    [2, null, 0.999_999, 360_000],
    [1, 60_000, 0.5, 60_000],
    [2, 60_000, 0.5, 300_000],
    [1, 7 * 86_400_000, 0.5, 86_400_000],
    [3, null, 0.5, null],
    [3, 60_000, 0.5, null],
  ])('after try %i, Retry-After %s, chance %d: %s', (tries, retryAfter, fraction, expected) => {
    expect(retryDelay(retry, tries, retryAfter, fraction)).toBe(expected);
  });

  test('a schedule without entries is one attempt', () => {
    expect(retryDelay({ scheduleMs: [], jitter: 0 }, 1, null, 0.5)).toBeNull();
  });

  test('nothing waits longer than the longest delay', () => {
    expect(longestDelay(retry)).toBe(86_400_000);
    expect(longestDelay({ scheduleMs: [100_000_000], jitter: 0.2 })).toBe(120_000_000);
  });
});

test.each([
  [15_000, 24],
  [7_000, 48],
  [5_000, 50],
  [100, 50],
  [30_000, 12],
])('with a timeout of %i ms a lease holds %i events', (timeout, events) => {
  expect(leaseSize(timeout)).toBe(events);
});

describe('health', () => {
  const well = { streak: 0, probe_at: null, probe_delay: 0, slow: 0, failing_since: null };
  const facts = { now: 1_000_000, maxInFlight: 3, slowLatencyMs: 1_000, probedLog: true };
  const outcome = (kind: 'delivered' | 'failed', at: number, latencyMs = 10): DeliveryOutcome =>
    kind === 'delivered'
      ? { kind, topic: 't', sequence: at, at, latencyMs, status: 200, response: '' }
      : {
          kind,
          topic: 't',
          sequence: at,
          at,
          latencyMs,
          outcome: 'failed',
          status: 500,
          response: '',
          error: null,
          retryAfterMs: null,
        };

  test('counts failures in a row over settles, in the order they ended', () => {
    const once = health(well, [outcome('failed', 1), outcome('delivered', 2), outcome('failed', 3)], facts);
    expect(once).toMatchObject({ streak: 1, probe_at: null });
    expect(health(once, [outcome('failed', 5), outcome('failed', 4)], facts)).toEqual({
      streak: 3,
      probe_at: 1_005_000,
      probe_delay: 5_000,
      slow: 0,
      failing_since: 3,
    });
  });

  test('one success ends failing, even if failures follow it', () => {
    const failing = { streak: 9, probe_at: 5, probe_delay: 5_000, slow: 0, failing_since: null };
    expect(health(failing, [outcome('delivered', 1), outcome('failed', 2)], facts)).toMatchObject({
      streak: 1,
      probe_at: null,
    });
  });

  test('a probe of the log that fails doubles the wait up to five minutes; a retry that fails leaves it', () => {
    const failing = { streak: 9, probe_at: 5, probe_delay: 160_000, slow: 0, failing_since: null };
    expect(health(failing, [outcome('failed', 1)], facts)).toMatchObject({ probe_at: 1_300_000, probe_delay: 300_000 });
    expect(health(failing, [outcome('failed', 1)], { ...facts, probedLog: false })).toMatchObject({
      probe_at: 5,
      probe_delay: 160_000,
    });
  });

  test('slow begins above the limit and ends below half of it', () => {
    const slow = health(well, [outcome('delivered', 1, 1_500)], facts);
    expect(slow.slow).toBe(1);
    expect(health(slow, [outcome('delivered', 1, 700)], facts).slow).toBe(1);
    expect(health(slow, [outcome('delivered', 1, 400)], facts).slow).toBe(0);
  });
});
