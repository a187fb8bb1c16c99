import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  attempted,
  count,
  LATENCY_BOUNDS_MS,
  lastDay,
  lastHour,
  noStats,
  percentile,
  type Stats,
  successRate,
} from '../../src/subscriptions/stats.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START = 1_767_225_600_000;

function counted(...latencies: number[]): Stats {
  const stats = noStats();
  count(
    stats,
    latencies.map((latencyMs) => ({ delivered: true, attempt: 1, latencyMs })),
    START,
  );
  return stats;
}

describe('statistics', () => {
  it('count what was delivered, failed and retried, and how long it took', () => {
    const stats = noStats();
    count(
      stats,
      [
        { delivered: true, attempt: 1, latencyMs: 5 },
        { delivered: false, attempt: 1, latencyMs: 30_001 },
        { delivered: false, attempt: 2, latencyMs: 0 },
      ],
      START,
    );
    expect(stats).toMatchObject({ delivered: 1, failed: 2, retried: 1, latencySumMs: 30_006 });
    expect(stats.latencies).toEqual({ 0: 1, [LATENCY_BOUNDS_MS.indexOf(5)]: 1, [LATENCY_BOUNDS_MS.length]: 1 });
    expect(successRate(stats)).toBeCloseTo(1 / 3);
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats);
  });

  it('have a last hour and a last day that move on', () => {
    const stats = noStats();
    const one = (delivered: boolean) => [{ delivered, attempt: 1, latencyMs: 1 }];
    count(stats, one(false), START);
    count(stats, one(true), START + 30 * MINUTE_MS);
    expect(attempted(lastHour(stats, START + 59 * MINUTE_MS))).toBe(2);
    expect(successRate(lastHour(stats, START + 60 * MINUTE_MS))).toBe(1);
    expect(successRate(lastHour(stats, START + 90 * MINUTE_MS))).toBeNull();
    expect(successRate(lastDay(stats, START + 90 * MINUTE_MS))).toBe(0.5);
    expect(attempted(lastDay(stats, START + 24 * HOUR_MS))).toBe(1);
    expect(attempted(lastDay(stats, START + 25 * HOUR_MS))).toBe(0);
    expect(attempted(stats)).toBe(2);
  });

  it('stay as small as a day, however many attempts there are', () => {
    const stats = noStats();
    for (let minute = 0; minute < 3 * 24 * 60; minute += 1) {
      count(stats, [{ delivered: true, attempt: 1, latencyMs: minute % 200 }], START + minute * MINUTE_MS);
    }
    expect(stats.minutes).toHaveLength(60);
    expect(stats.quarters).toHaveLength(96);
    expect(attempted(lastHour(stats, START + 3 * 24 * HOUR_MS - 1))).toBe(60);
    expect(JSON.stringify(stats).length).toBeLessThan(32_768);
  });

  it('forget what lies ahead when the clock is set back, and go on', () => {
    const stats = noStats();
    const one = [{ delivered: true, attempt: 1, latencyMs: 1 }];
    count(stats, one, START + 10 * HOUR_MS);
    expect(attempted(lastHour(stats, START))).toBe(0);
    count(stats, one, START);
    expect(attempted(lastHour(stats, START))).toBe(1);
    expect(stats.delivered).toBe(2);
  });

  it('have classes that ascend by a third at most, from 6 ms on', () => {
    expect(LATENCY_BOUNDS_MS).toEqual([...new Set(LATENCY_BOUNDS_MS)].sort((a, b) => a - b));
    expect(LATENCY_BOUNDS_MS.every(Number.isInteger)).toBe(true);
    for (const [index, upper] of LATENCY_BOUNDS_MS.entries()) {
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      expect(upper - lower <= 1 || upper / lower <= 1.34).toBe(true);
    }
  });

  it('give percentiles within the class that the true one is in', () => {
    expect(percentile(noStats(), 0.5)).toBeNull();
    expect(percentile(counted(5), 0.5)).toBe(5);
    expect(percentile(counted(60_000), 0.5)).toBe(30_000);
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.9, 0.99),
        (latencies, part) => {
          const sorted = [...latencies].sort((a, b) => a - b);
          const exact = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
          const index = LATENCY_BOUNDS_MS.findIndex((upper) => exact <= upper);
          const given = percentile(counted(...latencies), part) ?? -1;
          expect(given).toBeGreaterThanOrEqual(LATENCY_BOUNDS_MS[index - 1] ?? 0);
          expect(given).toBeLessThanOrEqual(LATENCY_BOUNDS_MS[index] ?? 0);
        },
      ),
    );
  });
});
