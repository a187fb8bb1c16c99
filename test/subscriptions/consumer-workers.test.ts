import { describe, expect, test } from 'vitest';
import type { QueuedEvent } from '../../src/events/handed.ts';
import type { ServiceDelivery } from '../../src/subscriptions/document.ts';
import { CLOCKS_APART_MS } from '../../src/subscriptions/limits.ts';
import { sealed } from '../support/seals.ts';
import { Bench, CONFIRMED, NAME, QUEUE, sequencesOf } from './workers-bench.ts';

/** Consumer Workers beside a hub: what they and their queues do decides what becomes of the events. */

const SERVICE: ServiceDelivery = {
  kind: 'service',
  binding: 'BILLING',
  call: 'rpc',
  timeoutMs: 5_000,
  maxBatch: 10,
  rateLimit: null,
};
describe('a queue without confirmation', () => {
  test('P4: an event is delivered once the queue has taken it', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 3);
    await bench.delivering.run(50);
    expect(sequencesOf(bench.taken())).toEqual([1, 2, 3]);
    expect(await bench.sums()).toMatchObject({ delivered: 3, pending: 0, failed: 0 });
  });

  test('P4: what it does not take is tried again by the schedule, and is a dead letter in the end', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    bench.queueFailure = new Error('Queue is overloaded');
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(1_200);
    expect(await bench.sums()).toMatchObject({ delivered: 0, pending: 1, failed: 2 });
    await bench.delivering.run(2_500);
    expect(await bench.letters()).toEqual([
      { sequence: 1, reason: 'exhausted', attempts: 3, lastError: 'The queue did not take it: Queue is overloaded' },
    ]);
  });

  test('P4: nothing is lost and no attempt spent while its binding is gone; the status says why', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    bench.delivering.bindings.queues.clear();
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(6_000, 20);
    expect(await bench.sums()).toMatchObject({
      status: 'error',
      reason: expect.stringContaining('no queue binding "MAIL_QUEUE"'),
      delivered: 0,
      failed: 0,
      pending: 2,
    });
    bench.bind();
    await bench.delivering.run(20_000, 50);
    expect(sequencesOf(bench.taken())).toEqual([1, 2]);
    expect(await bench.sums()).toMatchObject({ status: 'active', reason: null, delivered: 2, failed: 0 });
  });
});

