import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { QueuedEvent } from '../../src/events/handed.ts';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { TOKENS_KEPT } from '../../src/subscriptions/limits.ts';
import { tokensOf, withToken } from '../../src/subscriptions/tokens.ts';
import { brokenRules } from '../simulation/invariants.ts';
import { Bench, CONFIRMED, NAME, sequencesOf } from './workers-bench.ts';

/** A queue's consumer that is slower than `ackDeadline`: what it confirms late is done. */

/** Past the deadline; and until the retry has been leased as well. */
const OVER_MS = 10_500;
const RETRIED_MS = 11_500;
const LONG = { scheduleMs: Array(9).fill(1_000), jitter: 0 };

/** Some events that lie in the consumer's queue since they were handed out for the first time. */
async function queued(events = 3, changes: Partial<SubscriptionDocument> = {}) {
  const bench = new Bench();
  await bench.subscribe(CONFIRMED, changes);
  await bench.hub.publish('orders', events);
  await bench.delivering.run(50);
  return { bench, first: bench.taken() };
}

/** And whose second attempt lies there, too. */
async function queuedTwice(events = 3, changes: Partial<SubscriptionDocument> = {}) {
  const { bench, first } = await queued(events, changes);
  await bench.delivering.run(RETRIED_MS, 50);
  const second = bench.taken();
  expect(second.map(({ attempt }) => attempt)).toEqual(Array(events).fill(2));
  return { bench, first, second };
}

const storage = (bench: Bench) => bench.hub.storage(`subscription ${NAME}`);

/** Nothing is on its way any more, and nothing comes. */
async function isDone(bench: Bench, events = 3) {
  expect(brokenRules(storage(bench))).toEqual([]);
  expect(await bench.sums()).toMatchObject({ delivered: events, dead: 0, pending: 0 });
  expect(bench.hub.rows(NAME, 'SELECT 1 FROM leases UNION ALL SELECT 1 FROM exceptions')).toEqual([]);
  await bench.delivering.run(30_000, 100);
  expect(bench.taken()).toEqual([]);
  expect(await bench.sums()).toMatchObject({ delivered: events, dead: 0, pending: 0 });
}

const OK = ['ok', 'ok', 'ok'];
const STALE = ['stale-ack-id', 'stale-ack-id', 'stale-ack-id'];

