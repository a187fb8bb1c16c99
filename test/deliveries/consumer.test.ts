import { describe, expect, it } from 'vitest';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, event, events, MESSAGE, run, target } from './consumer-bench.ts';

const sequences = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('a lease', () => {
  it('is claimed, sent, and settled in one go', async () => {
    const bench = new Bench(events(3));
    await run(bench);
    expect(bench.started).toEqual([1, 2, 3]);
    expect(bench.settles).toHaveLength(1);
    expect(bench.settles[0]).toMatchObject({ v: 1, lease: 7, token: 'token-1' });
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'delivered', 3: 'delivered' });
  });

  it('that is void costs nothing more', async () => {
    const bench = new Bench(events(1));
    bench.claim = async () => ({ outcome: 'void' });
    await run(bench);
    expect(bench.sent).toEqual([]);
    expect(bench.settles).toEqual([]);
  });

  it('whose claim throws is logged and left to its subscription', async () => {
    const bench = new Bench(events(1));
    bench.claim = () => Promise.reject(new Error('the object restarts'));
    await run(bench);
    expect(bench.claims).toBe(1);
    expect(bench.logs).toMatchObject([{ level: 'warn', fields: { subscription: 'billing', lease: 7 } }]);
  });

  it.each([
    null,
    'x',
    7,
    {},
    { v: 2, subscription: 'billing', lease: 7 },
    { v: 1, subscription: 7, lease: 7 },
    { v: 1, subscription: 'billing', lease: '7' },
    { v: 1, subscription: 'billing' },
  ])('message that is garbage (%j) is logged and dropped', async (message) => {
    const bench = new Bench(events(1));
    await deliverLease(message, bench.ports);
    expect(bench.claims).toBe(0);
    expect(bench.logs).toMatchObject([
      { level: 'error', fields: { dropped: message === 'x' ? 'x' : JSON.stringify(message) } },
    ]);
  });

  it.each([
    ['long', { secret: 'x'.repeat(100_000) }],
    ['a long text', 'x'.repeat(100_000)],
    ['not even JSON', { amount: 1n }],
    ['nothing at all', undefined],
  ])('message that is %s is named in the log by its beginning', async (_, message) => {
    const bench = new Bench(events(1));
    await deliverLease(message, bench.ports);
    expect(bench.logs).toMatchObject([{ level: 'error', fields: { dropped: expect.any(String) } }]);
    expect(JSON.stringify(bench.logs).length).toBeLessThan(500);
  });

  it('keeps six requests under way, started in order', async () => {
    const bench = new Bench(events(20));
    bench.receiver = (sent) => bench.after(sent.sequence % 2 === 0 ? 300 : 1_000)(sent);
    await run(bench);
    expect(bench.inFlightMax).toBe(6);
    expect(bench.started).toEqual(sequences(20));
    expect(Object.values(bench.results)).toEqual(Array(20).fill('delivered'));
  });

  it('sends each event exactly once', async () => {
    const bench = new Bench(events(50), target({ timeoutMs: 5_000 }));
    bench.receiver = (sent) => bench.after((sent.sequence * 7919) % 6_000)(sent);
    await run(bench);
    expect(bench.started).toEqual(sequences(50));
    expect(bench.outcomes.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(sequences(50));
  });

  it('starts no event before its rate slot', async () => {
    const { startedAt } = new Bench([]);
    const bench = new Bench(events(4, (sequence) => ({ notBefore: startedAt + 250 * (sequence - 1) })));
    await run(bench);
    expect(bench.sent.map(({ at }) => at)).toEqual([0, 250, 500, 750]);
  });

  it('uses no rate slot late: an event whose own was missed takes the next, and what is left over goes back', async () => {
    const { startedAt } = new Bench([]);
    const bench = new Bench(events(10, (sequence) => ({ notBefore: startedAt + 100 * (sequence - 1) })));
    bench.receiver = bench.after(770);
    await run(bench);
    // Six are under way until 770; the slots at 600 and 700 are over by then.
    expect(bench.sent.map(({ sequence, at }) => [sequence, at])).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((sequence) => [sequence, 100 * (sequence - 1)]),
      [7, 800],
      [8, 900],
    ]);
    expect(bench.outcomes.filter(({ kind }) => kind === 'released')).toEqual([
      { kind: 'released', topic: 'orders', sequence: 9, missed: true },
      { kind: 'released', topic: 'orders', sequence: 10, missed: true },
    ]);
  });

  it('gives back at once what has no slot left, while the receiver takes its time', async () => {
    const { startedAt } = new Bench([]);
    const bench = new Bench(events(8, (sequence) => ({ notBefore: startedAt + 10 * (sequence - 1) })));
    bench.receiver = bench.after(3_000);
    await run(bench);
    expect(bench.started).toEqual(sequences(6));
    const early = bench.settles.find(({ outcomes }) => outcomes.length > 0);
    expect(early?.at).toBeLessThanOrEqual(200);
    expect(early?.outcomes).toMatchObject([
      { sequence: 7, missed: true },
      { sequence: 8, missed: true },
    ]);
  });

  it.each([429, 502, 503, 504])(
    'starts no more once the receiver has answered %i, and gives the rest back',
    async (status) => {
      const bench = new Bench(events(20));
      bench.receiver = bench.after(100, () => new Response(null, { status }));
      await run(bench);
      expect(bench.started).toEqual(sequences(6));
      expect(Object.values(bench.results).filter((result) => result === 'released')).toHaveLength(14);
      expect(bench.outcomes.some((outcome) => 'missed' in outcome)).toBe(false);
    },
  );

  it('of 24 events that all time out ends after a minute, all attempted', async () => {
    const bench = new Bench(events(24));
    bench.receiver = () => new Promise(() => {});
    const took = await run(bench);
    expect(took).toBeLessThanOrEqual(60_100);
    expect(new Set(Object.values(bench.results))).toEqual(new Set(['timeout']));
    expect(Object.keys(bench.results)).toHaveLength(24);
  });

  it('releases what it could not start within a minute', async () => {
    const bench = new Bench(events(40));
    bench.receiver = () => new Promise(() => {});
    await run(bench);
    const released = Object.values(bench.results).filter((kind) => kind === 'released');
    expect(released).toHaveLength(40 - bench.started.length);
    expect(released.length).toBeGreaterThanOrEqual(10);
  });

  it('does not hang when the clock is set back an hour while it waits for a slot', async () => {
    const bench = new Bench(events(1, () => ({ notBefore: new Bench([]).startedAt + 1_000 })));
    const lease = deliverLease(MESSAGE, bench.ports);
    await settled();
    bench.clock.jump(-3_600_000);
    for (let step = 0; step < 62; step += 1) await bench.clock.advance(1_000);
    await lease;
    expect(bench.results).toEqual({ 1: 'released' });
  });
});

