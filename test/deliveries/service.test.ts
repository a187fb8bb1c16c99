import { describe, expect, it } from 'vitest';
import type { ConsumerService, ServiceRequest } from '../../src/deliveries/bindings.ts';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { ANSWER_BYTES_MAX } from '../../src/deliveries/service.ts';
import type { HandedEvent } from '../../src/events/handed.ts';
import type { ClaimedEvent, ServiceTarget } from '../../src/subscriptions/protocol-claims.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, events } from './consumer-bench.ts';

/** What the platform throws at whoever calls a method that is not there. */
const NO_METHOD = new TypeError('The RPC receiver does not implement the method "handle".');
/** And what a caller sees of a consumer that is ended or replaced while it is called. */
const LOST = Object.assign(new Error('Network connection lost.'), { remote: true, retryable: true });

function service(more: Partial<ServiceTarget> = {}): ServiceTarget {
  const always = { kind: 'service', call: 'rpc', timeoutMs: 15_000, maxBatch: 10, transform: null } as const;
  return { ...always, binding: 'BILLING', ...more };
}

/** A bench with a consumer Worker behind BILLING that keeps the calls it got. */
class ServiceBench extends Bench {
  readonly calls: HandedEvent[][] = [];
  readonly requests: { url: string; init: ServiceRequest }[] = [];

  constructor(
    given: ClaimedEvent[],
    more: Partial<ServiceTarget> = {},
    answer: (call: HandedEvent[]) => unknown = () => undefined,
  ) {
    super(given, service(more));
    const consumer: ConsumerService = {
      handle: async (deliveries) => {
        this.calls.push(deliveries);
        return answer(deliveries);
      },
      fetch: async (url, init) => {
        this.requests.push({ url, init });
        const deliveries: HandedEvent[] = JSON.parse(init.body);
        this.calls.push(deliveries);
        const answered = await answer(deliveries);
        return answered instanceof Response ? answered : Response.json(answered);
      },
    };
    this.bindings.services.set('BILLING', consumer);
  }

  /** Runs the lease to its end. */
  async run(): Promise<this> {
    let done = false;
    const lease = deliverLease({ v: 1, subscription: 'billing', lease: 7 }, this.ports).then(() => {
      done = true;
    });
    await settled();
    while (!done && this.elapsed < 120_000) await this.clock.advance(50);
    await lease;
    return this;
  }

  /** Sequences of each call. */
  get called(): number[][] {
    return this.calls.map((call) => call.map(({ sequence }) => sequence));
  }

  get errors(): Record<number, string | null> {
    return Object.fromEntries(
      this.outcomes.map((outcome) => [outcome.sequence, 'error' in outcome ? (outcome.error ?? null) : null]),
    );
  }
}

const ack = { result: 'ack' };

