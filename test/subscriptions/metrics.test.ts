import { describe, expect, test } from 'vitest';
import { unpacked } from '../../src/subscriptions/packed-deliveries.ts';
import { SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import { Hub } from './harness.ts';

async function metrics(hub: Hub, name = 'billing') {
  const read = await hub.subscription(name).metrics();
  if (read === null) throw new Error('There is no such subscription.');
  return read;
}

describe('what a subscription counts for whoever watches', () => {
  test('goes on over restarts, seeks and replays', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [1_000], jitter: 0 } });
    await hub.publish('orders', 10);
    await hub.work('billing', (event) => (event.sequence > 8 ? hub.failed(event) : hub.delivered(event)));
    await hub.advance(2_000);
    await hub.work('billing', (event) => (event.sequence > 9 ? hub.failed(event) : hub.delivered(event)));
    const counts = {
      attempts: { delivered: 9, failed: 3, retried: 2, latencySumMs: 60 },
      dead: { exhausted: 1 },
    };
    expect(await metrics(hub)).toMatchObject({ ...counts, status: 'active', failing: false, inFlight: 0, retrying: 0 });
    hub.restart('billing');
    expect(await metrics(hub)).toMatchObject(counts);
    await hub.awaiting(hub.subscription('billing').seek({ topic: 'orders', to: { kind: 'sequence', sequence: 6 } }));
    expect(await hub.view('billing')).toMatchObject({ delivered: 0, dead: 0, deaths: { exhausted: 1 } });
    expect(await metrics(hub)).toMatchObject(counts);
    await hub.work('billing');
    expect(await metrics(hub)).toMatchObject({ attempts: { delivered: 14, failed: 3 }, dead: { exhausted: 1 } });
  });

  test('is counted once, though the storage fails between', async () => {
    const hub = new Hub();
    const delivery = { kind: 'pull', ackDeadlineMs: 60_000, maxDeliveries: 3 } as const;
    await hub.subscribe('billing', { delivery, maxInFlight: 1_000 });
    const billing = hub.subscription('billing');
    const pulled = async (count: number) => {
      await hub.publish('orders', count);
      const asked = { v: 1, puller: 'p', max: 1_000, waitMs: 0, mayRead: null } as const;
      const result = await hub.awaiting(billing.pull(asked));
      return result.outcome === 'pulled' ? unpacked(result.deliveries).map(({ ackId }) => ackId) : [];
    };
    // So many that their counts are written.
    await billing.ack({ v: 1, ackIds: await pulled(300) });
    const ackIds = await pulled(10);
    const { sql } = hub.storage('subscription billing');
    sql.exec("CREATE TRIGGER fails BEFORE DELETE ON leases BEGIN SELECT RAISE(ABORT, 'The disk is full.'); END");
    await expect(billing.ack({ v: 1, ackIds })).rejects.toThrow('The disk is full.');
    expect(await metrics(hub)).toMatchObject({ attempts: { delivered: 300 } });
    sql.exec('DROP TRIGGER fails');
    await billing.ack({ v: 1, ackIds });
    expect(await metrics(hub)).toMatchObject({ attempts: { delivered: 310 } });
    await billing.ack({ v: 1, ackIds: await pulled(300) });
    expect(await metrics(hub)).toMatchObject({ attempts: { delivered: 610 } });
    hub.restart('billing');
    expect(await metrics(hub)).toMatchObject({ attempts: { delivered: 610 } });
  });

  test('says where it is behind, and nothing of topics that it has come to the end of', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', {
      topics: ['orders', 'invoices', SYSTEM_TOPIC],
      retry: { scheduleMs: [60_000], jitter: 0 },
    });
    await hub.publish('invoices', 3);
    await hub.publish('orders', 5);
    await hub.advance(5_000);
    expect((await metrics(hub)).behind).toContainEqual({ topic: 'orders', cursor: 0 });
    await hub.work('billing', (event) =>
      event.topic === 'orders' && event.sequence === 4 ? hub.failed(event) : hub.delivered(event),
    );
    await hub.advance(1_000);
    expect(await metrics(hub)).toMatchObject({ behind: [{ topic: 'orders', cursor: 3 }], isWhole: true, retrying: 1 });
    await hub.advance(60_000);
    await hub.work('billing');
    expect((await metrics(hub)).behind).toEqual([]);
  });

  test('says that its receiver fails; and nothing where there is no subscription', async () => {
    const hub = new Hub();
    expect(await hub.subscription('billing').metrics()).toBe(null);
    await hub.subscribe('billing', { maxInFlight: 1 });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    expect(await metrics(hub)).toMatchObject({ status: 'active', failing: true, retrying: 1 });
    await hub.awaiting<unknown>(hub.subscription('billing').remove());
    expect(await hub.subscription('billing').metrics()).toBe(null);
  });

  test('begins anew with a subscription that is deleted and made again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    expect(await metrics(hub)).toMatchObject({ attempts: { failed: 1 }, dead: { exhausted: 1 } });
    await hub.awaiting(hub.subscription('billing').remove());
    await hub.subscribe('billing');
    expect(await metrics(hub)).toMatchObject({ attempts: { failed: 0 }, dead: {} });
  });
});
