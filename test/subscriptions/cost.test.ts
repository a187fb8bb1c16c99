import { describe, expect, test } from 'vitest';
import { Hub, WEBHOOK } from './harness.ts';

/** Rows that a subscription's SQLite has written, its alarm's among them; indexes are not counted here. */
function meter(hub: Hub): () => { rows: number; alarms: number } {
  const storage = hub.storage('subscription billing');
  let alarms = 0;
  const setAlarm = storage.setAlarm.bind(storage);
  storage.setAlarm = (at) => {
    alarms += 1;
    return setAlarm(at);
  };
  const changes = () => storage.sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
  const before = changes();
  return () => ({ rows: changes() - before + alarms, alarms });
}

describe('what deliveries cost', () => {
  test('in leases of 50 at most 0.3 rows written each', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 100, delivery: { ...WEBHOOK, timeoutMs: 5_000 } });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 1_000);
    await hub.awaiting(hub.subscription('billing').resume());
    const cost = meter(hub);
    expect(await hub.work('billing')).toHaveLength(1_000);
    expect(cost().rows / 1_000).toBeLessThanOrEqual(0.3);
  });

  test('one idle delivery at most 8 rows, and one alarm', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing');
    await hub.advance(60_000);
    const cost = meter(hub);
    await hub.publish('orders', 1);
    await hub.work('billing');
    await hub.advance(60_000);
    expect(cost().rows).toBeLessThanOrEqual(8);
    expect(cost().alarms).toBe(1);
  });

  test('a page of a million filtered events writes one row', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['invoice.*'], cel: null } });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 1_000);
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.clock.advance(50);
    const cost = meter(hub);
    await hub.publish('orders', 1_000);
    await hub.advance(1_000);
    expect(cost().rows).toBe(0);
    expect(await hub.view('billing')).toMatchObject({ filtered: 2_000, cursor: 2_000 });
  });

  test('a failing subscription with a retry to come is left alone until it is due', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: [240_000], jitter: 0 } });
    await hub.publish('orders', 5);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(10_000);
    const cost = meter(hub);
    await hub.advance(200_000);
    expect(cost().alarms).toBeLessThanOrEqual(1);
    await hub.advance(60_000);
    expect(await hub.work('billing')).toContain(1);
  });
});
