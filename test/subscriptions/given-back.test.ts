import { describe, expect, test } from 'vitest';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { Delivering } from './delivering.ts';
import { booked, Hub, WEBHOOK } from './harness.ts';

/** Two of these don't fit into one batch. */
const LARGE = { data: 'x'.repeat(700 * 1024) };

const BATCH = { ...WEBHOOK, format: 'batch' as const, maxBatch: 4 };

async function subscribed(changes: Partial<SubscriptionDocument>): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', changes);
  return hub;
}

describe('what a claim could not bring goes back', () => {
  test('P4: whole and in order, where some of it does not fit and the rest has no rate slot yet', async () => {
    const topics = ['a', 'b', 'c', 'd'];
    const hub = await subscribed({
      topics,
      ordering: 'topic',
      delivery: { ...BATCH, rateLimit: { count: 1, spanMs: 1_000 } },
    });
    for (const topic of ['a', 'b', 'c']) await hub.publish(topic, 1);
    await hub.publishKeys('d', [null, null], 'order.created', LARGE);
    const hooks = new Delivering(hub);
    await hooks.run(10_000, 20);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 5, filtered: 0, pending: 0, waiting: 0 });
    expect(booked(view)).toBe(5);
    expect(hooks.started).toHaveLength(5);
  });
});

describe('a batch that could not be sent goes back', () => {
  test.each(['none', 'key', 'topic'] as const)(
    'with the members whose transform fails, in order by %s',
    async (ordering) => {
      const data = '$error("no")';
      const transform = { data: `type = "mail.sent" ? ${data} : 1`, headers: null, path: null };
      const document = { ordering, transform, delivery: { ...BATCH, maxBatch: 3 } };
      const hub = await subscribed({ ...document, maxInFlight: 3 });
      const hooks = new Delivering(hub);
      // While it is out fewer may be: what was not sent goes back to where it waits for its turn.
      hooks.check = async () => {
        await hub.put('billing', { ...document, maxInFlight: 1 });
        return { ok: false, code: 'look-up-failed', detail: 'The resolver is down.' };
      };
      await hub.awaiting(hub.subscription('billing').pause());
      await hub.publishKeys('orders', ['k']);
      await hub.publishKeys('orders', ['k'], 'mail.sent');
      await hub.publishKeys('orders', ['k']);
      await hub.awaiting(hub.subscription('billing').resume());
      await hooks.run(1_000);
      const back = await hub.view('billing');
      expect(back).toMatchObject({ delivered: 0, dead: 0, filtered: 0 });
      expect(back.pending + back.waiting).toBe(3);
      hooks.check = async (url) => ({ ok: true, url });
      await hooks.run(20_000, 50);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 2, dead: 1, filtered: 0, pending: 0 });
      expect(booked(view)).toBe(3);
      expect(hub.rows('billing', 'SELECT deaths FROM subscription')).toEqual([{ deaths: '{"invalid":1}' }]);
    },
  );
});

describe('a batch that may have been sent is the same batch when it comes again', () => {
  test.each(['none', 'key', 'topic'] as const)(
    'P5: however few may be out by then, in order by %s',
    async (ordering) => {
      const hub = await subscribed({ ordering, delivery: { ...BATCH, maxBatch: 4 } });
      await hub.publishKeys('orders', ['k', 'k']);
      await hub.claim(hub.take());
      // Whoever claimed it is not heard of again; the next one can't send it.
      hub.loseMessages();
      await hub.advance(15_000);
      const message = hub.deliveries.shift() ?? hub.take(hub.retries);
      const claimed = await hub.claim(message);
      await hub.put('billing', { ordering, maxInFlight: 1, delivery: { ...BATCH, maxBatch: 4 } });
      await hub.publishKeys('orders', ['k', 'k']);
      const outcomes = claimed.events.map(({ topic, sequence }) => ({ kind: 'released' as const, topic, sequence }));
      const { token } = claimed;
      await hub.awaiting(hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes }));
      const hooks = new Delivering(hub);
      await hooks.run(20_000, 50);
      expect(hooks.members.slice(0, 1)).toEqual([[1, 2]]);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 4, filtered: 0, pending: 0 });
    },
  );
});
