import { describe, expect, test } from 'vitest';
import { NO_PRESSURE, type Pressure, pressure, pushesBack } from '../../src/subscriptions/pressure.ts';
import type { DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';

const NOW = 1_000_000;
const facts = { now: NOW, maxInFlight: 64 };
const at = NOW - 100;

const delivered = (started = at): DeliveryOutcome => {
  return { kind: 'delivered', topic: 't', sequence: 1, at: started, latencyMs: 10, status: 200, response: '' };
};

function failed(status: number | null, retryAfterMs: number | null = null, started = at): DeliveryOutcome {
  const answer = { outcome: 'failed' as const, status, response: '', error: null, retryAfterMs };
  return { kind: 'failed', topic: 't', sequence: 1, at: started, latencyMs: 10, ...answer };
}

const many = (count: number, outcome: DeliveryOutcome) => Array.from({ length: count }, () => outcome);
const slowed = (more: Partial<Pressure>): Pressure => ({ ...NO_PRESSURE, slowed_since: NOW - 5_000, ...more });

test.each([
  [429, true],
  [502, true],
  [503, true],
  [504, true],
  [500, false],
  [410, false],
  [null, false],
])('a status of %s pushes back: %s', (status, expected) => {
  expect(pushesBack(failed(status))).toBe(expected);
});

describe('what may be out', () => {
  test('is halved once a round, not once an answer', () => {
    const once = pressure(NO_PRESSURE, many(20, failed(503)), facts);
    expect(once).toEqual({ concurrency: 32, slowed_since: NOW, halved_at: NOW, retry_after: null });
    // Started before that was known.
    expect(pressure(once, many(20, failed(503)), { ...facts, now: NOW + 500 })).toEqual(once);
    const again = pressure(once, [failed(503, null, NOW + 1)], { ...facts, now: NOW + 1_000 });
    expect(again).toMatchObject({ concurrency: 16, slowed_since: NOW, halved_at: NOW + 1_000 });
  });

  test('is never fewer than one', () => {
    expect(pressure(slowed({ concurrency: 1 }), [failed(429)], facts).concurrency).toBe(1);
    expect(pressure(NO_PRESSURE, [failed(429)], { ...facts, maxInFlight: 1 }).concurrency).toBe(1);
  });

  test('grows by one a round of successes, and is maxInFlight again in the end', () => {
    expect(pressure(slowed({ concurrency: 8 }), many(8, delivered()), facts).concurrency).toBe(9);
    expect(pressure(slowed({ concurrency: 8 }), many(2, delivered()), facts).concurrency).toBe(8.25);
    expect(pressure(slowed({ concurrency: 63.5 }), many(40, delivered()), facts)).toEqual(NO_PRESSURE);
    let state: Pressure = slowed({ concurrency: 1 });
    let rounds = 0;
    for (; state.concurrency !== null && rounds < 1_000; rounds++)
      state = pressure(state, many(Math.floor(state.concurrency), delivered()), facts);
    expect(rounds).toBe(63);
  });

  test('does not grow by a settle that has halved it, nor by other failures', () => {
    expect(pressure(slowed({ concurrency: 8 }), [...many(8, delivered()), failed(503)], facts).concurrency).toBe(4);
    expect(pressure(slowed({ concurrency: 8 }), many(8, failed(500)), facts).concurrency).toBe(8);
    expect(pressure(NO_PRESSURE, many(8, failed(500)), facts)).toEqual(NO_PRESSURE);
  });

  test('follows a maxInFlight that was lowered', () => {
    expect(pressure(slowed({ concurrency: 30 }), [failed(503)], { ...facts, maxInFlight: 10 }).concurrency).toBe(5);
    expect(pressure(slowed({ concurrency: 30 }), [delivered()], { ...facts, maxInFlight: 10 })).toEqual(NO_PRESSURE);
  });

  test('is halved though the clock went back since the last time', () => {
    const before = slowed({ concurrency: 32, halved_at: NOW + 3_600_000 });
    expect(pressure(before, [failed(503)], facts).concurrency).toBe(16);
  });
});

describe('Retry-After', () => {
  test('holds everything up from the answer on, the latest of several', () => {
    expect(pressure(NO_PRESSURE, [failed(429, 20_000), failed(503, 10_000)], facts).retry_after).toBe(NOW + 19_910);
    expect(pressure(slowed({ retry_after: NOW + 30_000 }), [failed(429, 20_000)], facts).retry_after).toBe(
      NOW + 30_000,
    );
  });

  test('holds everything up for five minutes at most', () => {
    expect(pressure(NO_PRESSURE, [failed(429, 86_400_000)], facts).retry_after).toBe(NOW + 300_000);
  });

  test('that is over, of nothing, or from before a jump of the clock, holds nothing up', () => {
    expect(pressure(slowed({ retry_after: NOW - 1 }), [delivered()], facts).retry_after).toBeNull();
    expect(pressure(NO_PRESSURE, [failed(429, 0)], facts).retry_after).toBeNull();
    expect(pressure(NO_PRESSURE, [failed(429, 50)], facts).retry_after).toBeNull();
    expect(pressure(slowed({ retry_after: NOW + 3_600_000 }), [delivered()], facts).retry_after).toBeNull();
  });
});
