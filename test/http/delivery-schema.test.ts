import { describe, expect, it } from 'vitest';
import { deliveryBody, deliveryOut, toDelivery } from '../../src/http/delivery-schema.ts';
import { parseFields } from '../../src/http/parse.ts';
import { Problem } from '../../src/http/problem.ts';
import { subscriptionBody } from '../../src/http/subscription-schema.ts';

const WITH_DEFAULTS = [
  [
    { url: 'https://billing.example.net/hook' },
    {
      kind: 'webhook',
      url: 'https://billing.example.net/hook',
      format: 'structured',
      timeout: '15s',
      headers: {},
      rateLimit: null,
      maxBatch: 1,
      handshake: false,
    },
  ],
  [
    { kind: 'queue', binding: 'BILLING_QUEUE' },
    { kind: 'queue', binding: 'BILLING_QUEUE', confirm: false, ackDeadline: '5m', rateLimit: null },
  ],
  [
    { kind: 'service', binding: 'BILLING', rateLimit: { perSecond: 5 } },
    {
      kind: 'service',
      binding: 'BILLING',
      call: 'rpc',
      timeout: '15s',
      maxBatch: 10,
      rateLimit: { perSecond: 5 },
    },
  ],
  [{ kind: 'pull' }, { kind: 'pull', ackDeadline: '30s', maxDeliveries: 10 }],
] as const;

/** What is wrong with a subscription's body, by path. */
function errorsOf(body: unknown): { path: string; message: string }[] {
  try {
    parseFields(subscriptionBody, body, 'body');
  } catch (error) {
    if (error instanceof Problem) return error.errors;
    throw error;
  }
  return [];
}

describe('the kinds of delivery', () => {
  it.each(WITH_DEFAULTS)('fills in what %j leaves out, and takes back what it answers', (given, whole) => {
    const answered = deliveryOut(toDelivery(deliveryBody.parse(given)), null);
    expect(answered).toEqual(whole);
    expect(toDelivery(deliveryBody.parse(answered))).toEqual(toDelivery(deliveryBody.parse(given)));
  });

  it.each([
    [{ kind: 'letter' }, 'delivery.kind', 'must be one of "webhook", "queue", "service", "pull"'],
    [{ kind: 'pull', url: 'https://billing.example.net' }, 'delivery.url', 'unknown field'],
    [{ kind: 'pull', rateLimit: { perSecond: 1 } }, 'delivery.rateLimit', 'unknown field'],
    [{ kind: 'pull', secret: 'whsec_x' }, 'delivery.secret', 'unknown field'],
    [{ kind: 'pull', ackDeadline: '999ms' }, 'delivery.ackDeadline', undefined],
    [{ kind: 'pull', ackDeadline: '13h' }, 'delivery.ackDeadline', undefined],
    [{ kind: 'pull', maxDeliveries: 0 }, 'delivery.maxDeliveries', 'must be at least 1'],
    [{ kind: 'queue' }, 'delivery.binding', 'is required'],
    [{ kind: 'queue', binding: 'billing-queue' }, 'delivery.binding', undefined],
    [{ kind: 'queue', binding: 'Q', timeout: '1s' }, 'delivery.timeout', 'unknown field'],
    [{ kind: 'service', binding: 'B', call: 'http' }, 'delivery.call', 'must be one of "rpc", "fetch"'],
    [{ kind: 'service', binding: 'B', maxBatch: 51 }, 'delivery.maxBatch', 'must be at most 50'],
    [{ kind: 'service', binding: 'B', confirm: true }, 'delivery.confirm', 'unknown field'],
    [{ kind: 'service', binding: 'B', headers: {} }, 'delivery.headers', 'unknown field'],
  ])('refuses %j by name', (delivery, path, message) => {
    expect(errorsOf({ topics: ['orders'], delivery })).toEqual([{ path, message: message ?? expect.any(String) }]);
  });

  it.each(['key', 'topic'])('has no order by %s behind a queue that nobody confirms', (ordering) => {
    const body = { topics: ['orders'], delivery: { kind: 'queue', binding: 'Q' }, ordering };
    expect(errorsOf(body)).toEqual([{ path: 'ordering', message: expect.stringMatching(/^needs delivery\.confirm/) }]);
    expect(errorsOf({ ...body, delivery: { kind: 'queue', binding: 'Q', confirm: true } })).toEqual([]);
    expect(errorsOf({ ...body, delivery: { kind: 'service', binding: 'B' } })).toEqual([]);
  });

  it.each(['headers', 'path'])('has no transform of %s but for webhooks', (part) => {
    const body = { topics: ['orders'], delivery: { kind: 'pull' }, transform: { [part]: '"/x"' } };
    expect(errorsOf(body)).toEqual([{ path: `transform.${part}`, message: 'is for webhooks alone' }]);
    expect(errorsOf({ ...body, transform: { data: 'data' } })).toEqual([]);
  });
});
