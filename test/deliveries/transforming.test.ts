import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { webhookRequest } from '../../src/deliveries/request.ts';
import { sendTestEvent } from '../../src/deliveries/test-event.ts';
import { transformed } from '../../src/deliveries/transforming.ts';
import type { Transform } from '../../src/subscriptions/document.ts';
import { Bench, event, SECRET, target } from './consumer-bench.ts';

const STORED = {
  specversion: '1.0',
  id: 'o-1',
  source: '/shop',
  type: 'order.created',
  time: '2026-11-23T12:00:00Z',
  dataschema: 'https://example.com/order',
  tenant: 'acme',
  data: { id: 17, amount: 120, customer: { name: 'Ada' } },
  topic: 'orders',
  sequence: '0000000000000042',
  recordedtime: '2026-11-23T12:00:01.000Z',
};

const with_ = (transform: Partial<Transform>) =>
  target({ transform: { data: null, headers: null, path: null, ...transform } });
const stored = (changes: Record<string, unknown> = {}) =>
  event(42, { json: JSON.stringify({ ...STORED, ...changes }) });

async function outgoing(transform: Partial<Transform>, changes: Record<string, unknown> = {}) {
  const result = await transformed(with_(transform), stored(changes));
  if (!result.ok) throw new Error(result.error);
  return result.outgoing;
}

async function errorOf(transform: Partial<Transform>): Promise<string | null> {
  const result = await transformed(with_(transform), stored());
  return result.ok ? null : result.error;
}

describe('A transform', () => {
  it('that is none leaves everything as it is, to the byte', async () => {
    const result = await transformed(target(), stored());
    expect(result).toEqual({ ok: true, outgoing: { event: stored(), url: target().url, headers: {} } });
  });

  it('of data makes an event with other data, and without the schema of what it had', async () => {
    const made = await outgoing({ data: '{ "order": data.id, "by": data.customer.name, "number": sequence }' });
    const { dataschema: _, ...rest } = STORED;
    expect(JSON.parse(made.event.json)).toEqual({
      ...rest,
      datacontenttype: 'application/json',
      data: { order: 17, by: 'Ada', number: 42 },
    });
  });

  it('of data replaces bytes too', async () => {
    const made = await outgoing({ data: 'type' }, { data: undefined, data_base64: 'AAEC' });
    const sent = JSON.parse(made.event.json);
    expect(sent.data).toBe('order.created');
    expect(sent).not.toHaveProperty('data_base64');
  });

  it('of data that finds nothing makes null', async () => {
    expect(JSON.parse((await outgoing({ data: 'data.nothing' })).event.json).data).toBeNull();
  });

  it('of headers adds to those that are configured, and takes their place', async () => {
    const transform = with_({ headers: '{ "X-Tenant": tenant, "x-nothing": data.nothing }' });
    const to = { ...transform, headers: { 'x-tenant': 'none', 'x-team': 'billing' } };
    const result = await transformed(to, stored());
    if (!result.ok) throw new Error(result.error);
    const { headers } = webhookRequest('billing', to, result.outgoing.event, 0, '1', result.outgoing);
    expect(headers).toMatchObject({ 'x-tenant': 'acme', 'x-team': 'billing' });
    expect(headers).not.toHaveProperty('x-nothing');
  });

  it.each([
    ['"/orders/" & data.id', '/orders/17'],
    ['"/o?id=" & data.id', '/o?id=17'],
    ['"/a b/ü"', '/a%20b/%C3%BC'],
    ['"/../../x"', '/x'],
  ])('of the path %s sends to it on the same host', async (path, made) => {
    expect((await outgoing({ path })).url).toBe(new URL(made, target().url).href);
  });

  it('of the path that finds nothing sends to the URL as it is', async () => {
    expect((await outgoing({ path: 'data.nothing' })).url).toBe(target().url);
  });

  it.each<[string, Partial<Transform>, RegExp]>([
    ['data that fails', { data: 'type + 1' }, /^transform\.data failed: .* at line 1, column 6$/],
    ['data that is a function', { data: '$sum' }, /^transform\.data failed: .*function/],
    [
      'data that is too large',
      { data: '$join($map([1..40], function($i) { $pad("x", 30000) }))' },
      /^transform\.data /,
    ],
    ['headers that are none', { headers: 'type' }, /^transform\.headers makes no object/],
    ['a header that is a number', { headers: '{ "x-a": data.id }' }, /^transform\.headers makes "x-a" no string/],
    [
      'a header of the hub',
      { headers: '{ "webhook-id": "x" }' },
      /^transform\.headers makes a header that is not allowed/,
    ],
    ['a header with a line break', { headers: '{ "x-a": "b\\r\\nc: d" }' }, /^transform\.headers /],
    ['a header that is too long', { headers: '{ "x-a": $pad("", 3000, "x") }' }, /longer than 2048/],
    [
      'a header whose name is too long',
      { headers: '{ $pad("x", 5000, "x"): 1 }' },
      /^transform\.headers makes a header name of more than 2048 characters$/,
    ],
    ['too many headers', { headers: '$merge([1..21].{ "x-" & $string($): "a" })' }, /more than 20 headers/],
    ['a path that is no text', { path: 'data.id' }, /^transform\.path makes no string/],
    ['a path without a slash', { path: '"orders"' }, /does not start with a slash/],
    ['another host', { path: '"//evil.example/x"' }, /leads to another host/],
    ['another host by a backslash', { path: '"/\\\\evil.example/x"' }, /leads to another host/],
    ['another host by a tab', { path: '"/\\t/evil.example/x"' }, /leads to another host/],
    ['a whole URL', { path: '"https://evil.example/x"' }, /does not start with a slash/],
    ['a path that is too long', { path: '"/" & $pad("", 3000, "x")' }, /more than 2048 characters/],
  ])('can not make %s (P7)', async (_, transform, error) => {
    expect(await errorOf(transform)).toMatch(error);
  });

  it('is signed as it goes out', async () => {
    const to = with_({ data: '{ "order": data.id }' });
    const result = await transformed(to, stored());
    if (!result.ok) throw new Error(result.error);
    const at = Date.now();
    const { headers, body } = webhookRequest('billing', to, result.outgoing.event, at, '1', result.outgoing);
    expect(new Webhook(SECRET).verify(String(body), headers)).toMatchObject({ data: { order: 17 } });
  });
});

