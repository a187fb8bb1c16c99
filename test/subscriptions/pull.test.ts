import { describe, expect, test } from 'vitest';
import type { PullDelivery, SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { unpacked } from '../../src/subscriptions/packed-deliveries.ts';
import type {
  AckResult,
  NackRequest,
  PulledDelivery,
  PullRequest,
  PullResult,
} from '../../src/subscriptions/protocol-acks.ts';
import { booked, Hub, WEBHOOK } from './harness.ts';

const PULL: PullDelivery = { kind: 'pull', ackDeadlineMs: 30_000, maxDeliveries: 3 };

/** Pulls have names of their own. */
let names = 0;

async function pulled(changes: Partial<SubscriptionDocument> = {}, events = 0): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', { delivery: PULL, maxInFlight: 1_000, ...changes });
  if (events > 0) await hub.publish('orders', events);
  return hub;
}

/** What who pulls is answered, unpacked. */
async function ask(hub: Hub, asked: Partial<PullRequest>, name = 'billing') {
  const request = { v: 1 as const, puller: `p${++names}`, max: 10, waitMs: 0, mayRead: null, ...asked };
  const result = await hub.subscription(name).pull(request);
  return result.outcome === 'pulled' ? { ...result, deliveries: unpacked(result.deliveries) } : result;
}

async function pull(hub: Hub, max = 100, waitMs = 0): Promise<PulledDelivery[]> {
  const result = await hub.awaiting(ask(hub, { max, waitMs }));
  if (result.outcome !== 'pulled') throw new Error(result.outcome);
  return result.deliveries;
}

const idsOf = (deliveries: readonly PulledDelivery[]) => deliveries.map(({ ackId }) => ackId);
const sequences = (deliveries: readonly PulledDelivery[]) => deliveries.map(({ sequence }) => sequence);
const topicOf = ({ json }: PulledDelivery): string => JSON.parse(json).topic;

function told(result: AckResult): string[] {
  if (result.outcome !== 'settled') throw new Error(result.outcome);
  return result.answers;
}

const ack = async (hub: Hub, deliveries: readonly PulledDelivery[]) =>
  told(await hub.subscription('billing').ack({ v: 1, ackIds: idsOf(deliveries) }));
const nack = async (hub: Hub, deliveries: readonly PulledDelivery[], more: Partial<NackRequest> = {}) =>
  told(
    await hub
      .subscription('billing')
      .nack({ v: 1, ackIds: idsOf(deliveries), delayMs: null, reason: null, dead: null, ...more }),
  );
const extend = async (hub: Hub, deliveries: readonly PulledDelivery[], byMs: number) =>
  told(await hub.subscription('billing').extend({ v: 1, ackIds: idsOf(deliveries), byMs }));

async function balanced(hub: Hub, published: number) {
  const view = await hub.view('billing');
  expect(booked(view)).toBe(published);
  return view;
}

