import { describe, expect, it } from 'vitest';
import {
  GOES_ON_MS,
  INVOCATION_REQUESTS_MAX,
  INVOCATION_SERVICE_CALLS_MAX,
  SERVICE_CALLS_MAX,
  SWIFT_EVENTS_MAX,
} from '../../src/subscriptions/limits.ts';
import type { Claim, ClaimedEvent, SettleRequest, SettleResult } from '../../src/subscriptions/protocol-claims.ts';
import { Bench, event, run, target } from './consumer-bench.ts';

const LEASE = 5;
const FIRST = 7;

const from = (first: number, count = LEASE): ClaimedEvent[] =>
  Array.from({ length: count }, (_, index) => event(first + index));

/** A subscription with more and more leases, of so many events each; it gives them out as it is asked for them. */
function endless(bench: Bench, deliveryTarget: Claim['target'] = target(), size = LEASE): void {
  let leases = 0;
  bench.settler = (request: SettleRequest): SettleResult => {
    const settled = { outcome: 'settled' as const, remaining: 0 };
    if (request.goesOn !== true) return settled;
    leases += 1;
    const claim: Claim = {
      outcome: 'claimed',
      token: `token-${leases + 1}`,
      renewEveryMs: 5_000,
      subscription: 'billing',
      events: from(leases * size + 1, size),
      target: deliveryTarget,
      slotLifeMs: 49,
    };
    return { ...settled, next: { lease: FIRST + leases, claim } };
  };
}

describe('the next lease', () => {
  it('is worked on by the same invocation, under its own number and token', async () => {
    const bench = new Bench(from(1));
    endless(bench);
    bench.receiver = bench.after(200);
    await run(bench);
    expect(bench.claims).toBe(1);
    expect(bench.started).toEqual(Array.from({ length: bench.started.length }, (_, index) => index + 1));
    expect(bench.started.length).toBeGreaterThan(LEASE);
    expect(bench.settles.map(({ lease, token }) => [lease, token])).toEqual(
      bench.settles.map((_, index) => [FIRST + index, `token-${index + 1}`]),
    );
    expect(Object.keys(bench.results)).toHaveLength(bench.started.length);
  });

  it('is not asked for after some time, so that messages of others have their turn', async () => {
    const bench = new Bench(from(1));
    endless(bench);
    bench.receiver = bench.after(0.4 * GOES_ON_MS);
    await run(bench);
    expect(bench.settles.map(({ goesOn, at }) => [goesOn, at])).toEqual([
      [true, 0.4 * GOES_ON_MS],
      [true, 0.8 * GOES_ON_MS],
      [undefined, 1.2 * GOES_ON_MS],
    ]);
  });

  it.each([3_600_000, -3_600_000])('is not asked for after the clock has jumped by %i ms', async (jump) => {
    const bench = new Bench(from(1));
    endless(bench);
    bench.receiver = () => {
      bench.clock.jump(jump);
      return new Response('ok');
    };
    await run(bench, 10_000_000);
    expect(bench.settles.map(({ goesOn }) => goesOn)).toEqual([undefined]);
  });

  it('is not asked for when an invocation has not as many requests left as a lease may take', async () => {
    const bench = new Bench(from(1, SWIFT_EVENTS_MAX));
    endless(bench, target(), SWIFT_EVENTS_MAX);
    await run(bench);
    expect(bench.started.length).toBeGreaterThan(INVOCATION_REQUESTS_MAX - SWIFT_EVENTS_MAX);
    expect(bench.started.length).toBeLessThanOrEqual(INVOCATION_REQUESTS_MAX);
  });

  it('is not asked for when an invocation has not as many calls of Workers left as a lease may take', async () => {
    const service = {
      kind: 'service',
      binding: 'BILLING',
      call: 'rpc',
      timeoutMs: 1_000,
      maxBatch: 1,
      transform: null,
    } as const;
    const bench = new Bench(from(1, 3), service);
    let calls = 0;
    bench.bindings.services.set('BILLING', {
      handle: async () => {
        calls += 1;
        return undefined;
      },
      fetch: async () => new Response(null),
    });
    endless(bench, service, 3);
    await run(bench);
    expect(bench.settles.map(({ goesOn }) => goesOn)).toEqual([true, undefined]);
    expect(calls).toBe(6);
    expect(calls + SERVICE_CALLS_MAX).toBeGreaterThan(INVOCATION_SERVICE_CALLS_MAX);
  });

  it.each([
    ['pushes back', 503],
    ['is gone', 410],
  ])('is not asked for where the receiver %s', async (_, status) => {
    const bench = new Bench(from(1));
    endless(bench);
    bench.receiver = () => new Response(null, { status });
    await run(bench);
    expect(bench.settles.map(({ goesOn }) => goesOn)).toEqual([undefined]);
  });

  it('that can not be worked on is given up, and said so', async () => {
    const bench = new Bench(from(1));
    const rotten = Object.defineProperty(target(), 'format', {
      get: () => {
        throw new Error('There is no such format.');
      },
    });
    endless(bench, rotten);
    await run(bench);
    expect(bench.started).toHaveLength(LEASE);
    expect(bench.logs).toMatchObject([{ level: 'error', fields: { subscription: 'billing', lease: FIRST + 1 } }]);
  });
});
