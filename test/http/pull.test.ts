import { beforeEach, describe, expect, it } from 'vitest';
import { serve } from '../../src/http/app.ts';
import { ackIdOf } from '../../src/subscriptions/ack-ids.ts';
import type { PullDelivery } from '../../src/subscriptions/document.ts';
import { packed } from '../../src/subscriptions/packed-deliveries.ts';
import type { PulledDelivery } from '../../src/subscriptions/protocol-acks.ts';
import { FakeHub } from './fake-hub.ts';

const PULL: PullDelivery = { kind: 'pull', ackDeadlineMs: 30_000, maxDeliveries: 10 };
const ACK_ID = '1-1-0123456789abcdef0123456789abcdef';

let hub: FakeHub;

const idOf = (sequence: number) => ackIdOf({ lane: 1, sequence, token: 'a'.repeat(32) });

function delivery(sequence: number, data: unknown = { amount: sequence }): PulledDelivery {
  const event = { specversion: '1.0', id: `e${sequence}`, source: '/test', type: 'order.created', data };
  const json = JSON.stringify(event);
  return {
    ackId: idOf(sequence),
    sequence,
    json,
    attempt: 1,
    replay: null,
    redriven: false,
  };
}

beforeEach(() => {
  hub = new FakeHub();
  const billing = hub.subscription('billing');
  billing.pull.mockResolvedValue({
    outcome: 'pulled',
    deliveries: packed([delivery(1), delivery(2)]),
    ackDeadlineMs: 30_000,
    target: { kind: 'pull', transform: null },
  });
  for (const action of ['ack', 'nack', 'extend'] as const) {
    billing[action].mockImplementation(async ({ ackIds }) => ({
      outcome: 'settled',
      answers: ackIds.map((ackId) => (ackId === ACK_ID ? 'ok' : 'stale-ack-id')),
    }));
  }
});

const post = (action: string, body?: unknown, key?: string) =>
  hub.call('POST', `/v1/subscriptions/billing/${action}`, body, key === undefined ? {} : { key });

describe('POST /v1/subscriptions/{name}/pull', () => {
  it('answers deliveries with their events, as many as are asked for', async () => {
    const { status, body, headers } = await post('pull', { max: 7, wait: '20s' });
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        deliveries: [1, 2].map((sequence) => ({
          ackId: idOf(sequence),
          attempt: 1,
          replay: null,
          redriven: false,
          event: JSON.parse(delivery(sequence).json),
        })),
        ackDeadline: '30s',
      },
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(hub.subscription('billing').pull).toHaveBeenLastCalledWith({
      v: 1,
      puller: expect.stringMatching(/^[\w-]{16}$/),
      max: 7,
      waitMs: 20_000,
      mayRead: null,
    });
    await post('pull');
    expect(hub.subscription('billing').pull).toHaveBeenLastCalledWith(expect.objectContaining({ max: 100, waitMs: 0 }));
  });

  it.each([
    [{ max: 0 }, 'max'],
    [{ max: 1_001 }, 'max'],
    [{ max: '5' }, 'max'],
    [{ max: 1.5 }, 'max'],
    [{ wait: '61s' }, 'wait'],
    [{ wait: 20 }, 'wait'],
    [{ wait: '-1s' }, 'wait'],
    [{ count: 5 }, 'count'],
  ])('refuses %j', async (body, path) => {
    expect(await post('pull', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid-request', errors: [{ path }] },
    });
    expect(hub.subscription('billing').pull).not.toHaveBeenCalled();
  });

  it('P7: needs the subscription, and read on all that it names', async () => {
    const forbidden = { status: 403, body: { code: 'forbidden' } };
    expect(await post('pull', {}, hub.keyWith('read:>'))).toMatchObject(forbidden);
    const billing = hub.subscription('billing');
    expect(billing.pull).not.toHaveBeenCalled();
    const key = hub.keyWith('subscriptions:billing', 'read:orders', 'read:audit.>');
    expect(await post('pull', {}, key)).toMatchObject({ status: 200 });
    expect(billing.pull).toHaveBeenLastCalledWith(expect.objectContaining({ mayRead: ['orders', 'audit.>'] }));
    billing.pull.mockResolvedValue({ outcome: 'unreadable', topics: ['orders', 'audit.>'] });
    expect(await post('pull', {}, hub.keyWith('subscriptions:billing', 'read:orders'))).toMatchObject(forbidden);
    expect(await post('ack', { ackIds: [ACK_ID] }, hub.keyWith('subscriptions:billing'))).toMatchObject({
      status: 200,
    });
    expect(await post('ack', { ackIds: [ACK_ID] }, hub.keyWith('subscriptions:email'))).toMatchObject(forbidden);
  });

  it('tells the subscription of a caller that has hung up', async () => {
    const billing = hub.subscription('billing');
    const asked = Promise.withResolvers<string>();
    const answered = Promise.withResolvers<void>();
    billing.pull.mockImplementation(async ({ puller }) => {
      asked.resolve(puller);
      await answered.promise;
      return { outcome: 'pulled', deliveries: '', ackDeadlineMs: 1, target: { kind: 'pull', transform: null } };
    });
    billing.hangUp.mockResolvedValue();
    const caller = new AbortController();
    const request = new Request('https://hub.example.com/v1/subscriptions/billing/pull', {
      method: 'POST',
      headers: { authorization: `Bearer ${hub.hub.adminKey}` },
      signal: caller.signal,
    });
    const response = serve(request, hub.hub);
    const puller = await asked.promise;
    expect(billing.hangUp).not.toHaveBeenCalled();
    caller.abort();
    expect(billing.hangUp).toHaveBeenCalledExactlyOnceWith(puller);
    answered.resolve();
    expect((await response).status).toBe(200);
  });

  it('gives out what the transform makes; what it fails on becomes a dead letter and is not given out', async () => {
    const billing = hub.subscription('billing');
    const data = 'data.amount > 2 ? $error("too much") : { "doubled": data.amount * 2 }';
    billing.pull.mockResolvedValue({
      outcome: 'pulled',
      deliveries: packed([1, 2, 3, 4].map((sequence) => delivery(sequence))),
      ackDeadlineMs: 30_000,
      target: { kind: 'pull', transform: { data, headers: null, path: null } },
    });
    const { body } = await post('pull');
    expect(body.deliveries).toMatchObject([{ event: { data: { doubled: 2 } } }, { event: { data: { doubled: 4 } } }]);
    expect(body.deliveries).toHaveLength(2);
    expect(billing.nack).toHaveBeenCalledExactlyOnceWith({
      v: 1,
      ackIds: [idOf(3), idOf(4)],
      delayMs: null,
      reason: expect.stringContaining('too much'),
      dead: 'invalid',
    });
  });
});