describe('a consumer Worker called by RPC', () => {
  it('gets several events in a call, as what they are and where they are from', async () => {
    const bench = await new ServiceBench(events(12)).run();
    expect(bench.called).toEqual([
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      [11, 12],
    ]);
    const about = { v: 1, subscription: 'billing', topic: 'orders', attempt: 1, replay: null, redriven: false };
    expect(bench.calls[0]?.[0]).toEqual({
      ...about,
      sequence: 1,
      event: { specversion: '1.0', id: 'e1', source: '/t', type: 'order.created' },
    });
  });

  it('has taken all where it returns nothing', async () => {
    expect((await new ServiceBench(events(3)).run()).results).toEqual({
      1: 'delivered',
      2: 'delivered',
      3: 'delivered',
    });
  });

  it('says of each event what became of it', async () => {
    const answer = () => [
      ack,
      { result: 'retry', delay: '90s', reason: 'busy' },
      { result: 'retry' },
      { result: 'reject', reason: 'no such customer' },
    ];
    const bench = await new ServiceBench(events(4), {}, answer).run();
    expect(bench.outcomes).toMatchObject([
      { kind: 'delivered', sequence: 1, status: null },
      { kind: 'failed', sequence: 2, outcome: 'failed', status: null, error: 'busy', retryAfterMs: 90_000 },
      { kind: 'failed', sequence: 3, error: 'The consumer wants it again.', retryAfterMs: null },
      { kind: 'failed', sequence: 4, error: 'no such customer', dead: 'rejected' },
    ]);
  });

  it.each([
    [
      'throws',
      Object.assign(new RangeError('a bug'), { remote: true }),
      'failed',
      'The consumer threw RangeError: a bug',
    ],
    [
      'has no such method',
      NO_METHOD,
      'failed',
      expect.stringMatching(/^The Worker behind BILLING has no method handle: .*"call": "fetch"/),
    ],
    ['is replaced in the middle', LOST, 'network', 'Error: Network connection lost.'],
  ])('that %s fails all events of the call', async (_, error, outcome, told) => {
    const bench = await new ServiceBench(events(2), {}, () => Promise.reject(error)).run();
    expect(bench.results).toEqual({ 1: outcome, 2: outcome });
    expect(bench.errors).toEqual({ 1: told, 2: told });
  });

  it('that hangs past its timeout fails all events of the call, and what it says later is not heard', async () => {
    let late: (value: unknown) => void = () => {};
    const answer = () => new Promise((resolve) => (late = resolve));
    const bench = await new ServiceBench(events(2), { timeoutMs: 2_000 }, answer).run();
    expect(bench.results).toEqual({ 1: 'timeout', 2: 'timeout' });
    expect(bench.errors[1]).toBe('No answer within 2000 ms.');
    late([ack, ack]);
    await settled();
    expect(bench.settles).toHaveLength(1);
  });

  it.each([
    ['null', null, 'Answered null to 2 events'],
    ['a text', 'ok', 'Answered something else (string) to 2 events'],
    ['an object', { results: [] }, 'Answered something else (object) to 2 events'],
    ['a function', () => 1, 'Answered something else (function) to 2 events'],
    ['too few results', [ack], 'Answered 1 results to 2 events'],
    ['too many results', [ack, ack, ack], 'Answered 3 results to 2 events'],
  ])('that returns %s has taken nothing', async (_, value, told) => {
    const bench = await new ServiceBench(events(2), {}, () => value).run();
    expect(bench.results).toEqual({ 1: 'failed', 2: 'failed' });
    expect(bench.errors[2]).toContain(told);
  });

  it.each([
    null,
    'ack',
    {},
    { result: 'nack' },
    { result: 'retry', delay: 'soon' },
    { result: 'retry', delay: 30 },
    { result: 'reject', reason: 7 },
  ])('whose result for one event is %j fails that one alone', async (wrong) => {
    const bench = await new ServiceBench(events(2), {}, () => [wrong, ack]).run();
    expect(bench.results).toEqual({ 1: 'failed', 2: 'delivered' });
    expect(bench.errors[1]).toMatch(
      /^Its result is none: (it|result|delay|reason) must be (an object|one of "ack", "retry", "reject"|a duration|a string)/,
    );
  });

  it('lets go of what it was answered', async () => {
    let disposed = 0;
    const answer = () => Object.assign([ack], { [Symbol.dispose]: () => (disposed += 1) });
    expect((await new ServiceBench(events(1), {}, answer).run()).results).toEqual({ 1: 'delivered' });
    expect(disposed).toBe(1);
  });

  it('P6 gets what has failed before in calls of their own: one bad event fails no others for ever', async () => {
    const again = (sequence: number) => (sequence === 2 ? { attempt: 2 } : {});
    expect((await new ServiceBench(events(4, again)).run()).called).toEqual([[1, 3, 4], [2]]);
  });

  it('P2 gets events of a key one after the other, up to the first that fails', async () => {
    const keyed = (sequence: number) => ({ key: sequence % 2 === 0 ? 'even' : 'odd' });
    const answer = (call: HandedEvent[]) => call.map(({ sequence }) => (sequence === 3 ? { result: 'retry' } : ack));
    const bench = await new ServiceBench(events(6, keyed), {}, answer).run();
    expect(bench.called.sort()).toEqual([[1], [2], [3], [4], [6]]);
    expect(bench.results).toMatchObject({ 1: 'delivered', 3: 'failed', 5: 'released', 6: 'delivered' });
  });

  it('P2 goes on behind an event that is rejected: that is dead, and nothing waits for it', async () => {
    const answer = ([one]: HandedEvent[]) => [one?.sequence === 1 ? { result: 'reject' } : ack];
    const bench = await new ServiceBench(
      events(2, () => ({ key: 'k' })),
      {},
      answer,
    ).run();
    expect(bench.results).toEqual({ 1: 'failed', 2: 'delivered' });
  });

  it('gets one event a call, each in its slot, where the rate is limited', async () => {
    const { startedAt } = new Bench([]);
    const paced = (sequence: number) => ({ notBefore: startedAt + 100 * (sequence - 1) });
    expect((await new ServiceBench(events(3, paced)).run()).called).toEqual([[1], [2], [3]]);
  });

  it('gets the data that the transform makes; an event that it fails on dies alone', async () => {
    const data = '$exists(id) and id = "e2" ? $error("no") : { "is": id }';
    const transform = { data, headers: null, path: null };
    const bench = await new ServiceBench(events(2), { transform }).run();
    expect(bench.calls).toMatchObject([[{ sequence: 1, event: { id: 'e1', data: { is: 'e1' } } }]]);
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'invalid' });
  });

  it('P4 loses nothing and spends no attempt while its binding is gone', async () => {
    const bench = new ServiceBench(events(2), { binding: 'GONE' });
    await bench.run();
    const obstacle = `The hub's Worker has no service binding "GONE"; it has: BILLING. Add it to wrangler.toml and deploy.`;
    expect(bench.outcomes).toEqual(
      [1, 2].map((sequence) => ({ kind: 'released', topic: 'orders', sequence, obstacle })),
    );
  });
});