describe('a queue whose consumer confirms', () => {
  test('P4: an event is pending until its consumer says that it is done', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const messages = bench.taken();
    expect(await bench.sums()).toMatchObject({ delivered: 0, pending: 2 });
    expect(await bench.ack(messages.slice(0, 1))).toEqual(['ok']);
    expect(await bench.sums()).toMatchObject({ delivered: 1, pending: 1 });
    expect(await bench.ack(messages)).toEqual(['ok', 'ok']);
    expect(await bench.sums()).toMatchObject({ delivered: 2, pending: 0, failed: 0 });
  });

  test('P4: what a queue loses is leased again after the deadline, with another ack id', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 3);
    await bench.delivering.run(50);
    const lost = bench.taken();
    await bench.delivering.run(11_500, 50);
    const again = bench.taken();
    expect(again.map(({ sequence, attempt }) => [sequence, attempt])).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
    ]);
    expect(new Set(bench.idsOf([...lost, ...again])).size).toBe(6);
    expect(await bench.ack(again)).toEqual(['ok', 'ok', 'ok']);
    expect(await bench.sums()).toMatchObject({ delivered: 3, pending: 0, failed: 3 });
  });

  test('P4: a consumer that never confirms makes dead letters, after the schedule', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(40_000, 50);
    expect(sequencesOf(bench.taken())).toEqual([1, 1, 1]);
    const lastError = 'It was not acknowledged in time.';
    expect(await bench.letters()).toEqual([{ sequence: 1, reason: 'exhausted', attempts: 3, lastError }]);
  });

  test('P6: a consumer that is dead gets one event at a time after a while, and all of them once it is back', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { maxInFlight: 2, retry: { scheduleMs: Array(9).fill(1_000), jitter: 0 } });
    await bench.hub.publish('orders', 6);
    await bench.delivering.run(60_000, 50);
    expect((await bench.hub.view(NAME)).health.state).toBe('failing');
    expect(bench.taken().length).toBeLessThan(10);
    for (let round = 0; round < 10; round += 1) {
      await bench.delivering.run(2_000, 20);
      const messages = bench.taken();
      if (messages.length > 0) await bench.ack(messages);
    }
    expect((await bench.hub.view(NAME)).health.state).toBe('healthy');
    expect(await bench.sums()).toMatchObject({ delivered: 6, dead: 0, pending: 0 });
  });

  test('P6: a queue that failed for a while and takes events again is found to be well when one is confirmed', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { maxInFlight: 2 });
    bench.queueFailure = new Error('down');
    await bench.hub.publish('orders', 3);
    await bench.delivering.run(1_500);
    expect((await bench.hub.view(NAME)).health.state).toBe('failing');
    bench.queueFailure = null;
    for (let round = 0; round < 5; round += 1) {
      await bench.delivering.run(2_500, 20);
      const messages = bench.taken();
      if (messages.length > 0) await bench.ack(messages);
    }
    expect((await bench.hub.view(NAME)).health.state).toBe('healthy');
    expect(await bench.sums()).toMatchObject({ delivered: 3, pending: 0 });
  });

  test('P4: rejected by its consumer an event is a dead letter at once; given back it comes again when asked for', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const [first = '', second = ''] = bench.idsOf(bench.taken());
    const nack = { v: 1 as const, delayMs: null, reason: 'no such customer', dead: 'rejected' as const };
    await bench.subscription.nack({ ...nack, ackIds: [first] });
    await bench.subscription.nack({ v: 1, ackIds: [second], delayMs: 5_000, reason: 'busy', dead: null });
    expect(await bench.letters()).toEqual([
      { sequence: 1, reason: 'rejected', attempts: 1, lastError: 'no such customer' },
    ]);
    await bench.delivering.run(4_500, 50);
    expect(bench.messages).toEqual([]);
    await bench.delivering.run(1_000, 20);
    expect(bench.taken().map(({ sequence, attempt }) => [sequence, attempt])).toEqual([[2, 2]]);
  });

  test('P7: an ack id of another subscription, or made up, is reported and settles nothing', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.subscribe('other', { delivery: CONFIRMED });
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(50);
    const own = bench.idsOf(bench.taken());
    const { outcome, ...answer } = await bench.subscription.ack({
      v: 1,
      ackIds: [...own, 'x', `1-1-${'0'.repeat(32)}`],
    });
    expect(outcome).toBe('settled');
    const codes = 'answers' in answer ? answer.answers : [];
    expect(codes.sort()).toEqual(['invalid-ack-id', 'ok', 'stale-ack-id', 'stale-ack-id']);
    expect((await bench.hub.view('other')).delivered + (await bench.hub.view(NAME)).delivered).toBe(1);
  });

  test('P2: in order by key, the next event of a key waits until the one before is confirmed', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { ordering: 'key' });
    await bench.hub.publishKeys('orders', ['a', 'b', 'a', 'b', 'a']);
    const seen: number[][] = [];
    for (let round = 0; round < 4; round += 1) {
      await bench.delivering.run(100);
      const messages = bench.taken();
      seen.push(sequencesOf(messages));
      if (messages.length > 0) await bench.ack(messages);
    }
    expect(seen).toEqual([[1, 2], [3, 4], [5], []]);
  });

  test('P2: in order by topic, one event is out at a time, also past one that is lost', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { ordering: 'topic' });
    await bench.hub.publish('orders', 3);
    const seen: number[] = [];
    let lost = false;
    for (let round = 0; round < 12; round += 1) {
      await bench.delivering.run(2_000, 20);
      const messages = bench.taken();
      seen.push(...sequencesOf(messages));
      if (messages.length > 0 && messages[0]?.sequence === 2 && !lost) lost = true;
      else if (messages.length > 0) await bench.ack(messages);
    }
    expect(seen).toEqual([1, 2, 2, 3]);
  });

  test.each([
    ['a sweep comes by', (bench: Bench) => bench.hub.awaiting(bench.subscription.sweep())],
    ['something is published', (bench: Bench) => bench.hub.publish('orders', 1)],
    [
      'the object restarts',
      (bench: Bench) => {
        bench.hub.restart(NAME);
        return bench.hub.view(NAME);
      },
    ],
  ])('P4: a clock set back an hour delays what was lost by no more than its deadline, once %s', async (_, wake) => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    expect(sequencesOf(bench.taken())).toEqual([1, 2]);
    bench.hub.clock.jump(-3_600_000);
    await wake(bench);
    await bench.delivering.run(9_500, 50);
    expect(sequencesOf(bench.taken()).filter((sequence) => sequence <= 2)).toEqual([]);
    await bench.delivering.run(2_500, 50);
    expect(sequencesOf(bench.taken()).filter((sequence) => sequence <= 2)).toEqual([1, 2]);
  });

  test('P1: what is out when the object restarts can still be confirmed', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const messages = bench.taken();
    bench.hub.restart(NAME);
    expect(await bench.ack(messages)).toEqual(['ok', 'ok']);
    expect(await bench.sums()).toMatchObject({ delivered: 2, pending: 0, failed: 0 });
  });
});