describe('P6: a topic whose log does not answer', () => {
  const topics = ['a', 'b'];
  /** Of each topic how many are in flight, and how many wait to be tried again. */
  const lanes = (hub: Hub) =>
    hub
      .rows<{ lane: string }>(
        'billing',
        "SELECT topic || ' ' || in_flight || ' ' || retrying AS lane FROM lanes ORDER BY topic",
      )
      .map(({ lane }) => lane);

  test('holds up nothing of others that has to be tried again, and its own comes back, no attempt spent', async () => {
    const hub = await pulled({ topics });
    await hub.publish('a', 2);
    await hub.publish('b', 2);
    const all = await pull(hub);
    const of = (topic: string) => all.filter((delivery) => topicOf(delivery) === topic);
    await nack(hub, [...of('a'), ...of('b')]);
    hub.silent.add('a');
    const since = hub.clock.now();
    const healthy = await pull(hub, 2, 0);
    expect(healthy.map(topicOf)).toEqual(['b', 'b']);
    expect(hub.clock.now() - since).toBeLessThan(500);
    await hub.advance(11_000);
    expect(lanes(hub)).toEqual(['a 0 2', 'b 2 0']);
    hub.silent.clear();
    await hub.advance(5_000);
    const back = await pull(hub);
    expect(back.map((delivery) => `${topicOf(delivery)} ${delivery.sequence} ${delivery.attempt}`)).toEqual([
      'a 1 2',
      'a 2 2',
    ]);
    expect(await ack(hub, [...healthy, ...back])).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(await balanced(hub, 4)).toMatchObject({ delivered: 4, pending: 0 });
  });

  test('that fails is left alone for a while, and what was leased of it waits outside', async () => {
    const hub = await pulled({ topics });
    await hub.publish('a', 2);
    await hub.publish('b', 1);
    await nack(hub, await pull(hub));
    hub.unreachable.add('a');
    expect((await pull(hub, 2)).map(topicOf)).toEqual(['b']);
    expect(lanes(hub)).toEqual(['a 0 2', 'b 1 0']);
    hub.unreachable.delete('a');
    await hub.advance(5_000);
    expect(sequences(await pull(hub))).toEqual([1, 2]);
  });

  test('holds up nothing that others have new', async () => {
    const hub = await pulled({ topics });
    hub.subscription('billing').wake = () => new Promise(() => undefined);
    await hub.publish('a', 3);
    await hub.publish('b', 3);
    hub.restart('billing');
    hub.silent.add('a');
    // Whatever was parked reads again, the sick one first.
    hub.storage('subscription billing').sql.exec('UPDATE lanes SET parked = NULL');
    const since = hub.clock.now();
    const healthy = await pull(hub, 2);
    expect(healthy.map(topicOf)).toEqual(['b', 'b']);
    expect(hub.clock.now() - since).toBeLessThan(2_500);
    await ack(hub, healthy);
    hub.silent.clear();
    await hub.advance(31_000);
    expect(await pull(hub)).toHaveLength(4);
  });
});

