import { describe, expect, test } from 'vitest';
import { packEvents } from '../../src/events/new-event.ts';
import { EXCEPTIONS_MAX, LEASE_BYTES_MAX, LETTERS_UNSENT_MAX } from '../../src/subscriptions/limits.ts';
import type { LeaseMessage } from '../../src/subscriptions/protocol-claims.ts';
import { booked, Hub, WEBHOOK } from './harness.ts';

/** Events with much data in them. */
async function publishLarge(hub: Hub, count: number, bytes: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    const json = JSON.stringify({ id: `large-${left}`, source: '/t', type: 'order.created', data: 'x'.repeat(bytes) });
    const events = packEvents([{ source: '/t', id: `large-${left}`, key: null, json }]);
    await hub.awaiting(hub.log('orders').append({ v: 1, events, expectedLastSequence: null, create: true }));
  }
}

describe('bounds', () => {
  test('100,000 exceptions stop new events, not retries; as they drain it goes on', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [3_600_000, 3_600_000], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing');
    const { sql } = hub.storage('subscription billing');
    sql.exec(
      `WITH RECURSIVE n(sequence) AS (SELECT 1000001 UNION ALL SELECT sequence + 1 FROM n LIMIT ${EXCEPTIONS_MAX})
       INSERT INTO exceptions (lane, sequence, attempts, tries, due) SELECT 1, sequence, 1, 1, ${hub.clock.now() + 3_600_000} FROM n`,
    );
    sql.exec('UPDATE lanes SET retrying = ?', EXCEPTIONS_MAX);
    hub.restart('billing');
    await hub.publish('orders', 5);
    await hub.advance(30_000);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({
      waiting: 5,
      retrying: EXCEPTIONS_MAX,
      health: { state: 'healthy' },
    });
    sql.exec('DELETE FROM exceptions WHERE sequence > 1000100');
    sql.exec('UPDATE lanes SET retrying = 100');
    hub.restart('billing');
    await hub.advance(6_000);
    expect(await hub.work('billing')).toEqual([2, 3, 4, 5, 6]);
  });

  test('10,000 dead letters that D1 does not have stop new events, not retries; as it takes them it goes on', async () => {
    const hub = new Hub();
    // Of each event there is a letter: the filter fails on all of them.
    const filter = { types: [], cel: 'int(type) > 0' };
    await hub.subscribe('billing', { retry: { scheduleMs: [1_000], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.put('billing', { filter, retry: { scheduleMs: [1_000], jitter: 0 } });
    hub.d1.failure = 'before';
    const { sql } = hub.storage('subscription billing');
    const letters = (count: number) =>
      sql.exec(
        `WITH RECURSIVE n(sequence) AS (SELECT 1000001 UNION ALL SELECT sequence + 1 FROM n LIMIT ${count})
         INSERT INTO letters (topic, sequence, state, reason, attempts, died_at, event, version, dirty)
         SELECT 'elsewhere', sequence, 'open', 'invalid', 0, 0, '{}', 1, 1 FROM n`,
      );
    letters(LETTERS_UNSENT_MAX - 5);
    hub.restart('billing');
    for (let published = 0; published < 5; published += 1) await hub.publish('orders', 2);
    await hub.advance(60_000);
    const view = await hub.view('billing');
    expect(view.dead).toBeGreaterThanOrEqual(5);
    expect(view.dead + view.waiting).toBe(10);
    expect(view.waiting).toBeGreaterThan(0);
    expect(booked(view)).toBe(11);
    // What failed is tried again all the same.
    expect(await hub.work('billing')).toEqual([1]);
    hub.d1.failure = null;
    await hub.advance(120_000);
    expect(await hub.view('billing')).toMatchObject({ dead: 10, delivered: 1, waiting: 0, pending: 0 });
    expect(hub.rows('billing', 'SELECT 1 AS one FROM letters WHERE dirty = 1 LIMIT 1')).toEqual([]);
  });

  test('a lease whose events are larger than 4 MiB is split when it is claimed', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').pause());
    await publishLarge(hub, 10, 900_000);
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.clock.advance(50);
    // As if they had become one lease: of exceptions that are due at once.
    hub.loseMessages();
    const { sql } = hub.storage('subscription billing');
    sql.exec('DELETE FROM leases');
    sql.exec(
      "INSERT INTO leases (id, lane, retry, sequences, count, due) VALUES (99, 1, 0, '[1,2,3,4,5,6,7,8,9,10]', 10, 0)",
    );
    sql.exec('UPDATE lanes SET in_flight = 10, next = 11, parked = NULL');
    hub.restart('billing');
    await hub.awaiting(hub.subscription('billing').sweep());
    const sizes: number[] = [];
    const seen: number[] = [];
    for (let turn = 0; turn < 10; turn++) {
      await hub.advance(10_000);
      for (let message = hub.deliveries.shift(); message; message = hub.deliveries.shift()) {
        const claimed = await hub.awaiting(hub.subscription('billing').claim(message.lease));
        if (claimed.outcome !== 'claimed') continue;
        sizes.push(claimed.events.reduce((sum, event) => sum + event.json.length, 0));
        seen.push(...claimed.events.map((event) => event.sequence));
        const outcomes = claimed.events.map((event) => hub.delivered(event));
        await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
      }
    }
    expect(seen.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(LEASE_BYTES_MAX);
    expect(booked(await hub.view('billing'))).toBe(10);
  });

  test.each([
    [15_000, 24, 24],
    [5_000, 50, 40],
  ])(
    'a lease of a subscription with a timeout of %i ms holds at most %i events, all of them as many, together maxInFlight',
    async (timeoutMs, most, size) => {
      const hub = new Hub();
      await hub.subscribe('billing', { maxInFlight: 120, delivery: { ...WEBHOOK, timeoutMs } });
      await hub.awaiting(hub.subscription('billing').pause());
      await hub.publish('orders', 300);
      await hub.awaiting(hub.subscription('billing').resume());
      await hub.clock.advance(50);
      const counts = hub.rows<{ count: number }>('billing', 'SELECT count FROM leases').map((lease) => lease.count);
      expect(size).toBeLessThanOrEqual(most);
      expect(counts).toEqual(Array(120 / size).fill(size));
      expect((await hub.work('billing')).length).toBe(300);
    },
  );

  describe('the leases of a receiver with a timeout of 15 s that', () => {
    /** Events in each lease of a backlog that is made after one delivery that took so long. */
    async function leasesAfter(latencyMs: number, url = WEBHOOK.url): Promise<number[]> {
      const hub = new Hub();
      const delivery = { ...WEBHOOK, timeoutMs: 15_000 };
      await hub.subscribe('billing', { maxInFlight: 96, delivery });
      await hub.publish('orders', 1);
      await hub.work('billing', (event) => ({ ...hub.delivered(event), latencyMs }));
      await hub.subscribe('billing', { maxInFlight: 96, delivery: { ...delivery, url } });
      await hub.awaiting(hub.subscription('billing').pause());
      await hub.publish('orders', 100);
      await hub.awaiting(hub.subscription('billing').resume());
      await hub.clock.advance(50);
      return hub.rows<{ count: number }>('billing', 'SELECT count FROM leases').map((lease) => lease.count);
    }

    test('answers swiftly are as large as any', async () => {
      expect(await leasesAfter(20)).toEqual([48, 48]);
    });

    test('takes longer are what the consumer can finish in any case', async () => {
      expect(await leasesAfter(21)).toEqual([24, 24, 24, 24]);
    });

    test('has another address now are small until that has answered', async () => {
      expect(await leasesAfter(5, 'https://elsewhere.example/hook')).toEqual([24, 24, 24, 24]);
    });
  });

  test('a slot that is free alone waits a moment for others to make a whole lease with', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 64 });
    const sizes = () => hub.rows<{ count: number }>('billing', 'SELECT count FROM leases').map(({ count }) => count);
    const settle = async (size: number) => {
      const index = claims.findIndex(({ claimed }) => claimed.events.length === size);
      for (const { message, claimed } of claims.splice(index, 1)) {
        const outcomes = claimed.events.map((event) => ({ ...hub.delivered(event), latencyMs: 200 }));
        const request = { v: 1 as const, lease: message.lease, token: claimed.token, outcomes };
        await hub.awaiting(hub.subscription('billing').settle(request));
      }
    };
    const claims: { message: LeaseMessage; claimed: Awaited<ReturnType<Hub['claim']>> }[] = [];
    const claimAll = async () => {
      for (const message of hub.deliveries.splice(0)) claims.push({ message, claimed: await hub.claim(message) });
    };
    await hub.publish('orders', 1);
    await hub.clock.advance(50);
    await claimAll();
    await hub.publish('orders', 500);
    await hub.clock.advance(50);
    await claimAll();
    expect(sizes().sort()).toEqual([1, 21, 21, 21]);
    await settle(1);
    await hub.clock.advance(60);
    expect(sizes()).toEqual([21, 21, 21]);
    await settle(21);
    await hub.clock.advance(20);
    expect(sizes()).toEqual([21, 21, 21]);
    await hub.clock.advance(200);
    expect(sizes().sort()).toEqual([1, 21, 21, 21]);
  });

  test('what a consumer releases without having tried anything is not sent again at once', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    let claims = 0;
    for (let second = 0; second < 30; second++) {
      for (let message = hub.deliveries.shift(); message; message = hub.deliveries.shift()) {
        const claimed = await hub.claim(message);
        claims += 1;
        await hub.subscription('billing').settle({
          v: 1,
          lease: message.lease,
          token: claimed.token,
          outcomes: claimed.events.map(({ topic, sequence }) => ({ kind: 'released', topic, sequence })),
        });
      }
      await hub.advance(1_000);
    }
    expect(claims).toBeLessThan(10);
    expect(claims).toBeGreaterThan(3);
  });

  test('a failing receiver gets its probe when it is due, however many deliveries were out when it began to fail', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 8, retry: { scheduleMs: [3_600_000], jitter: 0 } });
    for (let event = 0; event < 8; event++) {
      await hub.publish('orders', 1);
      await hub.clock.advance(50);
    }
    await hub.publish('orders', 40);
    const tried = await hub.work('billing', (event) => hub.failed(event));
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'failing' } });
    expect(hub.rows('billing', 'SELECT probe_delay FROM subscription')).toEqual([{ probe_delay: 5_000 }]);
    await hub.advance(5_500);
    expect(await hub.work('billing')).toHaveLength(48 - tried.length);
  });
});

