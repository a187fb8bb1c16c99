import { describe, expect, test } from 'vitest';
import type { ClaimedEvent, DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';
import { booked, Hub, WEBHOOK } from './harness.ts';

const UNKNOWN = 'receiver.example could not be looked up: the resolver answered SERVFAIL.';
const held = ({ topic, sequence }: ClaimedEvent): DeliveryOutcome => ({
  kind: 'released',
  topic,
  sequence,
  obstacle: UNKNOWN,
});

/** When leases were sent again, seconds after now, over so many minutes in which nothing but `outcome` comes of them. */
async function resends(hub: Hub, minutes: number, outcome = held): Promise<number[]> {
  const start = hub.clock.now();
  const times: number[] = [];
  for (let second = 0; second < minutes * 60; second += 1) {
    await hub.advance(1_000);
    if ((await hub.work('billing', outcome)).length > 0) times.push(Math.round((hub.clock.now() - start) / 1_000));
  }
  return times;
}

describe('P4: a receiver whose name can not be looked up', () => {
  test('costs no attempt and loses nothing; its subscription says why', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    expect(await hub.work('billing', held)).toEqual([1, 2, 3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ status: 'error', reason: UNKNOWN, failed: 0, pending: 3, inFlight: 3, dead: 0 });
    expect(booked(view)).toBe(3);
    const query = { topic: null, status: null, sequence: null, limit: 9, cursor: null };
    expect((await hub.subscription('billing').attempts(query))?.items).toEqual([]);
  });

  test('is asked for less and less often, up to every five minutes, and never disabled for it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: 60_000 });
    await hub.publish('orders', 1);
    await hub.work('billing', held);
    const times = await resends(hub, 40);
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect([5, 6]).toContain(times[0]);
    expect(waits.every((wait, index) => wait <= 2 * (waits[index - 1] ?? 5) + 2)).toBe(true);
    expect(waits.slice(-5).every((wait) => wait === 300 || wait === 301)).toBe(true);
    expect(times.length).toBeLessThan(20);
    expect(await hub.view('billing')).toMatchObject({ status: 'error', failed: 0, pending: 1 });
  });

  test('gets everything at once when one attempt goes out again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 64 });
    await hub.publish('orders', 40);
    await hub.work('billing', held);
    await resends(hub, 10);
    await hub.publish('orders', 1);
    await hub.work('billing');
    expect(await hub.view('billing')).toMatchObject({ status: 'active', reason: null, delivered: 41, pending: 0 });
  });

  test('in the middle of a lease holds up the rest of it only', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 4);
    let number = 0;
    await hub.work('billing', (event) => (++number <= 2 ? hub.delivered(event) : held(event)));
    expect(await hub.view('billing')).toMatchObject({ status: 'error', reason: UNKNOWN, delivered: 2, pending: 2 });
    await hub.advance(4_000);
    expect(await hub.work('billing')).toEqual([]);
    await hub.advance(1_500);
    expect(await hub.work('billing')).toEqual([3, 4]);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', delivered: 4 });
  });

  test('is forgotten with another url, and by a resume', async () => {
    for (const end of ['url', 'resume']) {
      const hub = new Hub();
      await hub.subscribe('billing');
      await hub.publish('orders', 2);
      await hub.work('billing', held);
      await resends(hub, 10);
      if (end === 'resume') await hub.awaiting(hub.subscription('billing').resume());
      else await hub.subscribe('billing', { delivery: { ...WEBHOOK, url: 'https://receiver.example/new' } });
      expect(await hub.view('billing')).toMatchObject({ status: 'active', reason: null });
      expect(await hub.work('billing')).toEqual([1, 2]);
    }
  });

  test('is found again after a restart, and by a clock that was set back', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing', held);
    await resends(hub, 30);
    hub.restart('billing');
    expect(await hub.view('billing')).toMatchObject({ status: 'error', reason: UNKNOWN });
    await hub.advance(6_000);
    expect(await hub.work('billing', held)).toEqual([1]);
    hub.clock.jump(-7_200_000);
    await hub.awaiting(hub.subscription('billing').sweep());
    expect((await resends(hub, 7)).length).toBeGreaterThan(0);
  });

  test('is not taken for one that stands still', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing', held);
    await resends(hub, 10);
    expect(hub.rows('billing', 'SELECT stalled_at FROM subscription')).toEqual([{ stalled_at: null }]);
  });
});