describe('P4: a pull', () => {
  test('hands out what there is, as much as is asked for, and nothing twice', async () => {
    const hub = await pulled({}, 5);
    expect(hub.deliveries).toEqual([]);
    expect(sequences(await pull(hub, 2))).toEqual([1, 2]);
    const rest = await pull(hub);
    expect(sequences(rest)).toEqual([3, 4, 5]);
    expect(rest[0]).toMatchObject({ attempt: 1, replay: null, redriven: false });
    expect(await pull(hub)).toEqual([]);
    expect(await balanced(hub, 5)).toMatchObject({ inFlight: 5, delivered: 0 });
    expect(await ack(hub, rest)).toEqual(['ok', 'ok', 'ok']);
    expect(await balanced(hub, 5)).toMatchObject({ inFlight: 2, delivered: 3 });
    expect([...hub.deliveries, ...hub.retries]).toEqual([]);
  });

  test('finds what was acknowledged a moment before, whatever became of the wake', async () => {
    const hub = await pulled();
    expect(await pull(hub)).toEqual([]);
    hub.subscription('billing').wake = async () => {
      throw new Error('The wake is lost.');
    };
    await hub.publish('orders', 1);
    expect(sequences(await pull(hub))).toEqual([1]);
  });

  test('waits for the first, woken by its log, and no longer than it wants', async () => {
    const hub = await pulled();
    const waiting = ask(hub, { max: 10, waitMs: 20_000 });
    await hub.clock.advance(5_000);
    const before = hub.clock.now();
    await hub.publish('orders', 3);
    expect(await hub.awaiting(waiting)).toMatchObject({
      deliveries: [{ sequence: 1 }, { sequence: 2 }, { sequence: 3 }],
    });
    expect(hub.clock.now() - before).toBeLessThan(50);
    const vain = ask(hub, { max: 10, waitMs: 20_000 });
    const since = hub.clock.now();
    expect(await hub.awaiting(vain)).toMatchObject({ deliveries: [] });
    expect(hub.clock.now() - since).toBeGreaterThanOrEqual(20_000);
    expect(hub.clock.now() - since).toBeLessThan(20_200);
  });

  test('gives each who waits his part, in the order in which they came', async () => {
    const hub = await pulled();
    const waiting = [2, 3, 10].map((max) => ask(hub, { max, waitMs: 20_000 }));
    await hub.clock.advance(10);
    await hub.publish('orders', 6);
    const results = await hub.awaiting(Promise.all(waiting));
    expect(results.map((result) => (result.outcome === 'pulled' ? sequences(result.deliveries) : []))).toEqual([
      [1, 2],
      [3, 4, 5],
      [6],
    ]);
  });

  test('leaves in the log what nobody asks for, and no alarm rings for it', async () => {
    const hub = await pulled({}, 50);
    await hub.advance(3_600_000);
    expect(await balanced(hub, 50)).toMatchObject({ waiting: 50, inFlight: 0, status: 'active' });
    expect(hub.storage('subscription billing').alarm).toBeNull();
  });

  test('holds no more than maxInFlight out', async () => {
    const hub = await pulled({ maxInFlight: 4 }, 10);
    const first = await pull(hub);
    expect(sequences(first)).toEqual([1, 2, 3, 4]);
    expect(await pull(hub)).toEqual([]);
    await ack(hub, first.slice(0, 1));
    expect(sequences(await pull(hub))).toEqual([5]);
  });

  test('has no more bytes than fit, unless it is one event', async () => {
    const hub = await pulled();
    const subject = 'x'.repeat(900_000);
    await hub.publishKeys(
      'orders',
      Array.from({ length: 6 }, () => subject),
    );
    expect(sequences(await pull(hub))).toEqual([1, 2, 3, 4]);
    expect(sequences(await pull(hub))).toEqual([5, 6]);
  });

  test('finds nothing while it is paused, and what is out may be settled', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub, 1);
    await hub.awaiting(hub.subscription('billing').pause());
    expect(await pull(hub)).toEqual([]);
    expect(await ack(hub, out)).toEqual(['ok']);
    const waiting = ask(hub, { max: 10, waitMs: 60_000 });
    await hub.clock.advance(1_000);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.awaiting(waiting)).toMatchObject({ deliveries: [{ sequence: 2 }] });
  });

  test('answers who waits when the subscription goes, or becomes one of another kind', async () => {
    const hub = await pulled();
    const changes: [() => Promise<unknown>, PullResult][] = [
      [() => hub.subscribe('billing', { delivery: WEBHOOK }), { outcome: 'not-pulled', kind: 'webhook' }],
      [() => hub.awaiting(hub.subscription('billing').remove()), { outcome: 'unknown-subscription' }],
    ];
    for (const [change, answer] of changes) {
      await hub.subscribe('billing', { delivery: PULL });
      const waiting = ask(hub, { max: 1, waitMs: 60_000 });
      await hub.clock.advance(1_000);
      const since = hub.clock.now();
      await change();
      expect(await hub.awaiting(waiting)).toEqual(answer);
      expect(hub.clock.now() - since).toBeLessThan(1_000);
    }
    expect(await ask(hub, { max: 1, waitMs: 0 })).toEqual({
      outcome: 'unknown-subscription',
    });
  });

  test('P7: hands nothing out of topics that may not be read, whenever the subscription was given them', async () => {
    const hub = await pulled({ topics: ['orders'] }, 1);
    const asking = (mayRead: string[], waitMs: number) => ask(hub, { max: 10, waitMs, mayRead });
    expect(await hub.awaiting(asking(['order', 'orders.>'], 0))).toEqual({ outcome: 'unreadable', topics: ['orders'] });
    expect(await hub.awaiting(asking(['audit', '*'], 0))).toMatchObject({ deliveries: [{ sequence: 1, attempt: 1 }] });

    const topics = ['orders', 'audit.logins'];
    const [waiting, other] = [asking(['orders'], 60_000), asking(['orders', 'audit.>'], 60_000)];
    await hub.clock.advance(1_000);
    await hub.subscribe('billing', { topics, delivery: PULL, maxInFlight: 1_000 });
    expect(await hub.awaiting(waiting)).toEqual({ outcome: 'unreadable', topics });
    await hub.publish('audit.logins', 1);
    expect(await hub.awaiting(other)).toMatchObject({
      deliveries: [{ sequence: 1, json: expect.stringContaining('"topic":"audit.logins"') }],
    });
  });

  test('that nobody waits for any more takes nothing with it', async () => {
    const hub = await pulled();
    const gone = ask(hub, { puller: 'gone', max: 10, waitMs: 60_000 });
    const there = ask(hub, { puller: 'there', max: 10, waitMs: 60_000 });
    await hub.clock.advance(1_000);
    await hub.subscription('billing').hangUp('gone');
    await hub.subscription('billing').hangUp('unknown');
    await hub.publish('orders', 1);
    expect(await hub.awaiting(there)).toMatchObject({ deliveries: [{ sequence: 1, attempt: 1 }] });
    expect(await hub.awaiting(gone)).toMatchObject({ deliveries: [] });
  });

  test('tells who waited of the transform and the deadline under which it was handed out', async () => {
    const hub = await pulled();
    const waiting = ask(hub, { max: 1, waitMs: 60_000 });
    await hub.clock.advance(1_000);
    const transform = { data: '{}', headers: null, path: null };
    await hub.subscribe('billing', { delivery: { ...PULL, ackDeadlineMs: 5_000 }, transform, maxInFlight: 1_000 });
    await hub.publish('orders', 1);
    expect(await hub.awaiting(waiting)).toMatchObject({
      deliveries: [{ sequence: 1 }],
      ackDeadlineMs: 5_000,
      target: { transform },
    });
  });

  test('is not for other kinds', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    const subscription = hub.subscription('billing');
    expect(await subscription.pull({ v: 1, puller: `p${++names}`, max: 1, waitMs: 0, mayRead: null })).toEqual({
      outcome: 'not-pulled',
      kind: 'webhook',
    });
    expect(await subscription.ack({ v: 1, ackIds: ['x'] })).toEqual({ outcome: 'not-acknowledged', kind: 'webhook' });
  });

  test('of a queue message that is older than the kind finds nothing to send', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    await hub.subscribe('billing', { delivery: PULL });
    expect(await hub.subscription('billing').claim(message.lease)).toEqual({ outcome: 'void' });
    expect(sequences(await pull(hub))).toEqual([1]);
    await hub.subscribe('billing', { delivery: WEBHOOK });
    expect(await hub.work('billing')).toEqual([1]);
    await balanced(hub, 1);
  });
});

