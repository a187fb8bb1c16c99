import { describe, expect, test } from 'vitest';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import type { ClaimResult, DeliveryOutcome, LeaseMessage } from '../../src/subscriptions/protocol-claims.ts';
import { booked, Hub, REPLAY, WEBHOOK } from './harness.ts';

type Claimed = Extract<ClaimResult, { outcome: 'claimed' }>;

const batchOf = (maxBatch: number) => ({ ...WEBHOOK, format: 'batch' as const, maxBatch });

async function batching(maxBatch: number, changes: Partial<SubscriptionDocument> = {}): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', { delivery: batchOf(maxBatch), ...changes });
  return hub;
}

/** Claims and settles whatever is in the queues, request by request; answers the sequences of each request. */
async function requests(
  hub: Hub,
  outcome: (claimed: Claimed) => (event: Claimed['events'][number]) => DeliveryOutcome = () => (event) =>
    hub.delivered(event),
): Promise<number[][]> {
  const made: number[][] = [];
  for (;;) {
    await hub.clock.advance(20);
    const message = hub.deliveries.shift() ?? hub.retries.shift();
    if (!message) return made;
    const claimed = await hub.awaiting(hub.subscription('billing').claim(message.lease));
    if (claimed.outcome !== 'claimed') continue;
    made.push(claimed.events.map(({ sequence }) => sequence));
    await settle(hub, message, claimed, claimed.events.map(outcome(claimed)));
  }
}

const settle = (hub: Hub, message: LeaseMessage, { token }: Claimed, outcomes: DeliveryOutcome[]) =>
  hub.awaiting(hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes }));

const failing = (hub: Hub) => () => (event: { topic: string; sequence: number }) => hub.failed(event);

