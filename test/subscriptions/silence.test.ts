import { describe, expect, test, vi } from 'vitest';
import { Hub } from './harness.ts';

describe('P4: no lane ever stops in silence', () => {
  test('an alarm whose handler fails is counted and armed again, not at once; the other work of the alarm is done', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    hub.loseMessages();
    const storage = hub.storage('subscription billing');
    // A row that the handler can't read.
    storage.sql.exec("UPDATE leases SET sequences = 'broken', token = 'x', claims = 3, due = 0");
    const before = hub.clock.now();
    await hub.subscription('billing').alarm();
    expect(hub.rows('billing', 'SELECT alarm_failures FROM subscription')).toEqual([{ alarm_failures: 1 }]);
    expect(storage.alarm).toBe(before + 5_000);
    storage.sql.exec("UPDATE leases SET sequences = '[1]', token = NULL, claims = 0");
    await hub.advance(5_000);
    expect(await hub.work('billing')).toEqual([1]);
  });

  test('an alarm is armed even where the next one can not be derived', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    const storage = hub.storage('subscription billing');
    await hub.advance(10_000);
    expect(storage.alarm).toBeNull();
    const subscription = hub.subscription('billing');
    storage.sql.exec('ALTER TABLE leases RENAME TO elsewhere');
    await subscription.alarm();
    expect(storage.alarm).toBe(hub.clock.now() + 5_000);
    storage.sql.exec('ALTER TABLE elsewhere RENAME TO leases');
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([1]);
  });

  test('the sweep finds a lane whose park its log does not know, wakes it and counts it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing');
    hub
      .storage('topic orders')
      .sql.exec('UPDATE subscribers SET ticket = NULL, next = NULL, types = NULL, owed = NULL');
    hub.restartTopic('orders');
    await hub.publish('orders', 1);
    await hub.advance(120_000);
    expect(await hub.work('billing')).toEqual([]);
    expect(await hub.awaiting(hub.subscription('billing').sweep())).toBe(true);
    expect(await hub.work('billing')).toEqual([2]);
    expect(hub.rows('billing', 'SELECT healed FROM subscription')).toEqual([{ healed: 1 }]);
    expect(await hub.awaiting(hub.subscription('billing').sweep())).toBe(false);
  });

  test('a lane that its log has forgotten altogether attaches again from where it stands', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing');
    hub.storage('topic orders').sql.exec('DELETE FROM subscribers');
    hub.restartTopic('orders');
    await hub.publish('orders', 2);
    expect(await hub.awaiting(hub.subscription('billing').sweep())).toBe(true);
    await hub.advance(1_000);
    expect(await hub.work('billing')).toEqual([2, 3]);
  });

  test('a log that fails in the sweep keeps it from no other lane', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['orders', 'invoices'] });
    await hub.publish('invoices', 1);
    await hub.work('billing');
    hub
      .storage('topic invoices')
      .sql.exec('UPDATE subscribers SET ticket = NULL, next = NULL, types = NULL, owed = NULL');
    hub.restartTopic('invoices');
    await hub.publish('invoices', 1);
    hub.unreachable.add('orders');
    expect(await hub.awaiting(hub.subscription('billing').sweep())).toBe(true);
    expect(await hub.work('billing')).toEqual([2]);
  });

  test('the sweep finds an alarm that was lost, and counts it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    hub.loseMessages();
    hub.storage('subscription billing').takeAlarm();
    await hub.advance(10 * 60_000);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.awaiting(hub.subscription('billing').sweep())).toBe(true);
    expect(await hub.work('billing')).toEqual([1]);
    expect(hub.rows('billing', 'SELECT healed FROM subscription')).toEqual([{ healed: 1 }]);
  });

  test('a lost alarm is set again by the next transaction, too', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    hub.loseMessages();
    const storage = hub.storage('subscription billing');
    storage.takeAlarm();
    await hub.clock.advance(60_000);
    await hub.publish('orders', 1);
    expect(storage.alarm).not.toBeNull();
  });

  test('no alarm is set for the moment of the one that is handled, or before: the platform would lose it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [0, 0, 0], jitter: 0 } });
    await hub.publish('orders', 1);
    const storage = hub.storage('subscription billing');
    const setAlarm = vi.spyOn(storage, 'setAlarm');
    hub.loseMessages();
    for (let alarm = 0; alarm < 5; alarm++) {
      const fired = storage.alarm ?? 0;
      await hub.clock.advance(Math.max(0, fired - hub.clock.now()));
      setAlarm.mockClear();
      storage.takeAlarm();
      await hub.subscription('billing').alarm();
      for (const [at] of setAlarm.mock.calls) expect(at).toBeGreaterThan(fired);
      expect(setAlarm.mock.calls.length).toBeLessThanOrEqual(1);
    }
  });

  test('lag without progress for 60 s is marked in the catalogue, and unmarked when it moves again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    const stalled = () => hub.d1.query('SELECT stalled_at IS NOT NULL AS stalled FROM subscriptions');
    // Nobody takes messages off the queue.
    await hub.advance(50_000);
    expect(stalled()).toEqual([{ stalled: 0 }]);
    await hub.advance(30_000);
    expect(stalled()).toEqual([{ stalled: 1 }]);
    expect(await hub.catalog.subscriptionsToSweep(hub.clock.now(), 0, 10)).toEqual(['billing']);
    await hub.work('billing');
    await hub.advance(10_000);
    expect(stalled()).toEqual([{ stalled: 0 }]);
  });

  test('a log that can not be read marks the subscription as stalled as well', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    hub.unreachable.add('orders');
    hub.storage('subscription billing').sql.exec('UPDATE lanes SET parked = NULL');
    hub.restart('billing');
    const stalled = () => hub.d1.query('SELECT stalled_at IS NOT NULL AS stalled FROM subscriptions');
    await hub.advance(50_000);
    expect(stalled()).toEqual([{ stalled: 0 }]);
    await hub.advance(40_000);
    expect(stalled()).toEqual([{ stalled: 1 }]);
    hub.unreachable.clear();
    await hub.advance(60_000);
    expect(stalled()).toEqual([{ stalled: 0 }]);
  });

  test('an idle subscription sets no alarm; a paused one with a backlog neither', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing');
    await hub.advance(60_000);
    expect(hub.storage('subscription billing').alarm).toBeNull();
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 100);
    await hub.advance(60_000);
    expect(hub.storage('subscription billing').alarm).toBeNull();
  });

  test('a wake that its log has given up is made good by the alarm within 30 s', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    hub.subscription('billing').wake = () => new Promise(() => undefined);
    await hub.publish('orders', 1);
    hub.restart('billing');
    await hub.advance(30_000);
    expect(await hub.work('billing')).toEqual([1]);
  });
});

