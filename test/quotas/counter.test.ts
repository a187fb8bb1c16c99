import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuotaCounter, type Used, WRITE_AFTER_MS } from '../../src/quotas/counter.ts';
import type { Quota } from '../../src/quotas/protocol.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MINUTE: Quota = { count: 100, spanMs: 60_000 };
const START = 1_767_225_600_000; // a whole minute

/** A counter that can crash: what it has not written is gone. */
class World {
  readonly clock = new FakeClock(START);
  writes = 0;
  #stored: Used | undefined;
  counter = this.#start();

  #start(): QuotaCounter {
    return new QuotaCounter({
      clock: this.clock,
      background: () => undefined,
      stored: {
        get: () => this.#stored,
        put: (used) => {
          this.writes += 1;
          this.#stored = { ...used };
        },
        clear: async () => {
          this.#stored = undefined;
        },
      },
    });
  }

  crash(): void {
    this.counter = this.#start();
  }

  take(count: number, quota = MINUTE) {
    return this.counter.take({ v: 1, quota, count });
  }
}

describe('a quota', () => {
  it('gives as much as there is, then nothing until its window is over', async () => {
    const world = new World();
    const resetAt = START + 60_000;
    expect(await world.take(60)).toEqual({ outcome: 'taken', window: START, remaining: 40, resetAt });
    expect(await world.take(41)).toEqual({ outcome: 'refused', window: START, remaining: 40, resetAt });
    expect(await world.take(40)).toMatchObject({ outcome: 'taken', remaining: 0 });
    await world.clock.advance(59_999);
    expect(await world.take(1)).toMatchObject({ outcome: 'refused', remaining: 0, resetAt });
    await world.clock.advance(1);
    expect(await world.take(1)).toMatchObject({ outcome: 'taken', window: resetAt, remaining: 99 });
  });

  it('takes back what was refused after all, in its own window only', async () => {
    const world = new World();
    const { window } = await world.take(100);
    await world.counter.giveBack({ window, count: 30 });
    expect(await world.take(30)).toMatchObject({ outcome: 'taken', remaining: 0 });
    await world.clock.advance(60_000);
    await world.take(100);
    await world.counter.giveBack({ window, count: 100 });
    expect(await world.take(1)).toMatchObject({ outcome: 'refused' });
  });

  it('writes a row a second at most, however much is published, and none where a window is a second', async () => {
    const world = new World();
    for (let ms = 0; ms < 10_000; ms += 50) {
      await world.take(1, { count: 1_000, spanMs: 60_000 });
      await world.clock.advance(50);
    }
    expect(world.writes).toBeLessThanOrEqual(10_000 / WRITE_AFTER_MS);
    expect(world.writes).toBeGreaterThan(5);

    const other = new World();
    await other.take(1, { count: 5, spanMs: 1_000 });
    await other.clock.advance(5_000);
    expect(other.writes).toBe(0);
  });

  it('forgets a second at most in a crash, and nothing when it is put away for being idle', async () => {
    const world = new World();
    await world.take(70);
    await world.clock.advance(WRITE_AFTER_MS);
    await world.take(20);
    world.crash();
    expect(await world.take(30)).toMatchObject({ outcome: 'taken', remaining: 0 });

    const idle = new World();
    for (let day = 0; day < 5; day += 1) {
      await idle.take(10);
      await idle.clock.advance(10_000);
      idle.crash();
    }
    expect(await idle.take(1)).toMatchObject({ remaining: 49 });
  });

  it('is not held up by a clock that was ahead', async () => {
    const world = new World();
    world.clock.jump(24 * 3_600_000);
    await world.take(100);
    world.clock.jump(-24 * 3_600_000);
    expect(await world.take(1)).toMatchObject({ outcome: 'taken', remaining: 99 });
  });

  it('is forgotten with its key, also by what was about to be written', async () => {
    const world = new World();
    await world.take(100);
    await world.counter.forget();
    await world.clock.advance(WRITE_AFTER_MS);
    expect(world.writes).toBe(0);
    world.crash();
    expect(await world.take(100)).toMatchObject({ outcome: 'taken' });
  });

  it('never gives more than itself in a window, whatever is taken and given back', async () => {
    const steps = fc.array(
      fc.record({ count: fc.integer({ min: 1, max: 60 }), back: fc.boolean(), ms: fc.nat(9_000) }),
    );
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const world = new World();
        const given = new Map<number, number>();
        for (const { count, back, ms } of taken) {
          const result = await world.take(count);
          const before = given.get(result.window) ?? 0;
          expect(result.outcome).toBe(before + count <= 100 ? 'taken' : 'refused');
          if (result.outcome === 'taken' && back) await world.counter.giveBack({ window: result.window, count });
          else if (result.outcome === 'taken') given.set(result.window, before + count);
          await world.clock.advance(ms);
        }
        expect(Math.max(0, ...given.values())).toBeLessThanOrEqual(100);
      }),
      { numRuns: 50 },
    );
  });
});
