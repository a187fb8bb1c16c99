import { beforeEach, describe, expect, it } from 'vitest';
import type { ServiceRequest } from '../../src/deliveries/bindings.ts';
import type { HandedEvent, QueuedEvent } from '../../src/events/handed.ts';
import { sealsUnder } from '../support/seals.ts';
import { WholeHub } from './whole-hub.ts';

/** Tests of subscriptions that are no webhooks', over a whole hub. */

const SUBSCRIPTION = '/v1/subscriptions/billing';
const SERVICE = { kind: 'service', binding: 'BILLING' };
const QUEUE = { kind: 'queue', binding: 'BILLING_QUEUE' };
const OK = { ok: true, status: null, latencyMs: expect.any(Number), body: '', error: null, request: null };

let hub: WholeHub;
let calls: HandedEvent[][];
let requests: ServiceRequest[];
let messages: QueuedEvent[];
let answer: () => unknown;

beforeEach(() => {
  hub = new WholeHub();
  calls = [];
  requests = [];
  messages = [];
  answer = () => undefined;
  hub.bindings.services.set('BILLING', {
    handle: async (deliveries) => {
      calls.push(deliveries);
      return answer();
    },
    fetch: async (_url, init) => {
      requests.push(init);
      const answered = await answer();
      return answered instanceof Response ? answered : Response.json(answered);
    },
  });
  hub.bindings.queues.set('BILLING_QUEUE', {
    sendBatch: async (sent) => {
      messages.push(...sent.map(({ body }) => body));
      return answer();
    },
  });
});

async function subscribed(delivery: object, more: object = {}): Promise<void> {
  await hub.call('POST', '/v1/topics/orders/events', { body: { type: 'order.created' } });
  const put = await hub.call('PUT', SUBSCRIPTION, { body: { topics: ['orders'], delivery, ...more } });
  expect(put.status).toBe(201);
}

async function tested() {
  const { status, json } = await hub.call('POST', `${SUBSCRIPTION}/test`);
  return { status, json };
}

const event = {
  specversion: '1.0',
  id: expect.stringMatching(/^msg_/),
  source: '/subscriptions/billing',
  type: 'millrace.test',
  time: expect.any(String),
  datacontenttype: 'application/json',
  data: { message: expect.any(String) },
  topic: 'millrace.test',
  sequence: expect.stringMatching(/^\d{16}$/),
  recordedtime: expect.any(String),
};
const handed = {
  v: 1,
  subscription: 'billing',
  topic: 'millrace.test',
  sequence: expect.any(Number),
  attempt: 1,
  replay: null,
  redriven: false,
  event,
};

describe('a test of a consumer Worker', () => {
  it('calls it with one event', async () => {
    await subscribed(SERVICE);
    expect(await tested()).toEqual({ status: 200, json: OK });
    expect(calls).toEqual([[handed]]);
  });

  it('posts one event to it', async () => {
    await subscribed({ ...SERVICE, call: 'fetch' });
    answer = () => [{ result: 'ack' }];
    expect((await tested()).json).toEqual({ ...OK, status: 200 });
    expect(requests.map(({ body }) => JSON.parse(body))).toEqual([[handed]]);
  });

  it.each<[string, () => unknown, string]>([
    ['wants it again', () => [{ result: 'retry', reason: 'busy' }], 'busy'],
    ['rejects it', () => [{ result: 'reject', reason: 'not of orders' }], 'not of orders'],
    ['says nothing of why', () => [{ result: 'reject' }], 'The consumer does not want it.'],
    ['throws', () => Promise.reject(new RangeError('a bug')), 'The consumer threw RangeError: a bug'],
    ['answers rubbish', () => 'ok', 'Answered something else (string) to 1 events'],
    ['answers no result', () => [{ result: 'yes' }], 'Its result is none'],
    ['hangs', () => new Promise(() => {}), 'No answer within 100 ms.'],
  ])('that %s is not ok', async (_, answered, error) => {
    await subscribed({ ...SERVICE, timeout: '100ms' });
    answer = answered;
    expect((await tested()).json).toEqual({ ...OK, ok: false, error: expect.stringContaining(error) });
  });

  it('tells what a request was answered', async () => {
    await subscribed({ ...SERVICE, call: 'fetch' });
    answer = () => new Response('why', { status: 500 });
    expect((await tested()).json).toEqual({ ...OK, ok: false, status: 500, body: 'why', error: 'Answered 500.' });
  });
});

