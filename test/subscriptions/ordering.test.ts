import { describe, expect, test, vi } from 'vitest';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { HOLDS_MAX, KEY_RUN_MAX, LINGER_MS } from '../../src/subscriptions/limits.ts';
import { unpacked } from '../../src/subscriptions/packed-deliveries.ts';
import type { DeliveryOutcome, LeaseMessage } from '../../src/subscriptions/protocol-claims.ts';
import { booked, Hub, REPLAY, WEBHOOK } from './harness.ts';

/** Answers swiftly, so that leases are as large as any. */
const FAST = { ...WEBHOOK, timeoutMs: 1_000 };

type Event = { topic: string; sequence: number; key: string | null; json: string };

/** Does what the queue consumer does with one lease: each key up to its first failure, the rest goes back. */
async function consume(
  hub: Hub,
  message: LeaseMessage,
  fails: (event: Event) => boolean = () => false,
): Promise<number[]> {
  const claimed = await hub.awaiting(hub.subscription(message.subscription).claim(message.lease));
  if (claimed.outcome !== 'claimed') return [];
  const stopped = new Set<string>();
  const sent: number[] = [];
  const outcomes = claimed.events.map((event): DeliveryOutcome => {
    if (event.key !== null && stopped.has(event.key))
      return { kind: 'released', topic: event.topic, sequence: event.sequence };
    sent.push(event.sequence);
    if (!fails(event)) return hub.delivered(event);
    if (event.key !== null) stopped.add(event.key);
    return hub.failed(event);
  });
  await hub.awaiting(
    hub.subscription(message.subscription).settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
  );
  return sent;
}

/** Works off both queues; answers what the receiver saw. */
async function workOff(hub: Hub, fails?: (event: Event) => boolean): Promise<number[]> {
  const seen: number[] = [];
  for (;;) {
    await hub.clock.advance(150);
    const message = hub.deliveries.shift() ?? hub.retries.shift();
    if (message === undefined) return seen;
    seen.push(...(await consume(hub, message, fails)));
  }
}

const subjectOf = ({ json }: Event): unknown => JSON.parse(json).subject;
const times = (count: number, key: string | null) => Array.from({ length: count }, () => key);

async function ordered(ordering: 'key' | 'topic', changes: Partial<SubscriptionDocument> = {}): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', { ordering, delivery: FAST, ...changes });
  return hub;
}

/** Adds up whatever happens. */
async function expectBooks(hub: Hub, sequences: number): Promise<void> {
  const view = await hub.view('billing');
  expect(view.pending).toBe(view.inFlight + view.retrying + view.held);
  expect(booked(view)).toBe(sequences);
}