describe('a batch', () => {
  const batching = target({ format: 'batch', maxBatch: 3 });

  it('is one request, of which the same becomes of all its events', async () => {
    const bench = new Bench(events(3), batching);
    bench.receiver = () => new Response('busy', { status: 503, headers: { 'retry-after': '60' } });
    await run(bench);
    expect(bench.sent).toHaveLength(1);
    expect(bench.settles).toHaveLength(1);
    expect(bench.results).toEqual({ 1: 'failed 503', 2: 'failed 503', 3: 'failed 503' });
    const { sequence: _, ...first } = bench.outcomes[0] ?? expect.fail();
    for (const outcome of bench.outcomes) expect(outcome).toMatchObject(first);
  });

  it('is given back whole when it may not be started', async () => {
    const bench = new Bench(
      events(3, () => ({ notBefore: Number.MAX_SAFE_INTEGER })),
      batching,
    );
    await run(bench);
    expect(bench.sent).toEqual([]);
    expect(bench.results).toEqual({ 1: 'released', 2: 'released', 3: 'released' });
  });
});

describe('renewals', () => {
  it('go out every five seconds with what there is to report, an empty one too', async () => {
    const bench = new Bench(events(2));
    bench.receiver = (sent) => bench.after(sent.sequence === 1 ? 7_000 : 12_000)(sent);
    await run(bench);
    expect(bench.settles.map(({ at, outcomes }) => [at, outcomes.map(({ sequence }) => sequence)])).toEqual([
      [5_000, []],
      [10_000, [1]],
      [12_000, [2]],
    ]);
  });

  it('come as often as the claim says', async () => {
    const bench = new Bench(events(1), target(), 750);
    bench.receiver = bench.after(2_000);
    await run(bench);
    expect(bench.settles.map(({ at }) => at)).toEqual([750, 1_500, 2_000]);
  });

  it('that find the lease fenced start nothing more and drop what is under way', async () => {
    const bench = new Bench(events(12));
    bench.receiver = bench.after(6_000);
    bench.settler = () => ({ outcome: 'fenced' });
    await run(bench);
    expect(bench.started).toEqual(sequences(6));
    expect(bench.settles).toHaveLength(1);
  });

  it('that are told nothing remains start nothing more', async () => {
    const bench = new Bench(events(12));
    bench.receiver = bench.after(6_000);
    bench.settler = () => ({ outcome: 'settled', remaining: 0 });
    await run(bench);
    expect(bench.started).toEqual(sequences(6));
    expect(bench.settles).toHaveLength(1);
  });

  it('that never get through stop the starting before someone else can claim', async () => {
    const bench = new Bench(events(50), target({ timeoutMs: 5_000 }));
    bench.receiver = bench.after(4_000);
    bench.settler = () => Promise.reject(new Error('network'));
    await run(bench);
    expect(Math.max(...bench.sent.map(({ at }) => at))).toBeLessThanOrEqual(15_000);
    expect(bench.logs.map(({ message }) => message)).toContain('A lease could not be settled for now.');
  });

  it('that hang count as failed', async () => {
    const bench = new Bench(events(2));
    bench.receiver = (sent) => bench.after(sent.sequence === 1 ? 100 : 8_000)(sent);
    bench.settler = (request) => (bench.settles.length === 1 ? new Promise(() => {}) : bench.settleWell(request));
    await run(bench);
    expect(bench.settles.map(({ outcomes }) => outcomes.map(({ sequence }) => sequence))).toEqual([[1], [1], [2]]);
  });
});