describe('turns', () => {
  test('a busy topic starves no other one', async () => {
    const hub = new Hub();
    await hub.publish('busy', 500);
    await hub.publish('quiet', 3);
    await hub.subscribe('audit', { topics: ['busy', 'quiet'], from: { kind: 'earliest' }, maxInFlight: 4 });
    const topics: string[] = [];
    await hub.work('audit', (event) => {
      topics.push(event.topic);
      return hub.delivered(event);
    });
    expect(topics).toHaveLength(503);
    expect(topics.indexOf('quiet')).toBeLessThan(20);
  });

  test('topics that can not be reached keep no other from being read', async () => {
    const hub = new Hub();
    const dark = Array.from({ length: 40 }, (_, index) => `dark-${index}`);
    await hub.subscribe('audit', { topics: [...dark, 'orders'] });
    for (const topic of dark) hub.unreachable.add(topic);
    hub.storage('subscription audit').sql.exec('UPDATE lanes SET parked = NULL');
    await hub.publish('orders', 1);
    await hub.subscription('audit').alarm();
    await hub.advance(6_000);
    expect(await hub.work('audit')).toEqual([1]);
  });

  test('a log that does not answer while a retry is due costs no alarm after the other', async () => {
    const hub = new Hub();
    await hub.publish('slow', 1);
    await hub.subscribe('billing', { maxInFlight: 2 });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    const hanging = new Proxy(hub.log('slow'), {
      get: (log, name) =>
        name === 'readOrPark' ? () => new Promise(() => undefined) : Reflect.get(log, name).bind(log),
    });
    hub.standIn = (topic) => (topic === 'slow' ? hanging : hub.log(topic));
    await hub.put('billing', { topics: ['orders', 'slow'], from: { kind: 'earliest' }, maxInFlight: 2 });
    const alarms = vi.spyOn(hub.subscription('billing'), 'alarm');
    await hub.advance(20_000);
    expect(alarms.mock.calls.length).toBeLessThan(20);
    expect(hub.rows('billing', 'SELECT count(*) AS n FROM exceptions')).toEqual([{ n: 1 }]);
    hub.standIn = null;
    await hub.advance(20_000);
    expect((await hub.work('billing')).sort()).toEqual([1, 1]);
  });
});