describe('P2: ordering by key', () => {
  test('has one lease with a key at a time; other keys and events without one run on', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a']);
    const first = hub.take();
    await hub.publishKeys('orders', ['a', 'b', null, 'a', 'b']);
    await hub.clock.advance(150);
    const second = await hub.claim(hub.take());
    expect(second.events.map(({ sequence, key }) => [sequence, key])).toEqual([
      [3, 'b'],
      [4, null],
      [6, 'b'],
    ]);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({ inFlight: 4, held: 2, pending: 6, waiting: 0 });
    await consume(hub, first);
    await hub.clock.advance(150);
    expect((await hub.claim(hub.take())).events.map(({ sequence }) => sequence)).toEqual([2, 5]);
    await expectBooks(hub, 6);
  });

  test('goes by the partition key first, then by the subject, and of each topic by itself', async () => {
    const hub = await ordered('key', { topics: ['orders', 'bills'] });
    await hub.publishKeys('orders', ['a']);
    await hub.publishKeys('bills', ['a']);
    await hub.clock.advance(150);
    expect(hub.deliveries).toHaveLength(2);
  });

  test('takes many events of a key in one lease, and the rest when these are settled', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', times(1, 'a'));
    await consume(hub, hub.take());
    await hub.publishKeys('orders', times(40, 'a'));
    const sizes: number[] = [];
    for (;;) {
      await hub.clock.advance(150);
      const message = hub.deliveries.shift();
      if (message === undefined) break;
      sizes.push((await consume(hub, message)).length);
    }
    expect(sizes).toEqual([KEY_RUN_MAX, KEY_RUN_MAX, 40 - 2 * KEY_RUN_MAX]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 41, held: 0, pending: 0, cursor: 41 });
    expect(hub.rows('billing', 'SELECT * FROM holds')).toEqual([]);
  });

  test('a failing key holds only itself, without a gap, and is delivered in order once it can be', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'a', 'b', 'a', 'b', null]);
    let broken = true;
    const fails = (event: Event) => broken && subjectOf(event) === 'a';
    expect(await workOff(hub, fails)).toEqual([1, 3, 5, 6]);
    await hub.publishKeys('orders', ['a', 'b', 'a']);
    expect(await workOff(hub, fails)).toEqual([8]);
    expect(await hub.view('billing')).toMatchObject({ retrying: 1, held: 4, delivered: 4, cursor: 0 });
    await hub.advance(1_000);
    broken = false;
    expect(await workOff(hub, fails)).toEqual([1, 2, 4, 7, 9]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 9, held: 0, pending: 0, cursor: 9 });
  });

  test('after the last attempt the event is a dead letter and its key moves on; a redrive is marked and waits for its key', async () => {
    const hub = await ordered('key', { retry: { scheduleMs: [1_000], jitter: 0 } });
    await hub.publishKeys('orders', ['a', 'a', 'a']);
    const fails = ({ sequence }: Event) => sequence === 1;
    expect(await workOff(hub, fails)).toEqual([1]);
    await hub.advance(1_000);
    expect(await workOff(hub, fails)).toEqual([1, 2, 3]);
    await hub.advance(0);
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.publishKeys('orders', ['a']);
    await hub.awaiting(hub.subscription('billing').redrive(letter));
    const live = hub.take();
    expect(hub.deliveries).toEqual([]);
    expect(await consume(hub, live)).toEqual([4]);
    await hub.clock.advance(10);
    const claimed = await hub.claim(hub.take());
    expect(claimed.events.map(({ sequence, redriven, key }) => [sequence, redriven, key])).toEqual([[1, true, 'a']]);
    await hub.publishKeys('orders', ['a']);
    await hub.clock.advance(LINGER_MS);
    expect(await hub.view('billing')).toMatchObject({ held: 1, inFlight: 1 });
  });

  test('a redriven letter that waits for its retry holds nothing', async () => {
    const hub = await ordered('key', { retry: { scheduleMs: [60_000], jitter: 0 } });
    await hub.publishKeys('orders', ['a']);
    const dies = (event: Event) => event.sequence === 1;
    await workOff(hub, dies);
    await hub.advance(60_000);
    await workOff(hub, dies);
    await hub.advance(0);
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.awaiting(hub.subscription('billing').redrive(letter));
    expect(await workOff(hub, dies)).toEqual([1]);
    await hub.publishKeys('orders', ['a']);
    expect(await workOff(hub, dies)).toEqual([2]);
  });

  test('shows what is held of an event', async () => {
    const hub = await ordered('key', { filter: { types: ['order.*'], cel: null } });
    await hub.publishKeys('orders', ['a', 'a']);
    await hub.publishKeys('orders', ['a'], 'invoice.sent');
    await workOff(hub, ({ sequence }) => sequence === 1);
    const json = (type: string) => JSON.stringify({ specversion: '1.0', type, subject: 'a' });
    const status = async (sequence: number, type = 'order.created') =>
      (await hub.awaiting(hub.subscription('billing').delivery('orders', sequence, json(type)))).status;
    expect([await status(1), await status(2), await status(3, 'invoice.sent')]).toEqual([
      'retrying',
      'held',
      'filtered',
    ]);
    const [standing] = (await hub.awaiting(hub.subscription('billing').topics())) ?? [];
    expect(standing).toMatchObject({ cursor: 0, pending: 2 });
  });

  test('another filter does not change what is owed of what is held', async () => {
    const hub = await ordered('key', { filter: { types: ['order.*'], cel: null } });
    await hub.publishKeys('orders', ['a', 'a']);
    await hub.publishKeys('orders', ['a'], 'invoice.sent');
    await workOff(hub, ({ sequence }) => sequence === 1);
    await hub.subscribe('billing', {
      ordering: 'key',
      delivery: FAST,
      filter: { types: ['invoice.*'], cel: null },
    });
    await hub.publishKeys('orders', ['a'], 'invoice.sent');
    await hub.publishKeys('orders', ['a']);
    await workOff(hub);
    await hub.advance(1_000);
    expect(await workOff(hub)).toEqual([1, 2, 4]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 3, filtered: 2, held: 0 });
  });

  test('survives a restart, lost messages and a claim that runs out', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'a', 'b', 'a']);
    await hub.claim(hub.take());
    await hub.publishKeys('orders', ['a']);
    await hub.clock.advance(150);
    hub.restart('billing');
    hub.loseMessages();
    await hub.advance(20_000);
    expect(await workOff(hub)).toEqual([1, 2, 3, 4, 5]);
    await expectBooks(hub, 5);
  });

  test('after three claims without a settle the first of each key goes out alone, and the others stay behind it', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'a', 'b', null, 'a']);
    for (let claims = 0; claims < 3; claims++) {
      await hub.claim(hub.take());
      hub.loseMessages();
      await hub.advance(16_000);
    }
    const leases = hub.rows<{ sequences: string }>('billing', 'SELECT sequences FROM leases ORDER BY sequences');
    expect(leases.map(({ sequences }) => sequences)).toEqual(['[1]', '[3]', '[4]']);
    expect(await hub.view('billing')).toMatchObject({ held: 2, inFlight: 3 });
    expect((await workOff(hub)).toSorted()).toEqual([1, 2, 3, 4, 5]);
  });

  test('what the time did not suffice for goes back behind what is still under way', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'a', 'a']);
    const message = hub.take();
    const claimed = await hub.claim(message);
    const settle = (outcomes: DeliveryOutcome[]) =>
      hub.awaiting(hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }));
    await settle([2, 3].map((sequence) => ({ kind: 'released', topic: 'orders', sequence })));
    await hub.clock.advance(150);
    expect(hub.deliveries).toEqual([]);
    await settle([hub.delivered({ topic: 'orders', sequence: 1 })]);
    expect(await workOff(hub)).toEqual([2, 3]);
  });

  test('a replay shares the keys under way and is ordered in itself', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'b', 'a']);
    await workOff(hub);
    await hub.publishKeys('orders', ['a']);
    const live = hub.take();
    const replay = { ...REPLAY, id: 'r1' };
    await hub.awaiting(hub.subscription('billing').startReplay(replay));
    await hub.clock.advance(150);
    const beside = await hub.claim(hub.take());
    expect(beside.events.map(({ sequence, replay: of }) => [sequence, of])).toEqual([[2, 'r1']]);
    expect(hub.rows('billing', "SELECT held FROM lanes WHERE replay = 'r1'")).toEqual([{ held: 3 }]);
    expect((await hub.awaiting(hub.subscription('billing').replay('r1')))?.remaining).toBe(4);
    await consume(hub, live);
    expect(await workOff(hub)).toEqual([1, 3, 4]);
  });
});