describe('a settle', () => {
  it('that throws is repeated as it was, then goes through', async () => {
    const bench = new Bench(events(2));
    bench.settler = (request) => {
      if (bench.settles.length <= 2) throw new Error('the object restarts');
      return bench.settleWell(request);
    };
    await run(bench);
    expect(bench.settles).toHaveLength(3);
    expect(bench.settles.map(({ outcomes }) => outcomes)).toEqual(Array(3).fill(bench.settles[0]?.outcomes));
    expect(bench.settles.map(({ at }) => at)).toEqual([0, 100, 600]);
  });

  it('that keeps throwing is given up: the deadline of the claim heals it', async () => {
    const bench = new Bench(events(1));
    bench.settler = () => Promise.reject(new Error('gone'));
    await run(bench);
    expect(bench.settles).toHaveLength(4);
    expect(bench.logs).toMatchObject([{ level: 'warn' }]);
  });

  it('of a renewal that fails keeps its outcomes for the next', async () => {
    const bench = new Bench(events(2));
    bench.receiver = (sent) => bench.after(sent.sequence === 1 ? 100 : 9_000)(sent);
    bench.settler = (request) => {
      if (bench.settles.length <= 4) throw new Error('network');
      return bench.settleWell(request);
    };
    await run(bench);
    expect(bench.settles.at(-1)?.outcomes.map(({ sequence }) => sequence)).toEqual([1, 2]);
  });
});

describe('a zombie', () => {
  it('that wakes after its claim has run out starts nothing and is fenced', async () => {
    const bench = new Bench(events(12));
    bench.receiver = bench.after(1_000);
    bench.settler = () => ({ outcome: 'fenced' });
    const lease = deliverLease(MESSAGE, bench.ports);
    await settled();
    // Stopped for 20 s: time has gone on, its timers have not.
    bench.clock.jump(20_000);
    await bench.clock.advance(10_000);
    await lease;
    expect(bench.started).toEqual(sequences(6));
    expect(bench.settles).toHaveLength(1);
    expect(bench.logs).toMatchObject([{ level: 'info' }]);
  });
});

describe('a 410', () => {
  it('is reported, and all that is not yet started goes back at once', async () => {
    const bench = new Bench(events(12));
    bench.receiver = (sent) =>
      sent.sequence === 2 ? bench.after(500, () => new Response('', { status: 410 }))(sent) : bench.after(4_000)(sent);
    await run(bench);
    expect(bench.started).toEqual(sequences(6));
    expect(bench.settles[0]?.at).toBe(500);
    expect(bench.settles[0]?.outcomes.map(({ kind, sequence }) => [kind, sequence])).toEqual([
      ['failed', 2],
      ...[7, 8, 9, 10, 11, 12].map((sequence) => ['released', sequence]),
    ]);
    expect(bench.results).toMatchObject({ 1: 'delivered', 2: 'failed 410', 6: 'delivered' });
  });
});

describe('a 410 late in a lease', () => {
  it('sends the rest back at once all the same', async () => {
    const bench = new Bench(events(18));
    bench.receiver = (sent) =>
      sent.sequence === 8
        ? bench.after(3_000, () => new Response('', { status: 410 }))(sent)
        : bench.after(sent.sequence <= 6 ? 6_000 : 9_000)(sent);
    await run(bench);
    expect(bench.settles.map(({ at }) => at)).toEqual([5_000, 9_000, 14_000, 15_000]);
    expect(bench.settles[1]?.outcomes.filter(({ kind }) => kind === 'released')).toHaveLength(6);
  });
});