describe('a test of a queue of a consumer', () => {
  it('is one message, which the hub knows again', async () => {
    await subscribed(QUEUE);
    expect(await tested()).toEqual({ status: 200, json: OK });
    expect(messages).toEqual([{ ...handed, sentAt: expect.any(Number), seal: expect.any(String) }]);
    const [message = expect.fail()] = messages;
    expect(await sealsUnder().verify(message)).toBe(true);
  });

  it('has nothing to confirm, where deliveries have', async () => {
    await subscribed({ ...QUEUE, confirm: true });
    expect((await tested()).json).toEqual(OK);
    expect(messages).toHaveLength(1);
    expect(messages[0]).not.toHaveProperty('ackId');
  });

  it('that does not take it is not ok', async () => {
    await subscribed(QUEUE);
    answer = () => Promise.reject(new Error('Too Many Requests'));
    const error = 'The queue did not take it: Too Many Requests';
    expect((await tested()).json).toEqual({ ...OK, ok: false, error });
  });
});

describe('a test of either', () => {
  const kinds: [string, object][] = [
    ['service', SERVICE],
    ['queue', QUEUE],
  ];

  it.each(kinds)('is transformed like any other event (%s)', async (_, delivery) => {
    await subscribed(delivery, { transform: '{ "is": type, "of": topic }' });
    expect((await tested()).json).toEqual(OK);
    const data = [...calls.flat(), ...messages].map((one) => one.event?.data);
    expect(data).toEqual([{ is: 'millrace.test', of: 'millrace.test' }]);
  });

  it.each(kinds)('says where its transform fails, and is not sent (%s)', async (_, delivery) => {
    await subscribed(delivery, { transform: 'type + 1' });
    const error = expect.stringContaining('transform.data failed');
    expect((await tested()).json).toEqual({ ...OK, ok: false, error });
    expect([calls, messages]).toEqual([[], []]);
  });

  it.each(kinds)('is not counted, and recorded nowhere, whatever comes of it (%s)', async (_, delivery) => {
    await subscribed({ ...delivery }, { filter: { types: ['none'] } });
    await hub.call('POST', `${SUBSCRIPTION}/pause`);
    const standing = async () => (await hub.call('GET', SUBSCRIPTION)).json;
    const before = await standing();
    await tested();
    answer = () => Promise.reject(new Error('no'));
    expect((await tested()).json.ok).toBe(false);
    expect([...calls.flat(), ...messages]).toHaveLength(2);
    expect(await standing()).toEqual(before);
    expect((await hub.call('GET', `${SUBSCRIPTION}/attempts`)).json.items).toEqual([]);
    expect((await hub.call('GET', '/v1/topics/millrace.test')).status).toBe(404);
  });

  it.each(kinds)('names a binding that is gone (%s)', async (kind, delivery) => {
    await subscribed(delivery);
    hub.bindings.services.clear();
    hub.bindings.queues.clear();
    const error = expect.stringMatching(
      `^Not sent: The hub's Worker has no ${kind} binding "BILLING.*"; it has: none.`,
    );
    expect(await tested()).toEqual({ status: 200, json: { ...OK, ok: false, latencyMs: 0, error } });
  });
});

describe('a test of a subscription that is pulled', () => {
  it('is refused: nobody can be sent anything', async () => {
    await subscribed({ kind: 'pull' });
    expect(await tested()).toMatchObject({
      status: 409,
      json: { code: 'wrong-delivery-kind', detail: expect.stringContaining('of the kind pull: it sends nothing') },
    });
  });

  it('needs the subscription, and the scope for it', async () => {
    expect(await tested()).toMatchObject({ status: 404, json: { code: 'unknown-subscription' } });
    const made = await hub.call('POST', '/v1/keys', { body: { name: 'k', scopes: ['subscriptions:other'] } });
    expect((await hub.call('POST', `${SUBSCRIPTION}/test`, { key: made.json.key })).status).toBe(403);
  });
});