describe('what the queue of a consumer gives up on', () => {
  const reason = 'consumer';
  const lastError = "The consumer's queue gave up on it.";

  test('P4: is a dead letter of the hub, once however often it is told, and no more counted as delivered', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const [first = expect.fail()] = bench.taken();
    expect(await bench.giveUp(first)).toBe('ack');
    expect(await bench.giveUp(first)).toBe('ack');
    expect(await bench.sums()).toMatchObject({ delivered: 1, dead: 1, pending: 0 });
    expect(await bench.letters()).toEqual([{ sequence: 1, reason, attempts: 1, lastError }]);
    const [letter] = await bench.hub.lettersOf(NAME);
    expect(JSON.parse(letter?.event ?? '')).toMatchObject({ id: 'e1', topic: 'orders' });
  });

  test('P4: can be redriven, resolved, and die again', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(50);
    const [first = expect.fail()] = bench.taken();
    await bench.giveUp(first);
    await bench.letters();
    const [letter = expect.fail()] = await bench.hub.lettersOf(NAME);
    await bench.subscription.redrive(letter);
    await bench.delivering.run(100);
    const [second = expect.fail()] = bench.taken();
    expect(second).toMatchObject({ sequence: 1, attempt: 2, redriven: true });
    expect(await bench.letters()).toEqual([]);
    expect(await bench.sums()).toMatchObject({ delivered: 1, dead: 0 });
    // A message of before that, told once more.
    await bench.giveUp(first);
    expect(await bench.letters()).toEqual([]);
    await bench.giveUp(second);
    expect(await bench.letters()).toEqual([{ sequence: 1, reason, attempts: 2, lastError }]);
    expect(await bench.sums()).toMatchObject({ delivered: 0, dead: 1 });
    const [again] = await bench.hub.lettersOf(NAME);
    expect([first.sentAt < second.sentAt, again?.firstAttemptAt]).toEqual([true, first.sentAt]);
  });

  test('P4: of a subscription that sought past it is a letter that is in no sums', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 3);
    await bench.delivering.run(50);
    const [first = expect.fail()] = bench.taken();
    await bench.hub.awaiting(bench.subscription.seek({ topic: null, to: { kind: 'latest' } }));
    await bench.giveUp(first);
    expect(await bench.letters()).toEqual([{ sequence: 1, reason, attempts: 1, lastError }]);
    expect((await bench.hub.view(NAME)).dead).toBe(0);
  });

  test('P4: of a former subscription of the name is a letter that is in no sums of the one there is', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const [former = expect.fail()] = bench.taken();
    await bench.hub.awaiting(bench.subscription.remove());
    await bench.hub.advance(CLOCKS_APART_MS);
    await bench.subscribe(QUEUE, { from: { kind: 'earliest' } });
    await bench.delivering.run(50);
    expect(sequencesOf(bench.taken())).toEqual([1, 2]);
    expect(await bench.giveUp(former)).toBe('ack');
    expect(await bench.letters()).toEqual([{ sequence: 1, reason, attempts: 1, lastError }]);
    expect(await bench.sums()).toMatchObject({ delivered: 2, dead: 0 });
  });

  test('P4: of a subscription that is gone is kept all the same', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const [whole = expect.fail(), { event: _, ...check } = expect.fail()] = bench.taken();
    await bench.hub.awaiting(bench.subscription.remove());
    expect(await bench.giveUp(whole)).toBe('ack');
    expect(await bench.giveUp(await sealed(check))).toBe('ack');
    const letters = await bench.hub.lettersOf(NAME);
    expect(letters.map(({ sequence, event }) => [sequence, JSON.parse(event).id]).sort()).toEqual([
      [1, 'e1'],
      [2, 'e2'],
    ]);
  });

  test('P4: comes again from its dead letter queue while neither object nor D1 can keep it', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(50);
    const [first = expect.fail()] = bench.taken();
    bench.hub.unreachable.add('orders');
    expect(await bench.giveUp(first)).toBe('retry');
    bench.hub.unreachable.clear();
    bench.hub.d1.failure = 'before';
    expect(await bench.giveUp(first)).toBe('ack');
    expect(await bench.sums()).toMatchObject({ dead: 1 });
    bench.hub.d1.failure = null;
    await bench.hub.advance(60_000);
    expect(await bench.letters()).toHaveLength(1);
    await bench.hub.awaiting(bench.subscription.remove());
    bench.hub.d1.failure = 'before';
    expect(await bench.giveUp(await sealed({ ...first, sequence: 2 }))).toBe('retry');
  });

  test('P7: is believed of nobody but the hub: who may write to its dead letter queue kills nothing and makes up nothing', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    const [first = expect.fail(), second = expect.fail()] = bench.taken();
    const { seal: _, ...unsealed } = first;
    const forged: QueuedEvent[] = [unsealed, { ...first, sequence: 2 }, { ...first, event: second.event }];
    for (const message of [...forged, { ...unsealed, sequence: 99 }]) expect(await bench.giveUp(message)).toBe('ack');
    expect(await bench.letters()).toEqual([]);
    expect(await bench.sums()).toMatchObject({ delivered: 2, dead: 0 });
    await bench.hub.awaiting(bench.subscription.remove());
    for (const message of forged) expect(await bench.giveUp(message)).toBe('ack');
    expect(await bench.hub.lettersOf(NAME)).toEqual([]);
  });

  test('P4: though its consumer was to confirm it is dead at once; what was confirmed or comes again is left alone', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED);
    await bench.hub.publish('orders', 3);
    await bench.delivering.run(50);
    const [first = expect.fail(), second = expect.fail(), third = expect.fail()] = bench.taken();
    await bench.ack([second]);
    await bench.giveUp(first);
    await bench.giveUp(second);
    expect(await bench.letters()).toEqual([{ sequence: 1, reason, attempts: 1, lastError }]);
    expect(await bench.sums()).toMatchObject({ delivered: 1, dead: 1, pending: 1 });
    await bench.delivering.run(11_500, 50);
    const [again = expect.fail()] = bench.taken();
    expect(again.sequence).toBe(3);
    await bench.giveUp(third);
    expect(await bench.sums()).toMatchObject({ delivered: 1, dead: 1, pending: 1 });
    expect(await bench.ack([again])).toEqual(['ok']);
  });

  test('P4: of a replay is counted by the replay', async () => {
    const bench = new Bench();
    await bench.subscribe(QUEUE);
    await bench.hub.publish('orders', 2);
    await bench.delivering.run(50);
    bench.taken();
    const filter = { types: [], cel: null };
    const replay = { v: 1 as const, id: 'r1', topic: 'orders', from: { kind: 'earliest' as const }, to: null, filter };
    await bench.hub.awaiting(bench.subscription.startReplay({ ...replay, rateLimit: null }));
    await bench.delivering.run(200);
    const [first = expect.fail()] = bench.taken();
    expect(first.replay).toBe('r1');
    await bench.giveUp(first);
    await bench.giveUp(first);
    expect(await bench.letters()).toMatchObject([{ sequence: 1, reason }]);
    expect(await bench.sums()).toMatchObject({ delivered: 2, dead: 0 });
    expect(await bench.subscription.replay('r1')).toMatchObject({ total: 2, delivered: 1, failed: 1, remaining: 0 });
  });
});