describe('a clock that jumps an hour', () => {
  test.each([
    ['forward', 3_600_000],
    ['back', -3_600_000],
  ])('%s: lost messages, open claims and probes heal as they do without', async (_, ms) => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 2, retry: { scheduleMs: [10_000], jitter: 0 } });
    await hub.publish('orders', 2);
    const claimed = await hub.claim(hub.take());
    expect(claimed.events.length).toBeGreaterThan(0);
    hub.loseMessages();
    hub.clock.jump(ms);
    // The platform's alarm of a wall clock that went back comes late; whatever happens next wakes it.
    await hub.awaiting(hub.subscription('billing').sweep());
    const seen: number[] = [];
    for (let turn = 0; turn < 8; turn++) {
      await hub.advance(5_000);
      seen.push(...(await hub.work('billing')));
    }
    expect([...new Set(seen)].sort()).toEqual([1, 2]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 2, pending: 0 });
    expect(booked(view)).toBe(2);
  });

  test('back: a failing receiver is probed within five minutes all the same', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: [86_400_000], jitter: 0 } });
    await hub.publish('orders', 3);
    await hub.work('billing', (event) => hub.failed(event));
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'failing' } });
    hub.clock.jump(-3_600_000);
    await hub.awaiting(hub.subscription('billing').sweep());
    await hub.advance(300_000);
    expect((await hub.work('billing')).length).toBeGreaterThan(0);
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'healthy' } });
  });
});