describe('POST /v1/subscriptions/{name}/ack, nack and extend', () => {
  it('answer for each id, one that is stale among them', async () => {
    const results = [
      { ackId: ACK_ID, ok: true },
      { ackId: 'other', ok: false, code: 'stale-ack-id' },
    ];
    const ackIds = [ACK_ID, 'other'];
    expect(await post('ack', { ackIds })).toMatchObject({ status: 200, body: { results } });
    expect(await post('nack', { ackIds, delay: '5s', reason: 'Later.' })).toMatchObject({ body: { results } });
    expect(await post('extend', { ackIds, by: '1m' })).toMatchObject({ body: { results } });
    const billing = hub.subscription('billing');
    expect(billing.ack).toHaveBeenLastCalledWith({ v: 1, ackIds });
    expect(billing.nack).toHaveBeenLastCalledWith({ v: 1, ackIds, delayMs: 5_000, reason: 'Later.', dead: null });
    expect(billing.extend).toHaveBeenLastCalledWith({ v: 1, ackIds, byMs: 60_000 });
    await post('nack', { ackIds, reject: true });
    expect(billing.nack).toHaveBeenLastCalledWith({ v: 1, ackIds, delayMs: null, reason: null, dead: 'rejected' });
  });

  it.each([
    ['ack', {}, 'ackIds'],
    ['ack', { ackIds: [] }, 'ackIds'],
    ['ack', { ackIds: [1] }, 'ackIds[0]'],
    ['ack', { ackIds: ['x'.repeat(201)] }, 'ackIds[0]'],
    ['ack', { ackIds: Array(1_001).fill('x') }, 'ackIds'],
    ['ack', { ackId: ACK_ID, ackIds: [ACK_ID] }, 'ackId'],
    ['nack', { ackIds: [ACK_ID], delay: '13h' }, 'delay'],
    ['nack', { ackIds: [ACK_ID], delay: '5s', reject: true }, 'delay'],
    ['nack', { ackIds: [ACK_ID], reason: 'x'.repeat(1_025) }, 'reason'],
    ['extend', { ackIds: [ACK_ID] }, 'by'],
    ['extend', { ackIds: [ACK_ID], by: '7d' }, 'by'],
  ])('refuse as %s %j', async (action, body, path) => {
    expect(await post(action, body)).toMatchObject({ status: 400, body: { errors: [{ path }] } });
  });

  it.each(['pull', 'ack', 'nack', 'extend'])(
    'say so of a subscription of another kind, or of none: %s',
    async (action) => {
      const billing = hub.subscription('billing');
      const body = action === 'pull' ? {} : { ackIds: [ACK_ID], ...(action === 'extend' ? { by: '5s' } : {}) };
      billing.pull.mockResolvedValue({ outcome: 'not-pulled', kind: 'webhook' });
      for (const each of ['ack', 'nack', 'extend'] as const)
        billing[each].mockResolvedValue({ outcome: 'not-acknowledged', kind: 'webhook' });
      expect(await post(action, body)).toMatchObject({ status: 409, body: { code: 'wrong-delivery-kind' } });
      billing.pull.mockResolvedValue({ outcome: 'unknown-subscription' });
      for (const each of ['ack', 'nack', 'extend'] as const)
        billing[each].mockResolvedValue({ outcome: 'unknown-subscription' });
      expect(await post(action, body)).toMatchObject({ status: 404, body: { code: 'unknown-subscription' } });
    },
  );
});

describe('a subscription that is pulled', () => {
  it('has a thousand deliveries out at most by default', async () => {
    const billing = hub.subscription('billing');
    billing.put.mockResolvedValue({ outcome: 'unavailable', detail: 'x' });
    await hub.call('PUT', '/v1/subscriptions/billing', { topics: ['orders'], delivery: { kind: 'pull' } });
    expect(billing.put.mock.lastCall?.[0].document).toMatchObject({ maxInFlight: 1_000, delivery: PULL });
  });

  it.each([
    ['GET', 'secret', undefined],
    ['POST', 'rotate-secret', {}],
  ])('has no webhook to tell of: %s %s', async (method, path, body) => {
    const billing = hub.subscription('billing');
    billing.secret.mockResolvedValue({ noWebhook: 'pull' });
    billing.rotateSecret.mockResolvedValue({ noWebhook: 'pull' });
    expect(await hub.call(method, `/v1/subscriptions/billing/${path}`, body)).toMatchObject({
      status: 409,
      body: { code: 'no-webhook' },
    });
  });
});