describe('P4: what the consumer of a queue confirms late is done', () => {
  test('while it waits for its next attempt', async () => {
    const { bench, first } = await queued();
    await bench.delivering.run(OVER_MS, 50);
    expect(bench.hub.rows(NAME, 'SELECT retrying FROM lanes')).toEqual([{ retrying: 3 }]);
    expect(await bench.ack(first)).toEqual(OK);
    await isDone(bench);
  });

  test('while it is leased again and nobody has claimed it: the lease holds it no more', async () => {
    const { bench, first } = await queued();
    // Alarms fire, and no message is taken.
    await bench.hub.advance(RETRIED_MS);
    expect(bench.hub.rows(NAME, 'SELECT retry, count, token FROM leases')).toEqual([
      { retry: 1, count: 3, token: null },
    ]);
    expect(await bench.ack(first.slice(0, 1))).toEqual(['ok']);
    expect(brokenRules(storage(bench))).toEqual([]);
    await bench.delivering.run(50);
    const second = bench.taken();
    expect(sequencesOf(second)).toEqual([2, 3]);
    expect(await bench.ack(second)).toEqual(['ok', 'ok']);
    await isDone(bench);
  });

  test('while it is leased again as a whole: whoever claims that lease finds nothing', async () => {
    const { bench, first } = await queued();
    await bench.hub.advance(RETRIED_MS);
    expect(await bench.ack(first)).toEqual(OK);
    await isDone(bench);
  });

  test.each([
    ['the earlier attempt first', (first: QueuedEvent[], second: QueuedEvent[]) => [first, second]],
    ['the later attempt first', (first: QueuedEvent[], second: QueuedEvent[]) => [second, first]],
    ['both in one request', (first: QueuedEvent[], second: QueuedEvent[]) => [[...first, ...second]]],
    ['both in one request, the later first', (first: QueuedEvent[], second: QueuedEvent[]) => [[...second, ...first]]],
    ['turn and turn about', (first: QueuedEvent[], second: QueuedEvent[]) => [first.slice(1), second, first]],
  ])('while it is held by a later attempt, whose own word is no error then: %s', async (_, calls) => {
    const { bench, first, second } = await queuedTwice();
    for (const messages of calls(first, second)) expect(new Set(await bench.ack(messages))).toEqual(new Set(['ok']));
    await isDone(bench);
    expect((await bench.hub.view(NAME)).failed).toBe(3);
  });

  test.each([
    ['takes it', null],
    ['says that it does not', new Error('Network connection lost.')],
  ])('while it is being given to the queue, which then %s', async (_, failure) => {
    const { bench, first } = await queued();
    const answer = Promise.withResolvers<void>();
    bench.queueAnswers = () => answer.promise;
    await bench.delivering.run(RETRIED_MS, 50);
    const second = bench.taken();
    expect(sequencesOf(second)).toEqual([1, 2, 3]);
    expect(await bench.ack(first.slice(0, 2))).toEqual(['ok', 'ok']);
    bench.queueAnswers = async () => undefined;
    if (failure === null) answer.resolve();
    else answer.reject(failure);
    await bench.delivering.run(50);
    expect(brokenRules(storage(bench))).toEqual([]);
    expect(await bench.sums()).toMatchObject({ delivered: 2, pending: 1, failed: failure === null ? 3 : 4 });
    expect(await bench.ack(second)).toEqual(OK);
    await isDone(bench);
  });

  test('by whichever attempt of those that are remembered', async () => {
    const attempts = TOKENS_KEPT + 2;
    const { bench, first } = await queued(1, { retry: { scheduleMs: Array(attempts).fill(1_000), jitter: 0 } });
    const messages = [...first];
    while (messages.length < attempts) {
      await bench.delivering.run(1_000, 100);
      messages.push(...bench.taken());
    }
    expect(messages.map(({ attempt }) => attempt)).toEqual(Array.from({ length: attempts }, (_, index) => index + 1));
    expect(await bench.ack(messages.slice(0, 1))).toEqual(['stale-ack-id']);
    expect(await bench.ack(messages.slice(1, 2))).toEqual(['ok']);
    expect(await bench.ack(messages.slice(1))).toEqual(Array(attempts - 1).fill('ok'));
    await isDone(bench, 1);
  });

  test('though it was given back before: its message had come twice', async () => {
    const { bench, first } = await queued();
    expect(await bench.nack(first)).toEqual(OK);
    expect(await bench.ack(first)).toEqual(OK);
    await isDone(bench);
  });

  test('and its attempts say when it was handed out for the first time', async () => {
    const { bench, first } = await queuedTwice(1);
    const at = bench.hub.clock.now();
    await bench.ack(first);
    const query = { topic: null, status: null, sequence: 1, limit: 10, cursor: null };
    const { items = [] } = (await bench.subscription.attempts(query)) ?? {};
    expect(items.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'delivered'],
      [1, 'timeout'],
    ]);
    expect(items[0]?.at).toBe(items[1]?.at);
    expect((items[0]?.at ?? 0) + (items[0]?.latencyMs ?? 0)).toBe(at);
  });

  test('after a restart of the object as well; a later attempt has nothing more to say then', async () => {
    const { bench, first, second } = await queuedTwice();
    bench.hub.restart(NAME);
    expect(await bench.ack(first)).toEqual(OK);
    expect(await bench.ack(second)).toEqual(OK);
    bench.hub.restart(NAME);
    expect(await bench.ack([...first, ...second])).toEqual([...STALE, ...STALE]);
    await isDone(bench);
  });

  test('of a replay too, which is at its end then', async () => {
    const { bench, first } = await queued();
    await bench.ack(first);
    const filter = { types: [], cel: null };
    const replay = { v: 1 as const, id: 'r1', topic: 'orders', from: { kind: 'earliest' as const }, to: null, filter };
    await bench.hub.awaiting(bench.subscription.startReplay({ ...replay, rateLimit: null }));
    await bench.delivering.run(300, 10);
    const replayed = bench.taken();
    expect(replayed.map(({ replay: id }) => id)).toEqual(['r1', 'r1', 'r1']);
    await bench.delivering.run(RETRIED_MS, 50);
    expect(await bench.ack(replayed)).toEqual(OK);
    expect(await bench.subscription.replay('r1')).toMatchObject({ status: 'done', delivered: 3, remaining: 0 });
    bench.taken();
    await isDone(bench);
  });

  test.each(['key', 'topic'] as const)('P2: in order by %s the next goes out, and no sooner', async (ordering) => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { ordering });
    await bench.hub.publishKeys('orders', ['a', 'a', 'a']);
    const seen: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      await bench.delivering.run(50);
      const first = bench.taken();
      await bench.delivering.run(RETRIED_MS, 50);
      const second = bench.taken();
      expect(sequencesOf(second)).toEqual(sequencesOf(first));
      seen.push(...sequencesOf(first));
      expect(await bench.ack(first)).toEqual(['ok']);
      expect(brokenRules(storage(bench))).toEqual([]);
    }
    expect(seen).toEqual([1, 2, 3]);
    await isDone(bench);
  });

  test('P6: a consumer that is always late is not down: nothing is held back from it', async () => {
    const bench = new Bench();
    await bench.subscribe(CONFIRMED, { maxInFlight: 2, retry: LONG });
    await bench.hub.publish('orders', 20);
    for (let round = 0; round < 10; round += 1) {
      await bench.delivering.run(RETRIED_MS, 50);
      await bench.ack(bench.taken());
      expect((await bench.hub.view(NAME)).health.state).toBe('healthy');
    }
    await isDone(bench, 20);
  });
});

