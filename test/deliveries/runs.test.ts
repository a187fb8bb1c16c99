import { describe, expect, it } from 'vitest';
import { Bench, event, run } from './consumer-bench.ts';

/** One event for each of these keys, from sequence 1 on. */
const keyed = (...keys: (string | null)[]) => keys.map((key, index) => event(index + 1, { key }));
const status = (code: number) => new Response(null, { status: code });

describe('P2: the events of a lease that have the same key', () => {
  it('go one after the other, other keys and events without one beside them', async () => {
    const bench = new Bench(keyed('a', 'b', 'a', null, 'b', null));
    const underWay = new Set<number>();
    const clashes: number[][] = [];
    const rivals: Record<number, number[]> = { 1: [3], 3: [1], 2: [5], 5: [2] };
    bench.receiver = async (sent) => {
      const clash = rivals[sent.sequence]?.filter((other) => underWay.has(other)) ?? [];
      if (clash.length > 0) clashes.push([sent.sequence, ...clash]);
      underWay.add(sent.sequence);
      const answer = await bench.after(100)(sent);
      underWay.delete(sent.sequence);
      return answer;
    };
    expect(await run(bench)).toBeLessThan(400);
    expect(clashes).toEqual([]);
    expect(bench.inFlightMax).toBe(4);
    expect(bench.started).toEqual([1, 2, 4, 6, 3, 5]);
    expect(new Set(Object.values(bench.results))).toEqual(new Set(['delivered']));
  });

  it('go back unattempted behind one that fails; the others run on', async () => {
    const bench = new Bench(keyed('a', 'b', 'a', 'b', 'a'));
    bench.receiver = ({ sequence }) => status(sequence === 1 ? 500 : 204);
    await run(bench);
    expect(bench.started).toEqual([1, 2, 4]);
    expect(bench.results).toEqual({
      1: 'failed 500',
      2: 'delivered',
      3: 'released',
      4: 'delivered',
      5: 'released',
    });
    expect(bench.settles).toHaveLength(1);
  });

  it('go back where the subscription stops in the middle of them, while one is under way', async () => {
    const bench = new Bench(keyed('a', 'a', 'a'));
    bench.receiver = (sent) => bench.after(8_000)(sent);
    bench.settler = (request) => ({ ...bench.settleWell(request), stop: true });
    await run(bench);
    expect(bench.started).toEqual([1]);
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'released', 3: 'released' });
  });

  it('wait for their rate slots, each in its turn', async () => {
    const now = new Bench([]).clock.now();
    const bench = new Bench([event(1, { key: 'a', notBefore: now }), event(2, { key: 'a', notBefore: now + 700 })]);
    await run(bench);
    expect(bench.sent.map(({ at }) => at >= 700)).toEqual([false, true]);
  });

  it('say so when they are redriven', async () => {
    const bench = new Bench([event(1, { redriven: true }), event(2)]);
    await run(bench);
    expect(bench.sent.map(({ init }) => init.headers['millrace-redriven'])).toEqual(['true', undefined]);
  });
});