describe('a batch', () => {
  test('has at most maxBatch events, and a lease of its own', async () => {
    const hub = await batching(5);
    await hub.publish('orders', 12);
    const made = await requests(hub);
    expect(made.flat()).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(Math.max(...made.map(({ length }) => length))).toBe(5);
    expect(made.length).toBeLessThanOrEqual(4);
    expect(await hub.view('billing')).toMatchObject({ delivered: 12, failed: 0, lag: 0 });
  });

  test('in order by key is of one key, or of events without one: each lease is one request', async () => {
    const hub = await batching(5, { ordering: 'key' });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publishKeys('orders', ['a', null, 'b', null, 'a', null]);
    await hub.awaiting(hub.subscription('billing').resume());
    const made = await requests(hub);
    expect(made.sort()).toEqual([[1, 5], [2, 4, 6], [3]]);
    expect(hub.deliveries.length + hub.retries.length).toBe(0);
  });

  test('P5: keeps its members over all its attempts, and no more than it had join it', async () => {
    const hub = await batching(4, { retry: { scheduleMs: [1_000, 5_000], jitter: 0.5 } });
    await hub.publish('orders', 6);
    const first = await requests(hub, failing(hub));
    await hub.publish('orders', 2);
    const others = await requests(hub);
    expect(others.flat()).toEqual([7, 8]);
    await hub.advance(2_000);
    expect((await requests(hub, failing(hub))).sort()).toEqual(first.sort());
    hub.restart('billing');
    await hub.advance(10_000);
    expect((await requests(hub)).sort()).toEqual(first.sort());
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 8, failed: 12, retrying: 0, pending: 0 });
    expect(booked(view)).toBe(8);
  });

  test('is due as one, whatever chance adds to its wait', async () => {
    const hub = await batching(4, { retry: { scheduleMs: [10_000], jitter: 0.5 } });
    await hub.publish('orders', 4);
    await requests(hub, failing(hub));
    expect(hub.rows('billing', 'SELECT DISTINCT due, batch FROM exceptions')).toHaveLength(1);
  });

  test('dies as a whole, each event a letter of its own', async () => {
    const hub = await batching(3, { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 3);
    await requests(hub, failing(hub));
    await hub.advance(1_000);
    expect(await hub.view('billing')).toMatchObject({ dead: 3, failed: 3 });
    const letters = await hub.lettersOf('billing');
    expect(letters.map(({ sequence, reason }) => `${sequence} ${reason}`).sort()).toEqual([
      '1 exhausted',
      '2 exhausted',
      '3 exhausted',
    ]);
  });

  test('that is told 410 is gone as a whole, and says so once; others stay', async () => {
    const hub = await batching(2);
    await hub.publish('orders', 2);
    const [first = expect.fail()] = [hub.take()];
    const claimed = await hub.claim(first);
    await hub.publish('orders', 2);
    await settle(
      hub,
      first,
      claimed,
      claimed.events.map((event) => hub.failed(event, 410)),
    );
    const view = await hub.view('billing');
    expect(view).toMatchObject({ status: 'disabled', dead: 2 });
    expect(view.waiting + view.pending).toBe(2);
    expect(hub.rows('billing', "SELECT * FROM letters WHERE reason = 'gone'")).toHaveLength(2);
    await hub.advance(1_000);
    const told = await hub.told('/subscriptions/billing');
    expect(told.filter(({ type }) => type === 'millrace.subscription.disabled')).toHaveLength(1);
  });

  test('counts as one failure towards failing', async () => {
    const hub = await batching(3, { maxInFlight: 3, retry: { scheduleMs: [60_000], jitter: 0 } });
    await hub.publish('orders', 3);
    await requests(hub, failing(hub));
    expect((await hub.view('billing')).health.state).toBe('healthy');
    expect(hub.rows('billing', 'SELECT streak FROM subscription')).toEqual([{ streak: 1 }]);
  });

  test('loses a member that retention overtakes, and goes on with the others', async () => {
    const hub = await batching(3);
    await hub.publish('orders', 3);
    await requests(hub, failing(hub));
    await hub.awaiting(
      hub.subscription('billing').overtake({
        v: 1,
        topic: 'orders',
        from: 1,
        to: 1,
        attachment: hub.rows<{ attachment: string }>('billing', 'SELECT attachment FROM lanes')[0]?.attachment ?? '',
        events: [{ sequence: 1, json: '{"specversion":"1.0","id":"e1","source":"/test","type":"order.created"}' }],
      }),
    );
    await hub.advance(2_000);
    expect(await requests(hub)).toEqual([[2, 3]]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, dead: 1, pending: 0 });
  });

  test('keeps its members when maxBatch is less than that now', async () => {
    const hub = await batching(4);
    await hub.publish('orders', 4);
    expect(await requests(hub, failing(hub))).toEqual([[1, 2, 3, 4]]);
    await hub.put('billing', { delivery: batchOf(2) });
    await hub.advance(1_500);
    expect(await requests(hub)).toEqual([[1, 2, 3, 4]]);
  });

  test('that was leased when none was wanted is cut to its size', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 6);
    await hub.put('billing', { delivery: batchOf(4) });
    const made = await requests(hub);
    expect(made.flat().sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(Math.max(...made.map(({ length }) => length))).toBe(4);
  });

  test('is none any more when another format is wanted', async () => {
    const hub = await batching(4);
    await hub.publish('orders', 4);
    await requests(hub, failing(hub));
    await hub.put('billing', { delivery: WEBHOOK });
    await hub.advance(1_500);
    const message = hub.take(hub.deliveries);
    const claimed = await hub.claim(message);
    expect(claimed.target).toMatchObject({ format: 'structured' });
    await settle(
      hub,
      message,
      claimed,
      claimed.events.map((event) => (event.sequence === 2 ? hub.failed(event) : hub.delivered(event))),
    );
    expect(hub.rows('billing', 'SELECT sequence, batch FROM exceptions')).toEqual([{ sequence: 2, batch: null }]);
  });

  test('has redriven letters beside each other, and alone where they came alone', async () => {
    const hub = await batching(3, { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 2);
    await requests(hub, failing(hub));
    await hub.advance(1_000);
    for (const { topic, sequence, event } of await hub.lettersOf('billing')) {
      await hub.awaiting(hub.subscription('billing').redrive({ topic, sequence, event }));
    }
    expect((await requests(hub)).flat().sort()).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, dead: 0, pending: 0 });
  });

  test('goes singly once three consumers ended over it, each with a batch of its own', async () => {
    const hub = await batching(3);
    await hub.publish('orders', 3);
    for (let claims = 0; claims < 3; claims++) {
      const message = hub.deliveries.shift() ?? hub.take(hub.retries);
      expect((await hub.claim(message)).events).toHaveLength(3);
      hub.loseMessages();
      await hub.advance(16_000);
    }
    const alone = await requests(hub, failing(hub));
    expect(alone.sort()).toEqual([[1], [2], [3]]);
    await hub.advance(2_000);
    expect((await requests(hub)).sort()).toEqual([[1], [2], [3]]);
  });

  test('that was given back without an attempt is the same batch', async () => {
    const hub = await batching(3);
    await hub.publish('orders', 3);
    await requests(hub, failing(hub));
    await hub.advance(1_500);
    const message = hub.deliveries.shift() ?? hub.take(hub.retries);
    const claimed = await hub.claim(message);
    await settle(
      hub,
      message,
      claimed,
      claimed.events.map(({ topic, sequence }) => ({ kind: 'released', topic, sequence })),
    );
    hub.loseMessages();
    await hub.advance(6_000);
    expect(await requests(hub)).toEqual([[1, 2, 3]]);
    expect(hub.rows('billing', 'SELECT * FROM exceptions')).toEqual([]);
  });

  test('goes whole though only one more delivery may be out', async () => {
    const hub = await batching(4, { maxInFlight: 4 });
    await hub.publish('orders', 4);
    await requests(hub, failing(hub));
    await hub.put('billing', { delivery: batchOf(4), maxInFlight: 1 });
    await hub.advance(1_500);
    expect(await requests(hub)).toEqual([[1, 2, 3, 4]]);
  });

  test('of a throttled replay takes one slot', async () => {
    const hub = await batching(3);
    await hub.publish('orders', 6);
    await requests(hub);
    await hub.awaiting(
      hub.subscription('billing').startReplay({ ...REPLAY, id: 'rpl_a', rateLimit: { count: 60, spanMs: 60_000 } }),
    );
    const message = hub.deliveries.shift() ?? hub.take(hub.retries);
    const { events } = await hub.claim(message);
    expect(new Set(events.map(({ notBefore }) => notBefore)).size).toBe(1);
    expect(events[0]?.notBefore).not.toBe(null);
  });
});
