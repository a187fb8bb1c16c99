import { describe, expect, it } from 'vitest';
import type { Violation } from './operations.ts';
import { checkRates, type RateChange } from './rate-rules.ts';

const LIMIT = { count: 2, spanMs: 1_000 };
const FACTS = { graceMs: 5_000, breaks: [] };
const made = (at: number, limit: RateChange['limit'] = LIMIT): RateChange => {
  return { subscription: 's1', limit, from: at, madeAt: at + 10 };
};

function broken(times: number[], changes: RateChange[], breaks: number[] = []): number {
  const violations: Violation[] = [];
  const starts = times.map((at) => ({ subscription: 's1', at }));
  checkRates(starts, changes, { ...FACTS, breaks }, violations);
  return violations.length;
}

describe('the rule of rates', () => {
  it('finds a span with more starts than allowed, wherever it begins', () => {
    expect(broken([10_000, 10_500, 11_000, 11_500], [made(0)])).toBe(0);
    expect(broken([10_000, 10_500, 10_999], [made(0)])).toBe(1);
    expect(broken([10_999, 9_000, 10_000, 10_500], [made(0)])).toBe(1);
  });

  it('keeps subscriptions apart', () => {
    const violations: Violation[] = [];
    const starts = ['s1', 's2', 's1', 's2'].map((subscription, index) => ({ subscription, at: 10_000 + index }));
    checkRates(starts, [made(0), { ...made(0), subscription: 's2' }], FACTS, violations);
    expect(violations).toEqual([]);
  });

  it('judges only where one limit alone was in force', () => {
    const burst = [10_000, 10_001, 10_002];
    expect(broken(burst, [made(7_000)])).toBe(0);
    expect(broken(burst, [made(0), made(8_000, null)])).toBe(0);
    expect(broken(burst, [made(0), made(10_500, null)])).toBe(0);
    expect(broken(burst, [made(0), made(11_500, null)])).toBe(1);
    expect(broken(burst, [made(0), { ...made(9_000), madeAt: Number.POSITIVE_INFINITY }])).toBe(1);
    expect(broken(burst, [made(0, null), made(2_000)])).toBe(1);
    expect(broken(burst, [made(0), made(2_000, null)])).toBe(0);
  });

  it('judges no span in which the clock jumped forward', () => {
    expect(broken([10_000, 10_001, 10_002], [made(0)], [10_001])).toBe(0);
    expect(broken([10_000, 10_001, 10_002], [made(0)], [10_003])).toBe(1);
  });
});
