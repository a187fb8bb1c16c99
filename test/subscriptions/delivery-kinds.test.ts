import { describe, expect, test } from 'vitest';
import { leaseEventsMax } from '../../src/subscriptions/delivery-kinds.ts';
import type { Delivery, PullDelivery, QueueDelivery, ServiceDelivery } from '../../src/subscriptions/document.ts';
import { leaseSize } from '../../src/subscriptions/retry.ts';
import { Hub, unlocked, WEBHOOK } from './harness.ts';

const QUEUE: QueueDelivery = {
  kind: 'queue',
  binding: 'BILLING_QUEUE',
  confirm: true,
  ackDeadlineMs: 30_000,
  rateLimit: null,
};
const SERVICE: ServiceDelivery = {
  kind: 'service',
  binding: 'BILLING',
  call: 'rpc',
  timeoutMs: 15_000,
  maxBatch: 10,
  rateLimit: null,
};
const PULL: PullDelivery = { kind: 'pull', ackDeadlineMs: 30_000, maxDeliveries: 10 };

describe('P7: a delivery that is no webhook', () => {
  test.each([QUEUE, SERVICE, PULL])('has no secret: $kind', async (delivery) => {
    const hub = new Hub();
    expect(await hub.put('billing', { delivery })).toMatchObject({
      outcome: 'created',
      secret: null,
      view: { document: { delivery } },
    });
    const subscription = hub.subscription('billing');
    expect(await subscription.secret()).toEqual({ noWebhook: delivery.kind });
    expect(await subscription.rotateSecret(1_000)).toEqual({ noWebhook: delivery.kind });
    expect(await hub.awaiting(subscription.reseal())).toEqual({ resealed: false });
    expect(unlocked(await subscription.target())).toMatchObject({ kind: delivery.kind });
    expect(hub.rows('billing', 'SELECT secret FROM subscription')).toEqual([{ secret: null }]);
  });

  test('drops the secrets of the webhook that it was; one to come has another', async () => {
    const hub = new Hub();
    const made = await hub.put('billing');
    await hub.subscription('billing').rotateSecret(60_000);
    await hub.subscribe('billing', { delivery: SERVICE });
    expect(hub.rows('billing', 'SELECT secret, previous_secret FROM subscription')).toEqual([
      { secret: null, previous_secret: null },
    ]);
    const again = await hub.put('billing', { delivery: WEBHOOK });
    expect(again).toMatchObject({ outcome: 'replaced', secret: expect.stringMatching(/^whsec_/) });
    expect(made).not.toMatchObject({ secret: again.outcome === 'replaced' ? again.secret : '' });
  });
});

describe('P6: a lease holds what can be done in its time', () => {
  const long: ServiceDelivery = { ...SERVICE, timeoutMs: 30_000 };
  const cases: [delivery: Delivery, alone: boolean, swift: boolean, events: number][] = [
    [WEBHOOK, false, false, leaseSize(WEBHOOK.timeoutMs)],
    [WEBHOOK, false, true, 200],
    [{ ...long, maxBatch: 5 }, false, false, 2 * 6 * 5],
    [long, true, false, 2 * 6],
    [long, true, true, 24],
    [long, false, true, 240],
    [{ ...long, maxBatch: 50 }, false, true, 500],
    [{ ...SERVICE, timeoutMs: 1_000 }, false, false, 240],
    [QUEUE, false, false, 500],
    [PULL, false, false, 1_000],
  ];

  test.each(cases)('%j, each alone: %j, swift: %j: %i events', (delivery, alone, swift, events) => {
    expect(leaseEventsMax(delivery, { alone, swift })).toBe(events);
  });
});

describe('P4: another target', () => {
  const cases: [from: Delivery, to: Delivery, isAnother: boolean][] = [
    [WEBHOOK, { ...WEBHOOK, url: 'https://new.example/hook' }, true],
    [WEBHOOK, { ...WEBHOOK, timeoutMs: 1_000 }, false],
    [WEBHOOK, PULL, true],
    [QUEUE, { ...QUEUE, binding: 'OTHER' }, true],
    [QUEUE, { ...QUEUE, confirm: false }, false],
    [QUEUE, { ...SERVICE, binding: QUEUE.binding }, true],
    [PULL, { ...PULL, maxDeliveries: 1 }, false],
  ];

  test.each(cases)('enables what was disabled: %j to %j: %j', async (from, to, isAnother) => {
    const hub = new Hub();
    await hub.subscribe('billing', { delivery: from });
    hub.storage('subscription billing').sql.exec("UPDATE subscription SET disabled_reason = 'It is gone.', streak = 9");
    hub.restart('billing');
    await hub.subscribe('billing', { delivery: to });
    expect(await hub.view('billing')).toMatchObject({ status: isAnother ? 'active' : 'disabled' });
    expect(hub.rows('billing', 'SELECT streak FROM subscription')).toEqual([{ streak: isAnother ? 0 : 9 }]);
  });
});
