import { describe, expect, test } from 'vitest';
import type { Position } from '../../src/events/position.ts';
import { ATTACH_AT_ONCE } from '../../src/subscriptions/limits.ts';
import type { ReadOrParkRequest } from '../../src/topics/protocol.ts';
import { booked, Hub } from './harness.ts';

describe('P4: a topic and a pattern that matches it always find each other', () => {
  test('the topic is there first: its events since the making are delivered, none from before', async () => {
    const hub = new Hub();
    await hub.publish('orders.eu', 2);
    await hub.advance(10_000);
    await hub.subscribe('audit', { topics: ['orders.*'] });
    await hub.publish('orders.eu', 1);
    expect(await hub.work('audit')).toEqual([3]);
  });

  test('the pattern is there first, and D1 down when the topic is made', async () => {
    const hub = new Hub();
    await hub.subscribe('audit', { topics: ['orders.*'] });
    hub.d1.failure = 'before';
    await hub.publish('orders.eu', 2);
    await hub.advance(10_000);
    expect(await hub.work('audit')).toEqual([]);
    hub.d1.failure = null;
    await hub.advance(60_000);
    expect(await hub.work('audit')).toEqual([1, 2]);
  });

  test('D1 is down when the pattern is made: it is refused for now, and followed once D1 is back', async () => {
    const hub = new Hub();
    await hub.publish('orders.eu', 1);
    await hub.advance(10_000);
    hub.d1.failure = 'before';
    expect(await hub.put('audit', { topics: ['orders.*'] })).toMatchObject({ outcome: 'unavailable' });
    await hub.publish('orders.eu', 2);
    hub.d1.failure = null;
    await hub.advance(60_000);
    expect(await hub.work('audit')).toEqual([2, 3]);
    expect(await hub.view('audit')).toMatchObject({ status: 'active', delivered: 2 });
  });

  test('topics are held against the patterns only once the catalogue has these', async () => {
    const hub = new Hub();
    const around = hub.d1.around;
    let mirrorFails = true;
    hub.d1.around = async (queries, work) => {
      if (mirrorFails && queries.some((query) => query.includes('INTO subscriptions'))) throw new Error('D1 is down.');
      return around(queries, work);
    };
    expect(await hub.put('audit', { topics: ['orders.*'] })).toMatchObject({ outcome: 'unavailable' });
    await hub.advance(5_000);
    // Made and announced while nobody could know of the pattern.
    await hub.publish('orders.eu', 1);
    await hub.advance(5_000);
    expect(await hub.catalog.topicsAfter('')).toEqual(['millrace.system', 'orders.eu']);
    mirrorFails = false;
    await hub.advance(60_000);
    expect(await hub.work('audit')).toEqual([1]);
  });

  test.each<{ what: string; from: Position }>([
    { what: 'past its end', from: { kind: 'sequence', sequence: 50 } },
    { what: 'in the middle of it', from: { kind: 'sequence', sequence: 3 } },
    { what: 'at its start', from: { kind: 'sequence', sequence: 1 } },
    { what: 'in the future', from: { kind: 'time', time: Date.parse('2100-01-01T00:00:00Z') } },
    { what: 'in the past', from: { kind: 'time', time: 0 } },
  ])(
    'the pattern is there first, from a position $what: nothing that was acknowledged since is left out',
    async ({ from }) => {
      const hub = new Hub();
      await hub.subscribe('audit', { topics: ['orders.*'], from });
      await hub.clock.advance(5_000);
      // The topic can't be announced yet: it has several events before anybody attaches it.
      hub.d1.failure = 'before';
      await hub.publish('orders.eu', 4);
      await hub.advance(10_000);
      hub.d1.failure = null;
      await hub.advance(60_000);
      await hub.publish('orders.eu', 1);
      expect(await hub.work('audit')).toEqual([1, 2, 3, 4, 5]);
      expect(booked(await hub.view('audit'))).toBe(5);
    },
  );

  test('the topic is there first: a number within it counts, one past its end means what comes', async () => {
    for (const [sequence, delivered] of [
      [3, [3, 4, 5]],
      [50, [5]],
    ] as const) {
      const hub = new Hub();
      await hub.publish('orders.eu', 4);
      await hub.advance(10_000);
      await hub.subscribe('audit', { topics: ['orders.*'], from: { kind: 'sequence', sequence } });
      await hub.publish('orders.eu', 1);
      expect((await hub.work('audit')).sort()).toEqual(delivered);
    }
  });

  test('several who attach the same topic at once leave one lane, which its log knows', async () => {
    const hub = new Hub();
    await hub.publish('orders.eu', 1);
    await hub.advance(1_000);
    const subscription = hub.subscription('audit');
    const put = hub.put('audit', { topics: ['orders.*'], from: { kind: 'earliest' } });
    for (let call = 0; call < 5; call++) void subscription.topicAppeared('orders.eu');
    await put;
    for (let call = 0; call < 5; call++) void subscription.topicAppeared('orders.eu');
    await hub.advance(120_000);
    await hub.publish('orders.eu', 1);
    expect(await hub.work('audit')).toEqual([1, 2]);
    expect(hub.rows('audit', 'SELECT status FROM lanes')).toEqual([{ status: 'active' }]);
  });

  test('an attachment that comes late, after its lane has another, is healed when it is taken back', async () => {
    const hub = new Hub();
    await hub.publish('orders', 1);
    await hub.subscribe('billing');
    const [lane] = hub.rows<{ attachment: string }>('billing', 'SELECT attachment FROM lanes');
    // Sent by an object that died, delivered now: the log forgets the lane's own.
    hub
      .storage('subscription billing')
      .sql.exec(
        "INSERT INTO detachments (attachment, topic, due) VALUES ('late', 'orders', ?)",
        hub.clock.now() + 60_000,
      );
    await hub.awaiting(
      hub
        .log('orders')
        .attach({ v: 1, subscription: 'billing', attachment: 'late', exact: true, from: { kind: 'latest' } }),
    );
    hub.restart('billing');
    await hub.publish('orders', 1);
    await hub.subscription('billing').alarm();
    await hub.advance(70_000);
    expect(await hub.work('billing')).toEqual([2]);
    expect(hub.rows('billing', 'SELECT attachment FROM lanes')).toEqual([lane]);
  });

  test('a pattern added later starts when it was added, not when the subscription was made', async () => {
    const hub = new Hub();
    await hub.subscribe('audit', { topics: ['orders.*'] });
    await hub.publish('invoices.eu', 3);
    await hub.advance(3_600_000);
    await hub.subscribe('audit', { topics: ['orders.*', 'invoices.*'] });
    await hub.publish('invoices.eu', 1);
    expect(await hub.work('audit')).toEqual([4]);
    expect(booked(await hub.view('audit'))).toBe(1);
  });

  test('a pattern added while topics are being attached is held against all of them', async () => {
    const hub = new Hub();
    for (const topic of ['orders.eu', 'invoices.eu']) await hub.publish(topic, 1);
    await hub.advance(1_000);
    hub.unreachable.add('orders.eu');
    expect(await hub.put('audit', { topics: ['orders.*'] })).toMatchObject({ outcome: 'unavailable' });
    expect(await hub.put('audit', { topics: ['orders.*', 'invoices.*'] })).toMatchObject({ outcome: 'unavailable' });
    hub.unreachable.clear();
    await hub.advance(60_000);
    const topics = await hub.awaiting(hub.subscription('audit').topics());
    expect(topics?.map(({ topic }) => topic).sort()).toEqual(['invoices.eu', 'orders.eu']);
  });

  test('more topics than are attached at once follow in the background, `attaching` meanwhile', {
    timeout: 60_000,
  }, async () => {
    const hub = new Hub();
    const topics = Array.from({ length: ATTACH_AT_ONCE + 600 }, (_, index) => `bulk.${String(index).padStart(5, '0')}`);
    for (const topic of topics) await hub.catalog.announceTopic(topic, hub.clock.now(), 1);
    // Logs of so many topics would only cost time: they all answer alike.
    let attached = 0;
    hub.standIn = (topic) =>
      Object.assign(Object.create(hub.log(topic)), {
        attach: async () => {
          attached += 1;
          return { outcome: 'attached', next: 1, lastSequence: 0 };
        },
        readOrPark: async ({ next }: ReadOrParkRequest) => ({ outcome: 'parked', next, lastSequence: next - 1 }),
        standing: async () => ({ firstSequence: 1, lastSequence: 0, parked: null, recordedAt: null }),
      });
    const made = await hub.put('audit', { topics: ['bulk.*'] });
    expect(made).toMatchObject({ outcome: 'created', view: { status: 'attaching' } });
    expect(attached).toBeGreaterThanOrEqual(ATTACH_AT_ONCE);
    hub.restart('audit');
    await hub.advance(60_000);
    expect(attached).toBeGreaterThanOrEqual(topics.length);
    expect(
      hub.rows('audit', "SELECT count(*) AS lanes, count(DISTINCT topic) AS topics FROM lanes WHERE status = 'active'"),
    ).toEqual([{ lanes: topics.length, topics: topics.length }]);
    expect(hub.rows('audit', 'SELECT attach_after FROM subscription')).toEqual([{ attach_after: null }]);
    expect(hub.rows('audit', 'SELECT count(*) AS unparked FROM lanes WHERE parked IS NULL')).toEqual([{ unparked: 0 }]);
  });
});
