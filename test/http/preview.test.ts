import { beforeEach, describe, expect, it } from 'vitest';
import type { SubscriptionFilter, Transform } from '../../src/subscriptions/document.ts';
import { webhookTarget } from '../subscriptions/harness.ts';
import { FakeHub } from './fake-hub.ts';
import { configurationOf, subscriptionView } from './views.ts';

const URL_ = 'https://billing.example.net/hook';
const SECRET = 'whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyAhISE=';

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  subscribed();
});

function subscribed(filter: Partial<SubscriptionFilter> = {}, transform: Partial<Transform> | null = null): void {
  const view = subscriptionView('billing', ['orders', 'refunds.*']);
  view.document.filter = { types: [], cel: null, ...filter };
  hub.subscription('billing').configuration.mockResolvedValue(configurationOf(view));
  hub.subscription('billing').target.mockResolvedValue({
    kind: 'webhook',
    url: URL_,
    format: 'structured',
    timeoutMs: 1_000,
    headers: { authorization: 'Bearer of-the-receiver', 'x-team': 'billing' },
    secrets: [SECRET],
    maxBatch: 1,
    transform: transform && { data: null, headers: null, path: null, ...transform },
  });
}

const preview = (body: unknown, key?: string) =>
  hub.call('POST', '/v1/subscriptions/billing/preview', body, key === undefined ? {} : { key });
const EVENT = { type: 'order.created', data: { id: 17, amount: 120 } };

describe('POST /v1/subscriptions/{name}/preview', () => {
  it('shows the request that would go out, and sends nothing', async () => {
    const { status, body } = await preview({ event: EVENT });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      matches: true,
      error: null,
      request: {
        method: 'POST',
        url: URL_,
        headers: {
          'content-type': 'application/cloudevents+json; charset=utf-8',
          'webhook-id': expect.stringMatching(/^msg_/),
          'webhook-signature': expect.stringMatching(/^v1,/),
          'millrace-topic': 'orders',
          'x-team': 'billing',
          authorization: '…',
        },
        body: expect.any(String),
      },
    });
    expect(hub.fetch).not.toHaveBeenCalled();
    expect(JSON.stringify(body)).not.toContain('of-the-receiver');
    expect(JSON.stringify(body)).not.toContain(SECRET);
  });

  it('completes an event as publishing would', async () => {
    const { body } = await preview({ event: EVENT });
    const { request } = body as { request: { body: string } };
    expect(JSON.parse(request.body)).toMatchObject({
      specversion: '1.0',
      id: expect.any(String),
      source: '/topics/orders',
      topic: 'orders',
      time: new Date(hub.now).toISOString(),
      ...EVENT,
    });
  });

  it('runs filter and transform', async () => {
    subscribed({ cel: 'data.amount > 100' }, { data: '{ "order": data.id }', path: '"/orders/" & data.id' });
    const { body } = await preview({ event: EVENT });
    expect(body).toMatchObject({ matches: true, request: { url: 'https://billing.example.net/orders/17' } });
    const { request } = body as { request: { body: string } };
    expect(JSON.parse(request.body).data).toEqual({ order: 17 });
    expect((await preview({ event: { ...EVENT, data: { amount: 1 } } })).body).toEqual({
      matches: false,
      error: null,
      request: null,
    });
  });

  it('says what would make a dead letter of it', async () => {
    subscribed({ cel: 'data.amount > 100' }, { data: 'type + 1' });
    expect((await preview({ event: { ...EVENT, data: { amount: 'x' } } })).body).toEqual({
      matches: false,
      error: expect.stringContaining('filter.cel failed'),
      request: null,
    });
    expect((await preview({ event: EVENT })).body).toEqual({
      matches: true,
      error: expect.stringContaining('transform.data failed'),
      request: null,
    });
  });

  it('says of a URL that it would not be sent to', async () => {
    const target = webhookTarget(await hub.subscription('billing').target());
    hub.subscription('billing').target.mockResolvedValue({ ...target, url: 'https://10.0.0.1/hook' });
    expect((await preview({ event: EVENT })).body).toMatchObject({
      matches: true,
      error: expect.stringContaining('Not sent'),
    });
  });

  it('takes a stored event, if the key may read it', async () => {
    const json =
      '{"specversion":"1.0","id":"1","source":"/x","type":"order.created","time":"2026-11-23T00:00:00Z","topic":"orders","sequence":"0000000000000003","recordedtime":"2026-11-23T00:00:00Z"}';
    hub.topic('orders').event.mockResolvedValue({ outcome: 'found', event: { sequence: 3, json } });
    const stored = { topic: 'orders', sequence: 3 };
    expect((await preview(stored)).body).toMatchObject({
      matches: true,
      request: { body: json, headers: { 'millrace-sequence': '3' } },
    });
    expect((await preview(stored, hub.keyWith('subscriptions:billing'))).status).toBe(403);
    expect((await preview(stored, hub.keyWith('subscriptions:billing', 'read:orders'))).status).toBe(200);
    hub.topic('orders').event.mockResolvedValue({ outcome: 'unknown-event' });
    expect(await preview({ topic: 'orders', sequence: 9 })).toMatchObject({
      status: 404,
      body: { code: 'unknown-event' },
    });
  });

  it('shows nothing of a topic that the subscription does not have', async () => {
    expect(await preview({ topic: 'invoices', sequence: 1 })).toMatchObject({
      status: 409,
      body: { code: 'topic-not-subscribed' },
    });
  });

  it('needs the subscription, and the scope for it', async () => {
    expect((await preview({ event: EVENT }, hub.keyWith('subscriptions:other'))).status).toBe(403);
    hub.subscription('billing').configuration.mockResolvedValue(null);
    expect(await preview({ event: EVENT })).toMatchObject({ status: 404, body: { code: 'unknown-subscription' } });
  });

  it.each([
    ['nothing', {}, ''],
    ['both', { event: EVENT, topic: 'orders', sequence: 1 }, ''],
    ['half a place', { topic: 'orders' }, 'sequence'],
    ['the other half', { sequence: 1 }, 'topic'],
    ['a sequence that is none', { topic: 'orders', sequence: '1' }, 'sequence'],
    ['an event that is none', { event: null }, 'event'],
    ['something else beside', { event: EVENT, foo: 1 }, 'foo'],
    ['an event without a type', { event: { data: 1 } }, 'event.type'],
    ['an event with a bad name', { event: { ...EVENT, Bad_Name: 1 } }, 'event.Bad_Name'],
    ['a list', { event: [EVENT] }, 'event'],
  ])('refuses %s', async (_, body, path) => {
    const refused = await preview(body);
    expect(refused.status).toBe(400);
    expect(refused.body.errors).toMatchObject([{ path: expect.stringContaining(path) }]);
  });
});
