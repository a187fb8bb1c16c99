import { describe, expect, it } from 'vitest';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { CALL_BYTES_MAX, CALL_TIMEOUT_MS, MESSAGE_BYTES_MAX } from '../../src/deliveries/queue.ts';
import type { QueuedEvent } from '../../src/events/handed.ts';
import { POOL_SIZE } from '../../src/subscriptions/limits.ts';
import type { ClaimedEvent, QueueTarget } from '../../src/subscriptions/protocol-claims.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, event, events } from './consumer-bench.ts';

/** The platform's limits, which a queue holds whoever sends to. */
const PLATFORM = { messageBytes: 128_000, callBytes: 256_000, messages: 100 };

class QueueBench extends Bench {
  /** Messages of each call. */
  readonly calls: QueuedEvent[][] = [];
  answer: () => unknown = () => undefined;

  constructor(given: ClaimedEvent[], more: Partial<QueueTarget> = {}) {
    super(given, { kind: 'queue', binding: 'BILLING_QUEUE', confirm: false, transform: null, ...more });
    this.bindings.queues.set('BILLING_QUEUE', {
      sendBatch: async (messages) => {
        const sizes = messages.map(({ body }) => new TextEncoder().encode(JSON.stringify(body)).length);
        expect(messages.length).toBeLessThanOrEqual(PLATFORM.messages);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(PLATFORM.messageBytes);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(PLATFORM.callBytes);
        this.calls.push(messages.map(({ body }) => body));
        return this.answer();
      },
    });
  }

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

  get queued(): QueuedEvent[] {
    return this.calls.flat();
  }
}

/** An event whose JSON takes as many bytes. */
function sized(sequence: number, bytes: number, more: Partial<ClaimedEvent> = {}): ClaimedEvent {
  const empty = { specversion: '1.0', id: `e${sequence}`, source: '/t', type: 't', data: '' };
  const json = JSON.stringify({ ...empty, data: 'x'.repeat(bytes - JSON.stringify(empty).length) });
  return event(sequence, { json, ...more });
}

