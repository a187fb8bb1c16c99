import { beforeEach, describe, expect, it } from 'vitest';
import type { DeliveryView } from '../../src/subscriptions/protocol.ts';
import { FakeHub } from './fake-hub.ts';

const PATH = '/v1/topics/orders/events/3/deliveries';

function delivery(changes: Partial<DeliveryView> = {}): DeliveryView {
  return {
    status: 'delivered',
    attempts: 1,
    lastStatus: 200,
    lastError: null,
    nextAttemptAt: null,
    settledAt: Date.UTC(2026, 10, 23),
    deadLetter: null,
    ...changes,
  };
}

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  const json = '{"specversion":"1.0","id":"1","source":"/x","type":"order.created","time":"2026-11-23T00:00:00Z"}';
  hub.topic('orders').event.mockResolvedValue({ outcome: 'found', event: { sequence: 3, json } });
});

describe('GET /v1/topics/{topic}/events/{sequence}/deliveries', () => {
  it('has a row for each subscription of the topic, page by page', async () => {
    const names = ['analytics', 'billing', 'email'];
    hub
      .topic('orders')
      .subscribers.mockImplementation(async (after, limit) => names.filter((name) => name > after).slice(0, limit));
    hub.subscription('analytics').delivery.mockResolvedValue(delivery());
    const nextAttemptAt = Date.UTC(2026, 10, 24);
    hub
      .subscription('billing')
      .delivery.mockResolvedValue(
        delivery({ status: 'retrying', attempts: 2, lastStatus: 500, lastError: 'x', settledAt: null, nextAttemptAt }),
      );
    hub.subscription('email').delivery.mockResolvedValue(delivery({ status: 'dead', deadLetter: 'dl_a' }));
    const first = await hub.call('GET', `${PATH}?limit=2`);
    expect(first.body.items).toEqual([
      { subscription: 'analytics', ...delivery(), settledAt: '2026-11-23T00:00:00.000Z' },
      {
        subscription: 'billing',
        status: 'retrying',
        attempts: 2,
        lastStatus: 500,
        lastError: 'x',
        nextAttemptAt: '2026-11-24T00:00:00.000Z',
        settledAt: null,
        deadLetter: null,
      },
    ]);
    expect(hub.subscription('billing').delivery).toHaveBeenCalledWith(
      'orders',
      3,
      expect.stringContaining('"type":"order.created"'),
    );
    const second = await hub.call('GET', `${PATH}?limit=2&cursor=${first.body.next}`);
    expect(second.body).toMatchObject({ items: [{ subscription: 'email', deadLetter: 'dl_a' }], next: null });
  });

  it('is 404 or 410 with the event, and 403 before that', async () => {
    const { event } = hub.topic('orders');
    event.mockResolvedValueOnce({ outcome: 'unknown-event' });
    expect(await hub.call('GET', PATH)).toMatchObject({ status: 404, body: { code: 'unknown-event' } });
    event.mockResolvedValueOnce({ outcome: 'unknown-topic' });
    expect(await hub.call('GET', PATH)).toMatchObject({ status: 404, body: { code: 'unknown-topic' } });
    event.mockResolvedValueOnce({ outcome: 'sequence-expired', firstSequence: 9 });
    expect(await hub.call('GET', PATH)).toMatchObject({
      status: 410,
      body: { code: 'sequence-expired', firstSequence: 9 },
    });
    const blind = await hub.call('GET', PATH, undefined, { key: hub.keyWith('read:refunds', 'dead-letters') });
    expect(blind.status).toBe(403);
    for (const bad of ['0', '-1', '1.5', 'x', '0000']) {
      expect((await hub.call('GET', `/v1/topics/orders/events/${bad}/deliveries`)).status).toBe(400);
    }
  });

  it('has no stream yet', async () => {
    const refused = await hub.call('GET', PATH, undefined, { headers: { accept: 'text/event-stream' } });
    expect(refused).toMatchObject({ status: 400, body: { code: 'not-supported-yet' } });
  });
});