describe('a consumer Worker behind a service binding', () => {
  test('P4: acks, retries and rejects each event by itself', async () => {
    const bench = new Bench();
    await bench.subscribe(SERVICE);
    bench.handle = (deliveries) =>
      deliveries.map(({ sequence, attempt }) => {
        if (sequence === 2 && attempt === 1) return { result: 'retry', delay: '3s', reason: 'busy' };
        return sequence === 3 ? { result: 'reject', reason: 'no such customer' } : { result: 'ack' };
      });
    await bench.hub.publish('orders', 4);
    await bench.delivering.run(2_900, 10);
    expect(await bench.sums()).toMatchObject({ delivered: 2, dead: 1, pending: 1, failed: 2 });
    await bench.delivering.run(1_000, 10);
    expect(await bench.sums()).toMatchObject({ delivered: 3, dead: 1, pending: 0 });
    expect(await bench.letters()).toEqual([
      { sequence: 3, reason: 'rejected', attempts: 1, lastError: 'no such customer' },
    ]);
    expect(bench.calls.map(sequencesOf)).toEqual([[1, 2, 3, 4], [2]]);
  });

  test('P6: one that rejects everything is in health: nothing waits', async () => {
    const bench = new Bench();
    await bench.subscribe(SERVICE, { maxInFlight: 2 });
    bench.handle = (deliveries) => deliveries.map(() => ({ result: 'reject' }));
    await bench.hub.publish('orders', 20);
    await bench.delivering.run(2_000, 10);
    expect(await bench.sums()).toMatchObject({ dead: 20, waiting: 0 });
    expect((await bench.hub.view(NAME)).health.state).toBe('healthy');
  });

  test('P8: that fails all of a large lease with as many words as are kept has its attempts in rows of few', async () => {
    const bench = new Bench();
    await bench.subscribe({ ...SERVICE, timeoutMs: 100, maxBatch: 50 }, { maxInFlight: 1_000 });
    // Each of them takes six bytes in JSON, and no two have the same.
    const words = '\u0001'.repeat(1_000);
    bench.handle = (deliveries) =>
      deliveries.map(({ sequence }) => ({ result: 'retry', delay: '1h', reason: `${sequence}${words}` }));
    await bench.subscription.pause();
    await bench.hub.publish('orders', 500);
    await bench.subscription.resume();
    await bench.delivering.run(200);
    expect(await bench.sums()).toMatchObject({ failed: 500, pending: 500 });
    const rows = bench.hub.rows(NAME, 'SELECT last - first + 1 AS events, length(body) AS bytes FROM attempts');
    expect(rows.map(({ events }) => Number(events))).toEqual(expect.arrayContaining([100]));
    expect(Math.max(...rows.map(({ events }) => Number(events)))).toBe(100);
    expect(Math.max(...rows.map(({ bytes }) => Number(bytes)))).toBeGreaterThan(600_000);
  });

  test('P2: is called in order by key, whatever fails', async () => {
    const bench = new Bench();
    await bench.subscribe(SERVICE, { ordering: 'key' });
    const done: number[] = [];
    bench.handle = (deliveries) =>
      deliveries.map(({ sequence, attempt }) => {
        if (sequence % 3 === 0 && attempt < 3) return { result: 'retry' };
        done.push(sequence);
        return { result: 'ack' };
      });
    await bench.hub.publishKeys(
      'orders',
      Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? 'a' : 'b')),
    );
    await bench.delivering.run(20_000, 20);
    for (const parity of [0, 1]) {
      const own = done.filter((sequence) => sequence % 2 === parity);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
    expect(await bench.sums()).toMatchObject({ delivered: 12, dead: 0 });
  });

  test('P4: nothing is lost and no attempt spent while its binding is gone; the status says why', async () => {
    const bench = new Bench();
    await bench.subscribe(SERVICE);
    const billing = bench.delivering.bindings.services.get('BILLING') ?? expect.fail();
    bench.delivering.bindings.services.delete('BILLING');
    await bench.hub.publish('orders', 1);
    await bench.delivering.run(6_000, 20);
    const reason = expect.stringContaining('no service binding "BILLING"');
    expect(await bench.sums()).toMatchObject({ status: 'error', reason, failed: 0, pending: 1 });
    bench.delivering.bindings.services.set('BILLING', billing);
    await bench.delivering.run(20_000, 50);
    expect(await bench.sums()).toMatchObject({ status: 'active', reason: null, delivered: 1 });
  });
});