describe('a queue of a consumer', () => {
  it('gets the events of a lease in one call, each in a message that says what it is', async () => {
    const bench = await new QueueBench(events(50)).run();
    expect(bench.calls).toHaveLength(1);
    expect(bench.queued).toHaveLength(50);
    expect(bench.queued[1]).toEqual({
      v: 1,
      subscription: 'billing',
      topic: 'orders',
      sequence: 2,
      attempt: 1,
      replay: null,
      redriven: false,
      sentAt: bench.startedAt,
      seal: expect.any(String),
      event: { specversion: '1.0', id: 'e2', source: '/t', type: 'order.created' },
    });
    expect(new Set(Object.values(bench.results))).toEqual(new Set(['delivered']));
  });

  it('P7 gets messages that the hub knows again, whole or claim checks, transformed or not', async () => {
    const transform = { data: 'data & "!"', headers: null, path: null };
    for (const more of [{}, { transform }]) {
      const bench = await new QueueBench([sized(1, 100), sized(2, 100, { ackId: 'a', replay: 'r' })], more).run();
      expect(bench.queued).toHaveLength(2);
      for (const message of bench.queued) expect(await bench.seals?.verify(structuredClone(message))).toBe(true);
    }
    const large = await new QueueBench([sized(1, 1_000_000)]).run();
    expect(await large.seals?.verify(large.queued[0] ?? expect.fail())).toBe(true);
  });

  it('gets no more in a call than it takes', async () => {
    const bench = await new QueueBench(Array.from({ length: 9 }, (_, index) => sized(index + 1, 60_000))).run();
    expect(bench.calls.map((call) => call.length)).toEqual([4, 4, 1]);
    expect(Object.keys(bench.results)).toHaveLength(9);
  });

  it('gets a claim check for an event that is too large for a message', async () => {
    const bench = await new QueueBench([sized(1, 1_000_000), sized(2, 100)]).run();
    expect(bench.queued.map(({ sequence, event: carried }) => [sequence, carried?.id])).toEqual([
      [1, undefined],
      [2, 'e2'],
    ]);
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'delivered' });
  });

  it.each([-2_000, -200, -150, -100, 0, 100])(
    'never gets a message over its limit (%i bytes around it)',
    async (difference) => {
      const bench = await new QueueBench([sized(1, MESSAGE_BYTES_MAX + difference)]).run();
      expect(bench.results).toEqual({ 1: 'delivered' });
    },
  );

  it('counts numbers as they will be written, so that one event fails no others of its call', async () => {
    const json = `{"specversion":"1.0","id":"e1","source":"/t","type":"t","data":[${Array(20_000).fill('1e20').join()}]}`;
    expect(json.length).toBeLessThan(MESSAGE_BYTES_MAX);
    const bench = await new QueueBench([event(1, { json }), sized(2, 100)]).run();
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'delivered' });
    expect(bench.queued[0]?.event).toBeUndefined();
  });

  it('counts bytes, not characters', async () => {
    const json = JSON.stringify({ specversion: '1.0', id: 'e1', source: '/t', type: 't', data: '€'.repeat(50_000) });
    expect(json.length).toBeLessThan(MESSAGE_BYTES_MAX);
    expect((await new QueueBench([event(1, { json })]).run()).queued[0]?.event).toBeUndefined();
  });

  it('gets no claim check for what a transform made: nobody could follow it', async () => {
    const transform = { data: '[data, data, data]', headers: null, path: null };
    const bench = await new QueueBench([sized(1, 60_000)], { transform }).run();
    expect(bench.outcomes).toMatchObject([
      { kind: 'invalid', error: expect.stringContaining('too large for a message') },
    ]);
    expect(bench.calls).toEqual([]);
  });

  it('that does not take a call fails its events, and those alone', async () => {
    const bench = new QueueBench(Array.from({ length: 6 }, (_, index) => sized(index + 1, CALL_BYTES_MAX / 4)));
    bench.answer = () => (bench.calls.length === 1 ? Promise.reject(new Error('Too Many Requests')) : undefined);
    await bench.run();
    expect(bench.results).toEqual({
      1: 'network',
      2: 'network',
      3: 'network',
      4: 'delivered',
      5: 'delivered',
      6: 'delivered',
    });
    expect(bench.outcomes[0]).toMatchObject({ error: 'The queue did not take it: Too Many Requests', status: null });
  });

  it('that does not answer has failed: what it took all the same comes twice', async () => {
    const bench = new QueueBench(events(2));
    bench.answer = () => new Promise(() => {});
    await bench.run();
    expect(bench.results).toEqual({ 1: 'timeout', 2: 'timeout' });
    expect(bench.elapsed).toBeLessThanOrEqual(CALL_TIMEOUT_MS + 100);
  });

  it('P4 gets nothing more of a lease once its subscription is paused', async () => {
    const large = Array.from({ length: 20 }, (_, index) => sized(index + 1, 100_000));
    const bench = new QueueBench(large);
    bench.settler = () => ({ outcome: 'settled', remaining: 20, stop: true });
    bench.answer = () => bench.clock.sleep(CALL_TIMEOUT_MS - 1);
    await bench.run();
    expect(bench.calls).toHaveLength(POOL_SIZE);
    const taken = Object.values(bench.results).filter((result) => result === 'delivered');
    expect(taken).toHaveLength(bench.queued.length);
    expect(Object.values(bench.results).filter((result) => result === 'released')).toHaveLength(20 - taken.length);
  });

  it('gets each event in its slot where the rate is limited', async () => {
    const { startedAt } = new Bench([]);
    const bench = await new QueueBench(events(3, (n) => ({ notBefore: startedAt + 100 * (n - 1) }))).run();
    expect(bench.calls.map((call) => call.map(({ sequence, sentAt }) => [sequence, sentAt - startedAt]))).toEqual([
      [[1, 0]],
      [[2, 100]],
      [[3, 200]],
    ]);
  });

  it('P4 loses nothing and spends no attempt while its binding is gone', async () => {
    const bench = new QueueBench(events(1));
    bench.bindings.queues.clear();
    bench.bindings.services.set('BILLING_QUEUE', { handle: async () => undefined, fetch: async () => new Response() });
    await bench.run();
    const obstacle = `The hub's Worker has no queue binding "BILLING_QUEUE" (it is a service binding); it has: none. Add it to wrangler.toml and deploy.`;
    expect(bench.outcomes).toEqual([{ kind: 'released', topic: 'orders', sequence: 1, obstacle }]);
  });
});

describe('a queue while HUB_SECRET is none', () => {
  it('P4 gets nothing that could not be known again; nothing is lost, and no attempt spent', async () => {
    const bench = new QueueBench(events(1));
    bench.seals = null;
    await bench.run();
    const obstacle = expect.stringContaining('HUB_SECRET is not base64');
    expect(bench.outcomes).toEqual([{ kind: 'released', topic: 'orders', sequence: 1, obstacle }]);
    expect(bench.queued).toEqual([]);
  });
});

describe('a queue whose consumer confirms', () => {
  const confirmed = (count: number) => events(count, (sequence) => ({ ackId: `a${sequence}` }));

  it('gets ack ids; of what it has taken nothing is said yet', async () => {
    const bench = await new QueueBench(confirmed(2), { confirm: true }).run();
    expect(bench.queued.map(({ ackId }) => ackId)).toEqual(['a1', 'a2']);
    expect(bench.outcomes).toEqual([]);
  });

  it('that does not take them fails them at once', async () => {
    const bench = new QueueBench(confirmed(2), { confirm: true });
    bench.answer = () => Promise.reject(new Error('down'));
    await bench.run();
    expect(bench.results).toEqual({ 1: 'network', 2: 'network' });
  });
});