describe('P6: a log that does not answer holds up no other topic', () => {
  test('and is asked less and less often', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    let asked = 0;
    const hanging = new Proxy(hub.log('orders'), {
      get: (log, name) => {
        if (name !== 'readOrPark') return Reflect.get(log, name).bind(log);
        asked += 1;
        return () => new Promise(() => undefined);
      },
    });
    hub.standIn = () => hanging;
    hub.storage('subscription billing').sql.exec('UPDATE lanes SET parked = NULL');
    hub.restart('billing');
    await hub.subscription('billing').alarm();
    await hub.advance(20 * 60_000);
    expect(asked).toBeGreaterThan(10);
    expect(asked).toBeLessThan(25);
  });

  test('though all slots were kept for what it has', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['a', 'b'], maxInFlight: 4 });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('a', 6);
    await hub.publish('b', 6);
    hub.silent.add('a');
    const since = hub.clock.now();
    const resumed = hub.subscription('billing').resume();
    await hub.advance(2_000);
    expect(await hub.work('billing')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(hub.clock.now() - since).toBeLessThan(3_000);
    // Whoever asks how it stands is told that it can't be said.
    expect(await hub.awaiting(resumed)).toMatchObject({ status: 'active', unanswered: 1 });
    hub.silent.clear();
    await hub.advance(31_000);
    expect(await hub.work('billing')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 12, pending: 0 });
  });

  test('and one that always takes its time gets on beside one that is fast and busy', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['near', 'far'], maxInFlight: 8 });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('near', 600);
    await hub.publish('far', 24);
    hub.latencies.set('near', 1);
    hub.latencies.set('far', 150);
    await hub.awaiting(hub.subscription('billing').resume());
    const topics: string[] = [];
    await hub.work('billing', (event) => {
      topics.push(event.topic);
      return hub.delivered(event);
    });
    expect(topics).toHaveLength(624);
    expect(topics.lastIndexOf('far')).toBeLessThan(400);
  });

  test.each(['none', 'key', 'topic'] as const)(
    'though more of it has to be tried again than may be out, nor each time that it is asked again (ordering %s)',
    async (ordering) => {
      const hub = new Hub();
      await hub.subscribe('billing', { topics: ['a', 'b'], ordering, retry: { scheduleMs: [60_000], jitter: 0 } });
      for (let round = 0; round < 3; round += 1) {
        const keys = Array.from({ length: 30 }, (_, index) => `key ${round} ${index}`);
        await hub.publishKeys('a', keys);
        await hub.work('billing', (event) => hub.failed(event));
        // One that is taken: the receiver is no failing one.
        await hub.publish('b', 1);
        await hub.work('billing');
      }
      hub.silent.add('a');
      await hub.advance(60_000);
      for (let round = 0; round < 5; round += 1) {
        const since = hub.clock.now();
        await hub.publish('b', 4);
        const arrived: number[] = [];
        while (arrived.length < 4) {
          await hub.work('billing', (event) => {
            if (event.topic === 'b') arrived.push(hub.clock.now() - since);
            return hub.delivered(event);
          });
          await hub.advance(50);
        }
        expect(Math.max(...arrived), `round ${round}`).toBeLessThan(4_000);
        // Meanwhile it may be asked again.
        for (const end = since + 20_000; hub.clock.now() < end; await hub.advance(50)) await hub.work('billing');
        expect(hub.rows('billing', "SELECT delivered, in_flight FROM lanes WHERE topic = 'b'")).toEqual([
          { delivered: 3 + 4 * (round + 1), in_flight: 0 },
        ]);
      }
      hub.silent.clear();
      for (let turn = 0; turn < 300; turn += 1) {
        await hub.work('billing');
        await hub.advance(250);
      }
      expect(await hub.view('billing')).toMatchObject({ delivered: 113, pending: 0 });
    },
  );

  test.each(['none', 'key'] as const)(
    'nor is what waits of it written again, however much (ordering %s)',
    async (ordering) => {
      const hub = new Hub();
      await hub.subscribe('billing', { topics: ['a', 'b'], ordering, retry: { scheduleMs: [10_000], jitter: 0 } });
      await hub.publishKeys(
        'a',
        Array.from({ length: 3_000 }, (_, index) => `key ${index}`),
      );
      await hub.publish('b', 1);
      await hub.work('billing', (event) =>
        event.topic === 'a' && event.sequence > 1 ? hub.delivered(event) : hub.failed(event),
      );
      const { sql } = hub.storage('subscription billing');
      // As if they had failed before, as well.
      sql.exec(`INSERT INTO exceptions (lane, sequence, attempts, tries, due, key)
      WITH RECURSIVE more (sequence) AS (SELECT 2 UNION ALL SELECT sequence + 1 FROM more WHERE sequence < 3000)
      SELECT lane, more.sequence, attempts, tries, due, 'key ' || more.sequence FROM exceptions, more
        WHERE exceptions.sequence = 1 AND lane = (SELECT id FROM lanes WHERE topic = 'a')`);
      sql.exec("UPDATE lanes SET retrying = 3000, delivered = 0 WHERE topic = 'a'");
      hub.restart('billing');
      hub.silent.add('a');
      const changes = () => sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
      const before = changes();
      const topics: string[] = [];
      for (const end = hub.clock.now() + 60_000; hub.clock.now() < end; await hub.advance(250))
        await hub.work('billing', (event) => {
          topics.push(event.topic);
          return hub.delivered(event);
        });
      expect(topics).toEqual(['b']);
      expect(changes() - before).toBeLessThan(500);
      hub.silent.clear();
      await hub.advance(31_000);
      for (let turn = 0; turn < 20; turn += 1) {
        await hub.work('billing');
        await hub.advance(100);
      }
      expect(hub.rows('billing', 'SELECT delivered, retrying, in_flight FROM lanes ORDER BY topic')).toEqual([
        { delivered: 3_000, retrying: 0, in_flight: 0 },
        { delivered: 1, retrying: 0, in_flight: 0 },
      ]);
    },
  );
});