describe('P6: a consumer that misbehaves', () => {
  it('holds one slot for its timeout and no more', async () => {
    const bench = new Bench(events(30), target({ timeoutMs: 2_000 }));
    bench.receiver = (sent) => (sent.sequence === 3 ? new Promise(() => {}) : bench.after(100)(sent));
    const took = await run(bench);
    expect(took).toBeLessThanOrEqual(2_050);
    expect(bench.results[3]).toBe('timeout');
  });

  it('gets a timeout that starts with the slot, not with the lease', async () => {
    const bench = new Bench(events(12), target({ timeoutMs: 1_000 }));
    bench.receiver = bench.after(900);
    await run(bench);
    expect(new Set(Object.values(bench.results))).toEqual(new Set(['delivered']));
  });

  it('of a sort this version does not know kills nobody', async () => {
    const bench = new Bench([event(1), event(2)]);
    bench.receiver = (sent) => {
      if (sent.sequence === 1) throw 'not even an error';
      return new Response('ok');
    };
    await run(bench);
    expect(bench.results).toEqual({ 1: 'network', 2: 'delivered' });
  });
});

describe('P7: a receiver whose name', () => {
  const unresolved = {
    ok: false as const,
    code: 'look-up-failed' as const,
    detail: 'example.com could not be looked up.',
  };
  const inside = { ok: false as const, code: 'address-not-public' as const, detail: 'It resolves to 10.0.0.1.' };

  it('can not be looked up is sent nothing, and everything goes back at once without an attempt', async () => {
    const bench = new Bench(events(20));
    bench.guard = { check: async () => unresolved };
    await run(bench);
    expect(bench.sent).toEqual([]);
    expect(bench.outcomes).toHaveLength(20);
    expect(bench.outcomes.every(({ kind }) => kind === 'released')).toBe(true);
    expect(bench.outcomes).toContainEqual({
      kind: 'released',
      topic: 'orders',
      sequence: 1,
      obstacle: unresolved.detail,
    });
    expect(bench.settles.map(({ at }) => at)).toEqual([0]);
  });

  it('can not be looked up any more in the middle of a lease is sent no more of it', async () => {
    const bench = new Bench(events(20));
    bench.receiver = bench.after(1_000);
    bench.guard = { check: async (url) => (bench.elapsed < 1_000 ? { ok: true, url } : unresolved) };
    await run(bench);
    expect(bench.started).toEqual(sequences(6));
    expect(Object.values(bench.results).filter((kind) => kind === 'delivered')).toHaveLength(6);
    expect(Object.values(bench.results).filter((kind) => kind === 'released')).toHaveLength(14);
  });

  it('was public when it was made and leads inside now is sent nothing: that is a failed attempt', async () => {
    const bench = new Bench(events(3));
    bench.guard = { check: async () => inside };
    await run(bench);
    expect(bench.sent).toEqual([]);
    expect(bench.outcomes).toMatchObject(
      [1, 2, 3].map((sequence) => ({
        kind: 'failed',
        outcome: 'failed',
        sequence,
        status: null,
        latencyMs: 0,
        error: 'Not sent: It resolves to 10.0.0.1.',
      })),
    );
  });

  it('does not exist any more fails for want of a network', async () => {
    const bench = new Bench(events(1));
    bench.guard = { check: async () => ({ ...inside, code: 'name-unknown' }) };
    await run(bench);
    expect(bench.results).toEqual({ 1: 'network' });
  });

  it('takes long to look up starts no request after its lease was stopped meanwhile', async () => {
    const bench = new Bench(events(12), target(), 750);
    bench.guard = {
      check: async (url) => {
        await bench.clock.sleep(2_900);
        return { ok: true, url };
      },
    };
    bench.settler = () => ({ outcome: 'settled', remaining: 12, stop: true });
    await run(bench);
    expect(bench.sent).toEqual([]);
    expect(bench.results).toEqual(Object.fromEntries(sequences(12).map((sequence) => [sequence, 'released'])));
  });

  it('takes long to look up is not said to answer slowly for it', async () => {
    const bench = new Bench(events(1));
    let looked = false;
    bench.guard = {
      check: async (url) => {
        if (!looked) await bench.clock.sleep(2_900);
        looked = true;
        return { ok: true, url };
      },
    };
    bench.receiver = bench.after(100);
    await run(bench);
    expect(bench.outcomes).toMatchObject([{ kind: 'delivered', latencyMs: 100 }]);
  });
});