describe('P4: what is held by an ack id', () => {
  test('comes again, one attempt further, when its time is over; after maxDeliveries it is a dead letter', async () => {
    const hub = await pulled({}, 1);
    for (const attempt of [1, 2, 3]) {
      expect(await pull(hub)).toMatchObject([{ sequence: 1, attempt }]);
      await hub.advance(29_000);
      expect(await pull(hub)).toEqual([]);
      await hub.advance(1_100);
    }
    expect(await pull(hub)).toEqual([]);
    expect(await balanced(hub, 1)).toMatchObject({ dead: 1, failed: 3, status: 'active' });
    expect(await hub.lettersOf('billing')).toMatchObject([
      { reason: 'exhausted', attempts: 3, lastStatus: null, lastError: 'It was not acknowledged in time.' },
    ]);
    const attempts = await hub.subscription('billing').attempts({
      topic: null,
      status: null,
      sequence: null,
      limit: 10,
      cursor: null,
    });
    expect(attempts?.items).toMatchObject([
      { attempt: 3, outcome: 'timeout', status: null, request: null },
      { attempt: 2, outcome: 'timeout' },
      { attempt: 1, outcome: 'timeout' },
    ]);
  });

  test('goes to who waits as soon as its time is over', async () => {
    const hub = await pulled({}, 1);
    await pull(hub);
    const since = hub.clock.now();
    const waiting = ask(hub, { max: 1, waitMs: 60_000 });
    await hub.advance(30_100);
    expect(await hub.awaiting(waiting)).toMatchObject({ deliveries: [{ sequence: 1, attempt: 2 }] });
    expect(hub.clock.now() - since).toBeLessThan(31_000);
  });

  test('goes back at once by a nack, or after its delay, and says why', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    expect(await nack(hub, out.slice(0, 1), { reason: 'The printer is out of paper.' })).toEqual(['ok']);
    expect(await nack(hub, out.slice(1), { delayMs: 30_000 })).toEqual(['ok']);
    const again = await pull(hub);
    expect(again).toMatchObject([{ sequence: 1, attempt: 2 }]);
    const json = '{"specversion":"1.0","id":"e1","source":"/test","type":"order.created"}';
    expect(await hub.subscription('billing').delivery('orders', 1, json)).toMatchObject({
      status: 'delivering',
      attempts: 1,
      lastError: 'The printer is out of paper.',
    });
    expect(await hub.subscription('billing').delivery('orders', 2, json)).toMatchObject({ status: 'retrying' });
    await ack(hub, again);
    const waiting = ask(hub, { max: 1, waitMs: 60_000 });
    await hub.advance(29_000);
    await hub.advance(1_100);
    expect(await hub.awaiting(waiting)).toMatchObject({ deliveries: [{ sequence: 2, attempt: 2 }] });
  });

  test('never comes again once it is rejected: a dead letter says so, and a redrive brings it back', async () => {
    const hub = await pulled({}, 1);
    expect(await nack(hub, await pull(hub), { dead: 'rejected', reason: 'No such customer.' })).toEqual(['ok']);
    expect(await pull(hub)).toEqual([]);
    await hub.advance(5_000);
    const [letter] = await hub.lettersOf('billing');
    expect(letter).toMatchObject({ reason: 'rejected', attempts: 1, lastError: 'No such customer.' });
    await hub.subscription('billing').redrive({ topic: 'orders', sequence: 1, event: letter?.event ?? '' });
    const again = await pull(hub);
    expect(again).toMatchObject([{ sequence: 1, attempt: 2, redriven: true }]);
    expect(await ack(hub, again)).toEqual(['ok']);
    await hub.advance(5_000);
    expect(await hub.lettersOf('billing')).toMatchObject([{ resolvedAt: hub.clock.now() - 5_000 }]);
    expect(await balanced(hub, 1)).toMatchObject({ delivered: 1, dead: 0 });
  });

  test.each([
    { count: 2, spanMs: 1_000 },
    { count: 20, spanMs: 1_000 },
    { count: 30, spanMs: 60_000 },
  ])(
    'P6: of a replay is handed out no faster than its rate, from the first on, and all of it: %o',
    async (rateLimit) => {
      const events = Math.min(60, rateLimit.count * 3);
      const hub = await pulled({}, events);
      expect(await ack(hub, await pull(hub))).toHaveLength(events);
      const [from, filter] = [{ kind: 'earliest' as const }, { types: [], cel: null }];
      const replay = { v: 1 as const, id: 'rpl_a', topic: 'orders', from, to: null, filter, rateLimit };
      await hub.awaiting(hub.subscription('billing').startReplay(replay));
      const starts: number[] = [];
      while (starts.length < events) {
        let out: PulledDelivery[] | null = null;
        const asked = ask(hub, { max: 100, waitMs: 60_000 }).then((result) => {
          out = result.outcome === 'pulled' ? result.deliveries : [];
          starts.push(...out.map(() => hub.clock.now()));
        });
        while (out === null) await hub.advance(5);
        await asked;
        await ack(hub, out);
      }
      expect(starts).toHaveLength(events);
      for (const [index, start] of starts.entries()) {
        expect(
          starts.filter((other) => other >= start && other < start + rateLimit.spanMs).length,
          `from ${index}`,
        ).toBeLessThanOrEqual(rateLimit.count);
      }
      // Nearly as fast as it may be: whoever waits has each as its slot comes.
      const took = (starts.at(-1) ?? 0) - (starts[0] ?? 0);
      expect(took).toBeLessThan((events / rateLimit.count) * rateLimit.spanMs * 1.5);
    },
  );

  test('is held for longer where that is asked for, apart from what was handed out with it', async () => {
    const hub = await pulled({}, 3);
    const out = await pull(hub);
    await hub.advance(20_000);
    expect(await extend(hub, out.slice(0, 1), 60_000)).toEqual(['ok']);
    await hub.advance(10_100);
    expect(sequences(await pull(hub))).toEqual([2, 3]);
    expect(await ack(hub, out.slice(0, 1))).toEqual(['ok']);
    expect(await ack(hub, out.slice(1))).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await balanced(hub, 3)).toMatchObject({ delivered: 1, inFlight: 2 });
  });

  test('is never held for a shorter time by an extension, nor for more than twelve hours in all', async () => {
    const hub = await pulled({}, 1);
    const out = await pull(hub);
    expect(await extend(hub, out, 1_000)).toEqual(['ok']);
    await hub.advance(20_000);
    expect(await ack(hub, [])).toEqual([]);
    expect(await balanced(hub, 1)).toMatchObject({ inFlight: 1 });
    const hour = 3_600_000;
    for (let hours = 0; hours < 11; hours++) {
      expect(await extend(hub, out, hour + 60_000)).toEqual(['ok']);
      await hub.advance(hour);
    }
    expect(await extend(hub, out, hour)).toEqual(['held-too-long']);
    expect(await extend(hub, out, hour - 60_000)).toEqual(['ok']);
    await hub.advance(hour);
    expect(await pull(hub)).toMatchObject([{ attempt: 2 }]);
  });

  test('is held for its own time and no longer after the clock was set back, each by what it was given last', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    await hub.advance(10_000);
    expect(await extend(hub, out.slice(0, 1), 120_000)).toEqual(['ok']);
    hub.clock.jump(-3_600_000);
    // Those who come and go meanwhile keep nobody from seeing it.
    await hub.publish('orders', 1);
    expect(await ack(hub, await pull(hub))).toEqual(['ok']);
    await hub.advance(29_000);
    expect(await pull(hub)).toEqual([]);
    await hub.advance(2_000);
    expect(sequences(await pull(hub, 1))).toEqual([2]);
    await hub.advance(87_000);
    expect(sequences(await pull(hub))).not.toContain(1);
    await hub.advance(3_000);
    expect(sequences(await pull(hub))).toContain(1);
  });

  test('is held for as long as an extension says that comes right after the clock was set back', async () => {
    const hub = await pulled({}, 1);
    const out = await pull(hub);
    hub.clock.jump(-3_600_000);
    expect(await extend(hub, out, 60_000)).toEqual(['ok']);
    await hub.advance(59_000);
    expect(await ack(hub, [])).toEqual([]);
    expect(await pull(hub)).toEqual([]);
    await hub.advance(2_000);
    expect(await pull(hub)).toMatchObject([{ attempt: 2 }]);
  });

  test('may be acknowledged too late, as long as nobody else has it', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    await hub.advance(30_100);
    expect(await balanced(hub, 2)).toMatchObject({ retrying: 2, failed: 2 });
    expect(await extend(hub, out, 1_000)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await nack(hub, out)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await ack(hub, out.slice(0, 1))).toEqual(['ok']);
    expect(await balanced(hub, 2)).toMatchObject({ retrying: 1, delivered: 1 });
    expect(sequences(await pull(hub))).toEqual([2]);
    expect(await ack(hub, out.slice(1))).toEqual(['stale-ack-id']);
  });

  test('is acknowledged by the last attempt at it alone, once that is over', async () => {
    const hub = await pulled({}, 2);
    const first = await pull(hub);
    await hub.advance(30_100);
    const second = await pull(hub);
    await hub.advance(30_100);
    expect(await ack(hub, first)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await balanced(hub, 2)).toMatchObject({ retrying: 2, delivered: 0 });
    expect(await ack(hub, second)).toEqual(['ok', 'ok']);
    expect(await ack(hub, first)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await balanced(hub, 2)).toMatchObject({ delivered: 2, failed: 4 });
  });

  test('is not acknowledged by the id of one that was put back', async () => {
    const hub = await pulled({}, 1);
    const out = await pull(hub);
    await nack(hub, out, { delayMs: 10_000 });
    expect(await ack(hub, out)).toEqual(['stale-ack-id']);
    expect(await nack(hub, out)).toEqual(['stale-ack-id']);
  });

  test('is acknowledged twice with one answer; twice in a request counts once', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    const [first, second] = out;
    if (!first || !second) throw new Error('Two were pulled.');
    expect(await ack(hub, [first, first, second])).toEqual(['ok', 'ok', 'ok']);
    expect(await ack(hub, out)).toEqual(['ok', 'ok']);
    expect(await nack(hub, out)).toEqual(['stale-ack-id', 'stale-ack-id']);
    hub.restart('billing');
    expect(await ack(hub, out)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await balanced(hub, 2)).toMatchObject({ delivered: 2, failed: 0 });
  });

  test('P7: is not settled by what is no id of it, or by that of another subscription', async () => {
    const hub = await pulled({}, 1);
    await hub.subscribe('email', { delivery: PULL, from: { kind: 'earliest' } });
    const [mine] = await pull(hub);
    const theirs = await hub.awaiting(ask(hub, { max: 1, waitMs: 0 }, 'email'));
    if (!mine || theirs.outcome !== 'pulled') throw new Error('Both were pulled.');
    const forged = mine.ackId.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    const ackIds = [...idsOf(theirs.deliveries), forged, '', 'x', '1-1', `${mine.ackId}0`, mine.ackId.toUpperCase()];
    const result = await hub.subscription('billing').ack({ v: 1, ackIds });
    const stale = mine.ackId === mine.ackId.toUpperCase() ? 'stale-ack-id' : 'invalid-ack-id';
    expect(told(result)).toEqual([
      'stale-ack-id',
      'stale-ack-id',
      'invalid-ack-id',
      'invalid-ack-id',
      'invalid-ack-id',
      'invalid-ack-id',
      stale,
    ]);
    expect(await balanced(hub, 1)).toMatchObject({ inFlight: 1, delivered: 0 });
    expect(await ack(hub, [mine])).toEqual(['ok']);
  });

  test('survives a restart, and so does its time', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    hub.restart('billing');
    expect(await ack(hub, out.slice(0, 1))).toEqual(['ok']);
    hub.restart('billing');
    await hub.advance(30_100);
    expect(await pull(hub)).toMatchObject([{ sequence: 2, attempt: 2 }]);
    await balanced(hub, 2);
  });

  test('is not his any more after a seek', async () => {
    const hub = await pulled({}, 2);
    const out = await pull(hub);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    expect(await ack(hub, out)).toEqual(['stale-ack-id', 'stale-ack-id']);
    const again = await pull(hub);
    expect(sequences(again)).toEqual([1, 2]);
    expect(await ack(hub, out)).toEqual(['stale-ack-id', 'stale-ack-id']);
    expect(await ack(hub, again)).toEqual(['ok', 'ok']);
    expect(await balanced(hub, 2)).toMatchObject({ delivered: 2 });
  });

  test('makes no subscription failing, slowed or disabled, however often it runs out', async () => {
    const hub = await pulled({ maxInFlight: 2, delivery: { ...PULL, maxDeliveries: 1_000 } }, 2);
    for (let day = 0; day < 7; day++) {
      expect(await pull(hub)).toHaveLength(2);
      await hub.advance(24 * 3_600_000);
    }
    expect(await balanced(hub, 2)).toMatchObject({ status: 'active', health: { state: 'healthy' } });
  });
});

