import { describe, expect, test } from 'vitest';
import type { RateLimit } from '../../src/subscriptions/document.ts';
import { RATE_AHEAD_MS } from '../../src/subscriptions/limits.ts';
import {
  cursorOf,
  giveSlots,
  mendedCursor,
  type Pace,
  rateAllows,
  rateReady,
  slotDistance,
  slotLife,
} from '../../src/subscriptions/rate.ts';
import { SeededRandom } from '../simulation/random.ts';

const perSecond = (count: number): RateLimit => ({ count, spanMs: 1_000 });
const perMinute = (count: number): RateLimit => ({ count, spanMs: 60_000 });
const NOW = 1_000_000;

/** No `count + 1` starts within a span. */
function expectKept(starts: number[], { count, spanMs }: RateLimit): void {
  const sorted = starts.toSorted((a, b) => a - b);
  for (let index = count; index < sorted.length; index++) {
    expect((sorted[index] ?? 0) - (sorted[index - count] ?? 0)).toBeGreaterThanOrEqual(spanMs);
  }
}

const pace = (limit: RateLimit, cursor = 0, booked: number[] = []): Pace => ({ limit, cursor, booked });

describe('slots', () => {
  test('are spaced evenly for a span a tenth longer, from the earliest moment on', () => {
    expect(giveSlots(pace(perSecond(10)), null, NOW + 7, 4)).toEqual({
      slots: [NOW + 7, NOW + 117, NOW + 227, NOW + 337],
      pace: pace(perSecond(10), NOW + 447),
      slower: null,
    });
  });

  test('unused in time are lost, never saved up', () => {
    expect(giveSlots(pace(perSecond(2), NOW - 60_000), null, NOW, 2).slots).toEqual([NOW, NOW + 550]);
  });

  test('of a replay with a rate of its own leave room between them, which others use', () => {
    const replayed = giveSlots(pace(perSecond(10), NOW), pace(perSecond(2), NOW + 300), NOW, 2);
    expect(replayed).toEqual({
      slots: [NOW + 300, NOW + 850],
      pace: pace(perSecond(10), NOW, [NOW + 300, NOW + 850]),
      slower: pace(perSecond(2), NOW + 1_400),
    });
    const live = giveSlots(replayed.pace, null, NOW + 5, 7);
    expect(live.slots).toEqual([5, 115, 410, 520, 630, 740, 960].map((offset) => NOW + offset));
    expect(live.pace).toEqual(pace(perSecond(10), NOW + 1_070));
  });

  test('that were booked and are over hold nobody up, nor does anything start close to them', () => {
    const before = pace(perSecond(10), NOW, [NOW + 300]);
    expect(giveSlots(before, null, NOW + 350, 1).slots).toEqual([NOW + 410]);
    expect(giveSlots(before, null, NOW + 900, 1).pace).toEqual(pace(perSecond(10), NOW + 1_010));
  });

  test.each([perSecond(1), perSecond(3), perSecond(7), perSecond(64), perSecond(1_000), perMinute(1), perMinute(100)])(
    'P6: keep %j in every span, whoever uses them and however late within their time, beside a slower replay',
    (limit) => {
      const random = new SeededRandom(limit.count + limit.spanMs);
      const starts: number[] = [];
      const replayed: number[] = [];
      const replay = { count: Math.ceil(limit.count / 3), spanMs: limit.spanMs };
      const late = (slot: number) => slot + random.between(0, Math.floor(slotLife(limit)));
      let own = pace(limit);
      let slower: Pace | null = pace(replay);
      let now = NOW;
      while (starts.length < 3 * limit.count + 50) {
        const isReplay = random.chance(0.4);
        const events = random.between(1, isReplay ? 5 : 50);
        const given = giveSlots(own, isReplay ? slower : null, now + random.between(0, 20), events);
        own = given.pace;
        slower = given.slower ?? slower;
        const used = given.slots.map(late);
        starts.push(...used);
        if (isReplay) replayed.push(...used);
        // Sometimes claims follow close upon each other, sometimes slots go by.
        now += random.chance(0.8) ? random.between(0, Math.ceil(slotDistance(limit))) : random.between(0, 2_000);
      }
      expectKept(starts, limit);
      expectKept(replayed, replay);
    },
  );
});

describe('how much may be leased', () => {
  test('is what may start within two seconds, once one of them is free', () => {
    expect(rateAllows(pace(perSecond(10)), NOW, RATE_AHEAD_MS)).toBe(19);
    expect(rateAllows(pace(perSecond(10), NOW, [NOW + 300, NOW + 700]), NOW, RATE_AHEAD_MS)).toBe(17);
    expect(rateAllows(pace(perSecond(10), NOW + 1_000), NOW, RATE_AHEAD_MS)).toBe(10);
    expect(rateAllows(pace(perSecond(10), NOW + 1_001), NOW, RATE_AHEAD_MS)).toBe(0);
    expect(rateReady(pace(perSecond(10), NOW + 1_001), RATE_AHEAD_MS)).toBe(NOW + 1);
    expect(rateAllows(pace(perSecond(1_000)), NOW, RATE_AHEAD_MS)).toBe(1_819);
  });

  test('is one, once its slot has come, where nobody waits for one', () => {
    expect(rateAllows(pace(perSecond(1_000), NOW), NOW, 0)).toBe(1);
    expect(rateAllows(pace(perSecond(1_000), NOW + 1), NOW, 0)).toBe(0);
    expect(rateReady(pace(perSecond(10), NOW + 1), 0)).toBe(NOW + 1);
  });

  test('is one at low rates, shortly before its slot', () => {
    expect(rateAllows(pace(perMinute(1), NOW + 1_000), NOW, RATE_AHEAD_MS)).toBe(1);
    expect(rateAllows(pace(perMinute(1), NOW + 66_000), NOW, RATE_AHEAD_MS)).toBe(0);
    expect(rateReady(pace(perMinute(1), NOW + 66_000), RATE_AHEAD_MS)).toBe(NOW + 65_000);
  });
});

describe('the next free slot', () => {
  test('of a changed limit counts from the last one given', () => {
    expect(cursorOf(NOW + 66_000, perMinute(1), perSecond(10))).toBe(NOW + 110);
    expect(cursorOf(NOW + 110, perSecond(10), perMinute(1))).toBe(NOW + 66_000);
    expect(cursorOf(NOW, null, perSecond(10))).toBe(NOW);
    expect(cursorOf(NOW, perSecond(10), null)).toBe(NOW);
    expect(cursorOf(0, perMinute(1), perSecond(1_000))).toBe(0);
  });

  test('that a clock has left far ahead comes a whole span from now', () => {
    const limit = perMinute(1);
    expect(mendedCursor(pace(limit, NOW + 68_000), NOW)).toBeNull();
    // Which is not taken for another jump.
    expect(mendedCursor(pace(limit, NOW + 60_000), NOW)).toBeNull();
    expect(mendedCursor(pace(limit, NOW + 3_600_000), NOW)).toBe(NOW + 60_000);
  });
});
