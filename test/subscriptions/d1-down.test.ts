import { describe, expect, test } from 'vitest';
import { booked, Hub } from './harness.ts';

describe('P4: D1 is down', () => {
  test.each(['before', 'after'] as const)(
    'publishing and delivering go on; dead letters and the catalogue catch up when it is back (calls fail %s their effect)',
    async (failure) => {
      const hub = new Hub();
      hub.d1.failure = failure;
      await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
      await hub.publish('orders', 5);
      await hub.work('billing', (event) => (event.sequence === 2 ? hub.failed(event) : hub.delivered(event)));
      await hub.advance(60_000);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 4, dead: 1, pending: 0, waiting: 0 });
      expect(booked(view)).toBe(5);
      hub.d1.failure = null;
      await hub.advance(31_000);
      const letters = await hub.lettersOf('billing');
      expect(letters).toMatchObject([{ sequence: 2, reason: 'exhausted', attempts: 1 }]);
      expect(JSON.parse(letters[0]?.event ?? '')).toMatchObject({ id: 'e2' });
      expect(await hub.catalog.subscriptionsAfter('', 10)).toEqual(['billing']);
      expect(await hub.catalog.topicsAfter('')).toEqual(['millrace.system', 'orders']);
    },
  );

  test('the alarm waits longer and longer, to 30 s, and also when the clock goes back', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    let calls = 0;
    const around = hub.d1.around;
    hub.d1.around = async (queries, work) => {
      if (queries.some((query) => query.includes('dead_letters'))) {
        calls += 1;
        throw new Error('D1 is down.');
      }
      return around(queries, work);
    };
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(10 * 60_000);
    expect(calls).toBeGreaterThan(15);
    expect(calls).toBeLessThan(35);
    hub.clock.jump(-3_600_000);
    hub.d1.around = around;
    await hub.subscription('billing').alarm();
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing')).toHaveLength(2);
  });

  test('a call to D1 that never comes back holds up nothing else', async () => {
    const hub = new Hub();
    hub.d1.around = () => new Promise(() => undefined);
    expect(await hub.put('billing')).toMatchObject({ outcome: 'created' });
    // The log forgets the lane: attaching it again is not behind the catalogue in any queue.
    hub.storage('topic orders').sql.exec('DELETE FROM subscribers');
    hub.restartTopic('orders');
    hub.storage('subscription billing').sql.exec('UPDATE lanes SET parked = NULL');
    hub.restart('billing');
    await hub.advance(10_000);
    await hub.publish('orders', 1);
    await hub.advance(10_000);
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.put('billing')).toMatchObject({ outcome: 'replaced' });
    expect(await hub.awaiting(hub.subscription('billing').remove())).toBe(true);
  });

  test('a removal is told to the catalogue later', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['orders.*'] });
    hub.d1.failure = 'before';
    expect(await hub.awaiting(hub.subscription('billing').remove())).toBe(true);
    hub.d1.failure = null;
    expect(await hub.catalog.subscriptionsAfter('', 10)).toEqual(['billing']);
    await hub.advance(31_000);
    expect(await hub.catalog.subscriptionsAfter('', 10)).toEqual([]);
    expect(await hub.catalog.patternsAfter('', '')).toEqual([]);
  });
});