describe('P4: what is held', () => {
  /** 1 has failed; 2, 3 and 5 wait behind it. */
  async function held(): Promise<Hub> {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'a', 'a', 'b', 'a']);
    await workOff(hub, ({ sequence }) => sequence === 1);
    expect(await hub.view('billing')).toMatchObject({ held: 3, retrying: 1, delivered: 1 });
    return hub;
  }

  test('is skipped by a seek forward, and what the seek leads to comes again', async () => {
    const forward = await held();
    const to = { kind: 'sequence' as const, sequence: 6 };
    const sought = await forward.awaiting(forward.subscription('billing').seek({ topic: null, to }));
    expect(sought).toMatchObject({ topics: [{ skipped: 4 }] });
    expect(await forward.view('billing')).toMatchObject({ skipped: 4, held: 0, pending: 0 });
    const json = JSON.stringify({ type: 'order.created', subject: 'a' });
    const status = async (sequence: number) =>
      (await forward.awaiting(forward.subscription('billing').delivery('orders', sequence, json))).status;
    expect([await status(2), await status(5)]).toEqual(['skipped', 'skipped']);

    const back = await held();
    const middle = { kind: 'sequence' as const, sequence: 3 };
    expect(await back.awaiting(back.subscription('billing').seek({ topic: null, to: middle }))).toMatchObject({
      topics: [{ skipped: 2 }],
    });
    expect(await workOff(back)).toEqual([3, 4, 5]);
    await expectBooks(back, 5);
  });

  test('is skipped with a topic that is given up', async () => {
    const hub = await held();
    await hub.subscribe('billing', { topics: ['bills'], ordering: 'key', delivery: FAST });
    expect(await hub.view('billing')).toMatchObject({ skipped: 4, held: 0, pending: 0 });
  });

  test('becomes dead letters when its topic is deleted, each with its event', async () => {
    const hub = await held();
    await hub.awaiting(hub.log('orders').remove({ force: true }));
    await hub.advance(1_000);
    expect(await hub.view('billing')).toMatchObject({ dead: 4, held: 0, pending: 0 });
    const letters = await hub.lettersOf('billing', 'open');
    expect(letters.map(({ sequence, reason }) => [sequence, reason]).sort()).toEqual([
      [1, 'expired'],
      [2, 'expired'],
      [3, 'expired'],
      [5, 'expired'],
    ]);
    expect(hub.rows('billing', 'SELECT * FROM holds')).toEqual([]);
  });

  test('goes with its subscription', async () => {
    const hub = await held();
    await hub.awaiting(hub.subscription('billing').remove());
    expect(hub.rows('billing', 'SELECT * FROM holds')).toEqual([]);
  });

  test('waits while the subscription is paused', async () => {
    const hub = await held();
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.advance(60_000);
    expect(await workOff(hub)).toEqual([]);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await workOff(hub)).toEqual([1, 2, 3, 5]);
  });

  test('is found again when its log could not be read', async () => {
    const hub = await held();
    await hub.advance(1_000);
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    hub.unreachable.add('orders');
    const outcomes = events.map((event) => hub.delivered(event));
    await hub.awaiting(hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes }));
    await hub.advance(10_000);
    expect(hub.deliveries).toEqual([]);
    hub.unreachable.clear();
    await hub.advance(60_000);
    expect(await workOff(hub)).toEqual([2, 3, 5]);
  });

  test('stays a bounded number of keys: at the limit the cursor stops', async () => {
    const hub = await ordered('key', { maxInFlight: 1_000 });
    await hub.publishKeys('orders', times(1, 'a'));
    await workOff(hub, () => true);
    hub.storage('subscription billing').sql.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO holds SELECT 1, 'k' || i, 1, 1 FROM n`,
      HOLDS_MAX,
    );
    hub.restart('billing');
    await hub.publishKeys('orders', ['x', 'y']);
    await hub.advance(500);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({ waiting: 2 });
  });
});

describe('P2: ordering by topic', () => {
  test('is one after the other, strictly', async () => {
    const hub = await ordered('topic');
    await hub.publishKeys('orders', ['a', 'b', null]);
    const first = hub.take();
    await hub.publishKeys('orders', ['c', 'a']);
    await hub.clock.advance(150);
    expect(hub.deliveries).toEqual([]);
    expect(await consume(hub, first)).toEqual([1, 2, 3]);
    expect(await workOff(hub)).toEqual([4, 5]);
  });

  test('stops at what fails, writes nothing of what waits, and goes on from there', async () => {
    const hub = await ordered('topic', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 2);
    await hub.publish('orders', 1, 'invoice.sent');
    await hub.publish('orders', 2);
    let broken = true;
    const fails = ({ sequence }: Event) => broken && sequence === 2;
    expect(await workOff(hub, fails)).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ retrying: 1, held: 0, pending: 1, waiting: 2, cursor: 1 });
    await hub.publish('orders', 50);
    expect(await workOff(hub, fails)).toEqual([]);
    await expectBooks(hub, 55);
    broken = false;
    await hub.advance(1_000);
    const rest = await workOff(hub, fails);
    expect(rest).toEqual([2, 4, 5, ...Array.from({ length: 50 }, (_, index) => index + 6)]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 54, filtered: 1, pending: 0 });
  });

  test('after the last attempt the event is a dead letter and the lane moves on', async () => {
    const hub = await ordered('topic', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 3);
    expect(await workOff(hub, ({ sequence }) => sequence === 1)).toEqual([1, 2, 3]);
    expect(await hub.view('billing')).toMatchObject({ dead: 1, delivered: 2 });
  });

  test('live delivery, replays and redriven letters take turns in the one slot', async () => {
    const hub = await ordered('topic');
    await hub.publish('orders', 120);
    await workOff(hub);
    const replay = { ...REPLAY, id: 'r1' };
    await hub.awaiting(hub.subscription('billing').startReplay(replay));
    await hub.publish('orders', 200);
    const lanes: (string | null)[] = [];
    for (;;) {
      await hub.clock.advance(150);
      const message = hub.deliveries.shift();
      if (message === undefined) break;
      expect(hub.deliveries).toEqual([]);
      const claimed = await hub.claim(message);
      lanes.push(claimed.events[0]?.replay ?? null);
      const outcomes = claimed.events.map((event) => hub.delivered(event));
      await hub.awaiting(
        hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
      );
    }
    expect(lanes.indexOf('r1')).toBeLessThan(lanes.lastIndexOf(null));
    expect(lanes.lastIndexOf('r1')).toBeGreaterThan(lanes.indexOf(null));
    expect((await hub.awaiting(hub.subscription('billing').replay('r1')))?.status).toBe('done');
    expect(await hub.view('billing')).toMatchObject({ delivered: 320, pending: 0 });
  });

  test('a new filter decides about what is passed anew', async () => {
    const hub = await ordered('topic');
    await hub.publish('orders', 2);
    await hub.publish('orders', 2, 'invoice.sent');
    const message = hub.take();
    const claimed = await hub.claim(message);
    await hub.subscribe('billing', { ordering: 'topic', delivery: FAST, filter: { types: ['order.*'], cel: null } });
    const outcomes = claimed.events.map(
      (event): DeliveryOutcome =>
        event.sequence === 1 ? hub.failed(event) : { kind: 'released', topic: event.topic, sequence: event.sequence },
    );
    await hub.awaiting(
      hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
    );
    await hub.advance(1_000);
    expect(await workOff(hub)).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, filtered: 2 });
  });
});

describe('P4: a change of ordering in the middle of traffic', () => {
  const change = (hub: Hub, ordering: SubscriptionDocument['ordering']) =>
    hub.subscribe('billing', { ordering, delivery: FAST });

  test('waits until nothing that was leased by the old one is in flight', async () => {
    const hub = await ordered('key');
    await hub.publishKeys('orders', ['a', 'b']);
    const old = hub.take();
    const view = await change(hub, 'topic');
    expect(view.document.ordering).toBe('topic');
    await hub.publishKeys('orders', ['c', 'd']);
    await hub.clock.advance(150);
    expect(hub.deliveries).toEqual([]);
    await consume(hub, old);
    await hub.clock.advance(150);
    const claimed = await hub.claim(hub.take());
    expect(claimed.events.map(({ sequence, key }) => [sequence, key])).toEqual([
      [3, ''],
      [4, ''],
    ]);
  });

  test.each([
    ['key', 'none'],
    ['key', 'topic'],
    ['topic', 'key'],
    ['topic', 'none'],
    ['none', 'key'],
    ['none', 'topic'],
  ] as const)('from %s to %s loses nothing and doubles nothing', async (from, to) => {
    const hub = new Hub();
    await hub.subscribe('billing', { ordering: from, delivery: FAST });
    const keys = ['a', 'b', null, 'a', 'a', 'b', 'c'];
    await hub.publishKeys('orders', keys);
    let broken = true;
    const taken: number[] = [];
    const fails = (event: Event) => {
      const failing = broken && subjectOf(event) === 'a';
      if (!failing) taken.push(event.sequence);
      return failing;
    };
    await workOff(hub, fails);
    await change(hub, to);
    await hub.publishKeys('orders', keys);
    await workOff(hub, fails);
    await expectBooks(hub, 14);
    broken = false;
    for (let step = 0; step < 5; step++) {
      await hub.advance(3_000);
      await workOff(hub, fails);
    }
    expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 14 }, (_, index) => index + 1));
    expect(await hub.view('billing')).toMatchObject({ delivered: 14, held: 0, pending: 0, cursor: 14 });
    if (to === 'none') return;
    const fresh = taken.filter((sequence) => sequence > 7 && (to === 'topic' || keys[sequence - 8] === 'a'));
    expect(fresh).toEqual(fresh.toSorted((a, b) => a - b));
  });

  test('the key of what failed before is found out when it is tried again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { delivery: FAST });
    await hub.publishKeys('orders', ['a', 'a']);
    await workOff(hub, () => true);
    await change(hub, 'key');
    await hub.publishKeys('orders', ['a']);
    const live = hub.take();
    await hub.advance(1_000);
    await hub.claim(live);
    const retries = hub.take();
    const void_ = await hub.awaiting(hub.subscription('billing').claim(retries.lease));
    expect(void_).toEqual({ outcome: 'void' });
    expect(hub.rows('billing', 'SELECT key, lease FROM exceptions')).toEqual([
      { key: 'a', lease: null },
      { key: 'a', lease: null },
    ]);
  });
});

describe('P2: what was one batch', () => {
  const BATCH = { ...WEBHOOK, format: 'batch' as const, maxBatch: 4 };
  const retry = { scheduleMs: [1_000, 60_000], jitter: 0 };

  /** Three events of a key, or of a topic in order, whose batch was refused; what they are delivered by is new since. */
  async function refused(ordering: 'key' | 'topic', delivery: SubscriptionDocument['delivery']): Promise<Hub> {
    const hub = await ordered(ordering, { delivery: BATCH, retry });
    await hub.publishKeys('orders', times(3, 'k'));
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    expect(events).toHaveLength(3);
    const outcomes = events.map((event) => hub.failed(event));
    await hub.awaiting(hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes }));
    await hub.put('billing', { ordering, delivery, retry });
    await hub.publishKeys('orders', times(1, 'k'));
    return hub;
  }

  test.each(['key', 'topic'] as const)(
    'goes singly by sequence and not by due time, in order by %s',
    async (ordering) => {
      const hub = await refused(ordering, FAST);
      await hub.advance(1_000);
      expect(await workOff(hub, ({ sequence }) => sequence === 1)).toEqual([1]);
      const billing = hub.subscription('billing');
      const rings = vi.spyOn(billing, 'alarm');
      await hub.advance(50_000);
      expect(await workOff(hub)).toEqual([]);
      // What waits behind the first rings no alarm, though it is due.
      expect(rings.mock.calls.length).toBeLessThan(20);
      await hub.advance(10_000);
      expect(await workOff(hub)).toEqual([1, 2, 3, 4]);
      await expectBooks(hub, 4);
    },
  );

  test.each(['key', 'topic'] as const)('is pulled by sequence, in order by %s', async (ordering) => {
    const hub = await refused(ordering, { kind: 'pull', ackDeadlineMs: 30_000, maxDeliveries: 3 });
    const billing = hub.subscription('billing');
    let names = 0;
    const pull = async () => {
      const pulling = billing.pull({ v: 1, puller: `p${++names}`, max: 10, waitMs: 0, mayRead: null });
      const result = await hub.awaiting(pulling);
      return result.outcome === 'pulled' ? unpacked(result.deliveries) : [];
    };
    await hub.advance(1_000);
    const [first, ...others] = await pull();
    expect(first?.sequence).toBe(1);
    expect(others).toEqual([]);
    const ackIds = first ? [first.ackId] : [];
    await billing.nack({ v: 1, ackIds, delayMs: 60_000, reason: null, dead: null });
    expect(await pull()).toEqual([]);
    await hub.advance(60_000);
    for (const sequence of [1, 2, 3, 4]) {
      const held = await pull();
      expect(held.map((delivery) => delivery.sequence)).toEqual([sequence]);
      await billing.ack({ v: 1, ackIds: held.map(({ ackId }) => ackId) });
    }
    await expectBooks(hub, 4);
  });
});