describe('P4: what is confirmed late settles nothing', () => {
  test.each([
    ['not done, while it waits', OVER_MS],
    ['not done, while it is leased again', RETRIED_MS],
  ])('that is %s', async (_, ms) => {
    const { bench, first } = await queued();
    await bench.delivering.run(ms, 50);
    expect(await bench.nack(first)).toEqual(STALE);
    expect(await bench.sums()).toMatchObject({ delivered: 0, pending: 3, failed: 3 });
  });

  test('that is dead: a letter stays one, and its redrive begins anew', async () => {
    const { bench, first, second } = await queuedTwice(1, { retry: { scheduleMs: [1_000], jitter: 0 } });
    await bench.delivering.run(OVER_MS, 50);
    expect(await bench.sums()).toMatchObject({ dead: 1, pending: 0 });
    expect(await bench.ack([...first, ...second])).toEqual(['stale-ack-id', 'stale-ack-id']);
    const [letter = expect.fail()] = await bench.hub.lettersOf(NAME, 'open');
    await bench.subscription.redrive(letter);
    await bench.delivering.run(50);
    const redriven = bench.taken();
    await bench.delivering.run(RETRIED_MS, 50);
    expect(await bench.ack([...first, ...second])).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await bench.ack(redriven)).toEqual(['ok']);
    await bench.hub.advance(100);
    expect(await bench.hub.lettersOf(NAME, 'open')).toEqual([]);
    bench.taken();
    await isDone(bench, 1);
  });

  test('that was sought past, or back to', async () => {
    const { bench, first } = await queued();
    await bench.delivering.run(OVER_MS, 50);
    await bench.hub.awaiting(bench.subscription.seek({ topic: null, to: { kind: 'earliest' } }));
    await bench.delivering.run(RETRIED_MS, 50);
    const again = bench.taken();
    expect(await bench.ack(first)).toEqual(STALE);
    expect(await bench.ack(again)).toEqual(Array(again.length).fill('ok'));
    await isDone(bench);
  });

  test('of a former subscription of the name', async () => {
    const { bench, first } = await queuedTwice();
    await bench.hub.awaiting(bench.subscription.remove());
    await bench.subscribe(CONFIRMED, { from: { kind: 'earliest' } });
    await bench.delivering.run(RETRIED_MS, 50);
    const again = bench.taken();
    expect(again.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 2, 2, 2]);
    expect(await bench.ack(first)).toEqual(STALE);
    expect(await bench.sums()).toMatchObject({ delivered: 0, pending: 3 });
  });

  test('of another consumer: neither by a queue that is used no more, nor once it is pulled', async () => {
    const { bench, first } = await queuedTwice();
    bench.delivering.bindings.queues.set('OTHER_QUEUE', { sendBatch: async () => undefined });
    await bench.subscribe({ ...CONFIRMED, binding: 'OTHER_QUEUE' });
    expect(await bench.ack(first)).toEqual(STALE);
    await bench.subscribe({ kind: 'pull', ackDeadlineMs: 10_000, maxDeliveries: 10 });
    expect(await bench.ack(first)).toEqual(STALE);
    await bench.subscribe(CONFIRMED);
    expect(await bench.ack(first)).toEqual(STALE);
    expect(brokenRules(storage(bench))).toEqual([]);
    expect(await bench.sums()).toMatchObject({ delivered: 0, pending: 3 });
  });

  test('while nothing has to be confirmed, and does again once that is so', async () => {
    const { bench, first } = await queued();
    await bench.delivering.run(OVER_MS, 50);
    await bench.subscribe({ ...CONFIRMED, confirm: false });
    expect(await bench.ack(first)).toBe('not-acknowledged');
    await bench.subscribe(CONFIRMED);
    expect(await bench.ack(first)).toEqual(OK);
    await isDone(bench);
  });
});