describe('A lease of a subscription with a transform', () => {
  it('sends what can be made, and settles the rest as invalid', async () => {
    const json = (data: unknown) => JSON.stringify({ ...STORED, data });
    const bench = new Bench(
      [event(1, { json: json({ n: 1 }) }), event(2, { json: json({ n: 'x' }) }), event(3, { json: json({ n: 3 }) })],
      with_({ data: 'data.n + 1' }),
    );
    await deliverLease({ v: 1, subscription: 'billing', lease: 7 }, bench.ports);
    expect(bench.results).toEqual({ 1: 'delivered', 2: 'invalid', 3: 'delivered' });
    expect(bench.started).toEqual([1, 3]);
    expect(bench.outcomes.find(({ sequence }) => sequence === 2)).toEqual({
      kind: 'invalid',
      topic: 'orders',
      sequence: 2,
      error: expect.stringContaining('transform.data failed'),
    });
  });
});

describe('A test event', () => {
  it('is transformed like any other', async () => {
    const bench = new Bench([]);
    const sent = await sendTestEvent('billing', with_({ path: '"/tested/" & type' }), bench.ports);
    expect(sent).toMatchObject({ ok: true, request: { url: new URL('/tested/millrace.test', target().url).href } });
  });

  it('says where its transform fails, and is not sent', async () => {
    const bench = new Bench([]);
    const sent = await sendTestEvent('billing', with_({ data: 'type + 1' }), bench.ports);
    expect(sent).toMatchObject({ ok: false, status: null, error: expect.stringContaining('transform.data failed') });
    expect(bench.sent).toEqual([]);
  });
});