describe('a consumer Worker called by fetch', () => {
  const call = 'fetch' as const;

  it('gets the same by POST, and answers the same', async () => {
    const answer = () => [ack, { result: 'retry', delay: '5s' }, { result: 'reject' }];
    const bench = await new ServiceBench(events(3), { call }, answer).run();
    expect(bench.requests).toMatchObject([
      { url: 'https://consumer/millrace/deliveries', init: { method: 'POST', redirect: 'manual' } },
    ]);
    expect(bench.calls[0]?.[2]).toMatchObject({ v: 1, subscription: 'billing', sequence: 3, event: { id: 'e3' } });
    expect(bench.outcomes).toMatchObject([
      { kind: 'delivered', status: 200 },
      { kind: 'failed', status: 200, retryAfterMs: 5_000 },
      { kind: 'failed', status: 200, dead: 'rejected' },
    ]);
  });

  it.each([
    ['204', () => new Response(null, { status: 204 })],
    ['200 and a text', () => new Response('ok')],
    [
      '202 and an empty body that says it is JSON',
      () => new Response('', { status: 202, headers: { 'content-type': 'application/json' } }),
    ],
  ])('has taken all where it answers %s', async (_, answer) => {
    expect((await new ServiceBench(events(2), { call }, answer).run()).results).toEqual({
      1: 'delivered',
      2: 'delivered',
    });
  });

  it.each([
    [500, 'Answered 500.', null],
    [302, 'redirects are not followed', null],
    [429, 'Answered 429.', 30_000],
  ])('that answers %i has taken nothing', async (status, error, retryAfterMs) => {
    const answer = () => new Response('why', { status, headers: { 'retry-after': '30' } });
    const bench = await new ServiceBench(events(2), { call }, answer).run();
    expect(bench.outcomes).toHaveLength(2);
    for (const outcome of bench.outcomes) {
      expect(outcome).toMatchObject({
        kind: 'failed',
        status,
        response: 'why',
        retryAfterMs,
        error: expect.stringContaining(error),
      });
    }
  });

  it.each([
    [
      'JSON that is none',
      () => new Response('{', { headers: { 'content-type': 'application/json' } }),
      'that is no JSON',
    ],
    ['JSON that is no results', () => Response.json({ ok: true }), 'Answered something else (object) to 1 events'],
    ['without end', () => Response.json('x'.repeat(ANSWER_BYTES_MAX)), `more than ${ANSWER_BYTES_MAX} bytes`],
  ])('that answers %s has taken nothing', async (_, answer, error) => {
    const bench = await new ServiceBench(events(1), { call }, answer).run();
    expect(bench.results).toEqual({ 1: 'failed 200' });
    expect(bench.errors[1]).toContain(error);
  });

  it('that has no fetch is told of by that name', async () => {
    const answer = () => Promise.reject(new Error('Handler does not export a fetch() function.'));
    const bench = await new ServiceBench(events(1), { call }, answer).run();
    expect(bench.errors[1]).toMatch(/^The Worker behind BILLING has no fetch: .*"call": "rpc"/);
  });

  it('that hangs past its timeout is hung up on', async () => {
    const answer = () => new Promise(() => {});
    const bench = await new ServiceBench(events(1), { call, timeoutMs: 1_000 }, answer).run();
    expect(bench.results).toEqual({ 1: 'timeout' });
    expect(bench.requests[0]?.init.signal.aborted).toBe(true);
  });
});