describe('P4: what goes through a queue and has to be confirmed', () => {
  const QUEUE = { kind: 'queue', binding: 'Q', confirm: true, ackDeadlineMs: 20_000, rateLimit: null } as const;

  test('is held by ack ids too: settled by these, and tried again by the schedule when its time is over', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { delivery: QUEUE, retry: { scheduleMs: [5_000], jitter: 0 } });
    await hub.publish('orders', 3);
    const { events } = await hub.claim(hub.take());
    const ackIds = events.map(({ ackId }) => ackId ?? '');
    const subscription = hub.subscription('billing');
    expect(told(await subscription.ack({ v: 1, ackIds: ackIds.slice(0, 1) }))).toEqual(['ok']);
    const nacked = { v: 1, ackIds: ackIds.slice(1, 2), delayMs: null, reason: 'no', dead: null } as const;
    expect(told(await subscription.nack(nacked))).toEqual(['ok']);
    await hub.advance(19_000);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, pending: 2 });
    await hub.advance(8_000);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, failed: 2, health: { state: 'healthy' } });
    const again: string[] = [];
    for (const message of [...hub.deliveries.splice(0), ...hub.retries.splice(0)]) {
      const claim = await subscription.claim(message.lease);
      if (claim.outcome === 'claimed') again.push(...claim.events.map(({ ackId }) => ackId ?? ''));
    }
    expect(told(await subscription.ack({ v: 1, ackIds: again })).every((each) => each === 'ok')).toBe(true);
    expect(booked(await hub.view('billing'))).toBe(3);
  });

  test('may be given back by its claimer, who could not send it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { delivery: QUEUE });
    await hub.publish('orders', 1);
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    const outcomes = events.map((event) => hub.failed(event));
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes });
    expect(await hub.view('billing')).toMatchObject({ failed: 1, retrying: 1, inFlight: 0 });
    // Whoever has its id has it all the same.
    const ackIds = events.map(({ ackId }) => ackId ?? '');
    expect(told(await hub.subscription('billing').ack({ v: 1, ackIds }))).toEqual(['ok']);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, pending: 0 });
  });
});