describe('P8: a log that does not answer', () => {
  test('is told of, and keeps nobody from pausing, resuming and changing the subscription', async () => {
    const hub = new Hub();
    await hub.publish('orders', 3);
    await hub.publish('refunds', 3);
    const document = { topics: ['orders', 'refunds'], from: { kind: 'earliest' as const } };
    await hub.subscribe('billing', document);
    await hub.work('billing');
    hub.unreachable.add('refunds');
    const subscription = hub.subscription('billing');
    const unknown = { unanswered: 1, lag: 0, waiting: 0, delivered: 6, pending: 0 };
    expect(await hub.awaiting(subscription.pause())).toMatchObject({ status: 'paused', ...unknown });
    expect(await hub.awaiting(subscription.resume())).toMatchObject({ status: 'active', ...unknown });
    const put = await hub.put('billing', { ...document, maxInFlight: 5 });
    expect(put).toMatchObject({ outcome: 'replaced', view: { document: { maxInFlight: 5 }, ...unknown } });
    expect(await hub.awaiting(subscription.topics())).toMatchObject([
      { topic: 'orders', lastSequence: 3, lag: 0 },
      { topic: 'refunds', lastSequence: null, lag: null, cursor: 3 },
    ]);
    hub.unreachable.clear();
    expect(await hub.view('billing')).toMatchObject({ unanswered: 0, lag: 0, waiting: 0, lagMs: 0 });
  });
});
