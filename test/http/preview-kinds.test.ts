import { beforeEach, describe, expect, it } from 'vitest';
import { WholeHub } from './whole-hub.ts';

/** Previews of subscriptions that are no webhooks', over a whole hub. */

const EVENT = { id: 'e1', type: 'order.created', data: { id: 17, amount: 120 } };
const KINDS = {
  service: { kind: 'service', binding: 'BILLING' },
  queue: { kind: 'queue', binding: 'BILLING_QUEUE' },
  pull: { kind: 'pull' },
};
const kinds = Object.entries(KINDS);
const SUBSCRIPTION = '/v1/subscriptions/billing';

let hub: WholeHub;

beforeEach(() => {
  hub = new WholeHub();
  const called = () => expect.fail('Something was sent.');
  hub.bindings.services.set('BILLING', { handle: called, fetch: called });
  hub.bindings.queues.set('BILLING_QUEUE', { sendBatch: called });
  hub.fetch = called;
});

async function subscribed(delivery: object, more: object = {}): Promise<void> {
  const put = await hub.call('PUT', SUBSCRIPTION, { body: { topics: ['orders'], delivery, ...more } });
  expect(put.status).toBe(201);
}

const preview = (body: unknown, key?: string) =>
  hub.call('POST', `${SUBSCRIPTION}/preview`, { body, ...(key === undefined ? {} : { key }) });

async function keyWith(...scopes: string[]): Promise<string> {
  const made = await hub.call('POST', '/v1/keys', { body: { name: scopes.join('-').replaceAll(':', '-'), scopes } });
  return made.json.key;
}

const event = { ...EVENT, specversion: '1.0', source: '/topics/orders', topic: 'orders', sequence: '0000000000000000' };
const handed = {
  v: 1,
  subscription: 'billing',
  topic: 'orders',
  sequence: 0,
  attempt: 1,
  replay: null,
  redriven: false,
};

describe("a preview of a subscription that is no webhook's", () => {
  it.each([
    ['service', KINDS.service, { ...handed, event }],
    ['service by fetch', { ...KINDS.service, call: 'fetch' }, { ...handed, event }],
    ['queue', KINDS.queue, { ...handed, sentAt: expect.any(Number), seal: '…', event }],
    [
      'queue that confirms',
      { ...KINDS.queue, confirm: true },
      { ...handed, sentAt: expect.any(Number), ackId: '…', seal: '…', event },
    ],
    ['pull', KINDS.pull, { ackId: '…', attempt: 1, replay: null, redriven: false, event }],
  ])('shows what its consumer would be handed (%s)', async (_, delivery, shown) => {
    await subscribed(delivery);
    const { status, json, headers } = await preview({ event: EVENT });
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    const times = { time: expect.any(String), recordedtime: expect.any(String) };
    expect(json).toEqual({
      matches: true,
      error: null,
      request: null,
      delivery: { ...shown, event: { ...event, ...times } },
    });
  });

  it.each(kinds)('runs filter and transform (%s)', async (_, delivery) => {
    await subscribed(delivery, { filter: { cel: 'data.amount > 100' }, transform: '{ "order": data.id }' });
    const { json } = await preview({ event: EVENT });
    expect(json).toMatchObject({ matches: true, error: null, request: null });
    expect(json.delivery.event.data).toEqual({ order: 17 });
    expect((await preview({ event: { ...EVENT, data: { amount: 1 } } })).json).toEqual({
      matches: false,
      error: null,
      request: null,
      delivery: null,
    });
  });

  it.each(kinds)('says what would make a dead letter of it (%s)', async (_, delivery) => {
    await subscribed(delivery, { filter: { cel: 'data.amount > 100' }, transform: 'type + 1' });
    expect((await preview({ event: { ...EVENT, data: { amount: 'x' } } })).json).toEqual({
      matches: false,
      error: expect.stringContaining('filter.cel failed'),
      request: null,
      delivery: null,
    });
    expect((await preview({ event: EVENT })).json).toEqual({
      matches: true,
      error: expect.stringContaining('transform.data failed'),
      request: null,
      delivery: null,
    });
  });

  it.each(kinds)('takes a stored event, if the key may read it, and changes nothing (%s)', async (_, delivery) => {
    await hub.call('POST', '/v1/topics/orders/events', { body: EVENT });
    await subscribed(delivery, { from: 'earliest' });
    const standing = async () => ({ ...(await hub.call('GET', SUBSCRIPTION)).json, lagSeconds: 0 });
    const before = await standing();
    const { json } = await preview({ topic: 'orders', sequence: 1 });
    const stored = await hub.call('GET', '/v1/topics/orders/events/1');
    expect(json.delivery.event).toEqual(stored.json);
    expect((await preview({ topic: 'orders', sequence: 1 }, await keyWith('subscriptions:billing'))).status).toBe(403);
    const reader = await keyWith('subscriptions:billing', 'read:orders');
    expect((await preview({ topic: 'orders', sequence: 1 }, reader)).status).toBe(200);
    expect(await standing()).toEqual(before);
    expect((await hub.call('GET', `${SUBSCRIPTION}/attempts`)).json.items).toEqual([]);
  });

  it.each(kinds)('refuses what is no event of it (%s)', async (_, delivery) => {
    await hub.call('POST', '/v1/topics/orders/events', { body: EVENT });
    await subscribed(delivery);
    const refused = async (body: unknown) => {
      const { status, json } = await preview(body);
      return [status, json.code, json.errors?.[0]?.path];
    };
    expect(await refused({})).toEqual([400, 'invalid-request', '']);
    expect(await refused({ event: EVENT, topic: 'orders', sequence: 1 })).toEqual([400, 'invalid-request', '']);
    expect(await refused({ topic: 'orders' })).toEqual([400, 'invalid-request', 'sequence']);
    expect(await refused({ event: { data: 1 } })).toEqual([400, 'invalid-request', 'event.type']);
    expect(await refused({ topic: 'orders', sequence: 9 })).toEqual([404, 'unknown-event', undefined]);
    expect(await refused({ topic: 'invoices', sequence: 1 })).toEqual([409, 'topic-not-subscribed', undefined]);
  });

  it.each([
    ['service', 'BILLING', KINDS.service],
    ['queue', 'BILLING_QUEUE', KINDS.queue],
  ])('says of a %s binding that it is gone, and shows what would be handed over', async (kind, name, delivery) => {
    await subscribed(delivery);
    hub.bindings.services.clear();
    hub.bindings.queues.clear();
    expect((await preview({ event: EVENT })).json).toMatchObject({
      matches: true,
      error: `Not sent: The hub's Worker has no ${kind} binding "${name}"; it has: none. Add it to wrangler.toml and deploy.`,
      request: null,
      delivery: { topic: 'orders', event: EVENT },
    });
  });

  it('shows a number of many digits as it is handed over', async () => {
    await subscribed(KINDS.pull);
    await hub.call('POST', '/v1/topics/orders/events', {
      body: '{"type":"t","data":12345678901234567890}',
      headers: { 'content-type': 'application/json' },
    });
    expect((await preview({ topic: 'orders', sequence: 1 })).text).toContain('"data":12345678901234567890,');
  });

  it('P7 makes no seal: nobody could tell a message of it from one that the hub has sent', async () => {
    await subscribed(KINDS.queue);
    expect((await preview({ event: EVENT })).text).toContain('"seal":"…"');
  });
});