describe('P2: order where it is pulled', () => {
  test('by key one of a key is out at a time, whoever pulls', async () => {
    const hub = await pulled({ ordering: 'key' });
    await hub.publishKeys('orders', ['a', 'a', 'b', 'a', 'b', null]);
    const first = await pull(hub);
    expect(sequences(first)).toEqual([1, 3, 6]);
    expect(await pull(hub)).toEqual([]);
    await ack(hub, first.slice(0, 1));
    await nack(hub, first.slice(1, 2));
    const second = await pull(hub);
    expect(sequences(second).sort()).toEqual([2, 3]);
    await ack(hub, second);
    const third = await pull(hub);
    expect(sequences(third).sort()).toEqual([4, 5]);
    await ack(hub, [...third, ...first]);
    expect(await balanced(hub, 6)).toMatchObject({ delivered: 6, held: 0 });
  });

  test('by key one of a key is out at a time, also of those that failed while there was no order', async () => {
    const hub = await pulled();
    await hub.publishKeys('orders', ['a', 'a', 'b']);
    await nack(hub, await pull(hub));
    await hub.subscribe('billing', { delivery: PULL, maxInFlight: 1_000, ordering: 'key' });
    const first = await pull(hub);
    expect(sequences(first)).toEqual([1, 3]);
    expect(await pull(hub)).toEqual([]);
    await ack(hub, first);
    const second = await pull(hub);
    expect(sequences(second)).toEqual([2]);
    await ack(hub, second);
    expect(await balanced(hub, 3)).toMatchObject({ delivered: 3 });
  });

  test('by topic one is out at a time, and one that failed comes first', async () => {
    const hub = await pulled({ ordering: 'topic' }, 3);
    const first = await pull(hub);
    expect(sequences(first)).toEqual([1]);
    expect(await pull(hub)).toEqual([]);
    await nack(hub, first);
    for (const expected of [1, 2, 3]) {
      const next = await pull(hub);
      expect(sequences(next)).toEqual([expected]);
      expect(await ack(hub, next)).toEqual(['ok']);
    }
    await balanced(hub, 3);
  });
});

describe('a pull in numbers', () => {
  test('the attempts of a hundred events acknowledged together say once what is the same of all', async () => {
    const hub = await pulled({}, 100);
    await ack(hub, await pull(hub));
    const rows = hub.rows<{ bytes: number }>('billing', 'SELECT length(body) AS bytes FROM attempts');
    expect(rows).toHaveLength(1);
    // Of the sequences the digits and commas, and one object's worth.
    expect(rows[0]?.bytes).toBeLessThan(450);
  });

  test('a hundred events pulled and acknowledged together write few rows each', async () => {
    const hub = await pulled();
    const storage = hub.storage('subscription billing');
    const round = async () => {
      await hub.publish('orders', 100);
      await ack(hub, await pull(hub));
    };
    await round();
    const rows = () => storage.sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
    const before = rows();
    for (let rounds = 0; rounds < 10; rounds++) await round();
    expect((rows() - before) / 1_000).toBeLessThanOrEqual(0.15);
  });
});