test('tokens are kept in their order, the last of them', () => {
  expect(tokensOf(null)).toEqual([]);
  const tokens = Array.from({ length: TOKENS_KEPT + 3 }, (_, index) => `${index}`);
  const kept = tokens.reduce<string | null>((text, token) => withToken(text, token), null);
  expect(tokensOf(kept)).toEqual(tokens.slice(3));
});

/** Lets time go by, or has some of the last messages told of, whichever attempts they were; `which` counts from the latest. */
const which = (most: number) => fc.array(fc.nat(most), { minLength: 1, maxLength: most });
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1_000, RETRIED_MS) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constant(RETRIED_MS) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('ack' as const), which: which(8) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('nack' as const), which: which(3) }) },
  ),
  { minLength: 5, maxLength: 15 },
);

test.each(['none', 'key', 'topic'] as const)(
  'P4: whatever is confirmed when, each event is counted once and no table contradicts another (ordering %s)',
  async (ordering) => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const bench = new Bench();
        await bench.subscribe(CONFIRMED, { ordering, maxInFlight: 4, retry: LONG });
        const keys = ['a', 'b', 'a', null, 'b', 'a'];
        await bench.hub.publishKeys('orders', keys);
        const seen: QueuedEvent[] = [];
        const done = new Set<number>();
        for (const step of taken) {
          if (step.do === 'wait') await bench.delivering.run(step.ms, 50);
          else if (step.do === 'advance') await bench.hub.advance(step.ms);
          else {
            const told = step.which.flatMap((back) => seen.at(-1 - back) ?? []);
            const answers = await bench[step.do](told);
            if (step.do === 'ack')
              told.forEach(({ sequence }, index) => {
                if (answers[index] === 'ok') done.add(sequence);
                // What is dead or done is all that is not taken.
                else expect(done.has(sequence) || bench.hub.rows(NAME, 'SELECT 1 FROM letters').length > 0).toBe(true);
              });
          }
          seen.push(...bench.taken());
          expect(brokenRules(storage(bench))).toEqual([]);
          expect((await bench.sums()).delivered).toBe(done.size);
        }
        for (let round = 0; round < 20; round += 1) {
          await bench.delivering.run(2_000, 50);
          await bench.ack(bench.taken());
        }
        const { delivered, dead, pending } = await bench.sums();
        expect([delivered + dead, pending]).toEqual([keys.length, 0]);
      }),
      { numRuns: 25 },
    );
  },
);
