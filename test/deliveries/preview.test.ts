import { expect, it } from 'vitest';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { preview } from '../../src/deliveries/preview.ts';
import { MESSAGE_BYTES_MAX } from '../../src/deliveries/queue.ts';
import type { HandedEvent, QueuedEvent } from '../../src/events/handed.ts';
import type { Claim } from '../../src/subscriptions/protocol-claims.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, event, MESSAGE } from './consumer-bench.ts';

/** A preview beside the delivery of the same event. */

const ALL = { types: [], cel: null };
const service = { kind: 'service', binding: 'BILLING', timeoutMs: 15_000, maxBatch: 10, transform: null } as const;
const queue = { kind: 'queue', binding: 'BILLING_QUEUE', confirm: false, transform: null } as const;
const transform = { data: '{ "order": data.id }', headers: null, path: null };

const withData = (data: unknown) => ({ ...JSON.parse(event(7).json), data });
const LONG_NUMBER = event(7).json.replace('}', ',"data":{"id":12345678901234567890.10}}');

const json = (data: unknown) => JSON.stringify(withData(data));

it.each<[string, Exclude<Claim['target'], { kind: 'webhook' }>, string]>([
  ['a call', { ...service, call: 'rpc' }, json({ id: 1 })],
  ['a call with what a transform made', { ...service, call: 'rpc', transform }, json({ id: 1 })],
  ['a call, in which long numbers are rounded', { ...service, call: 'rpc' }, LONG_NUMBER],
  ['a request', { ...service, call: 'fetch' }, json({ id: 1 })],
  ['a request, in which long numbers are as they were published', { ...service, call: 'fetch' }, LONG_NUMBER],
  ['a message', queue, json({ id: 1 })],
  ['a message with what a transform made', { ...queue, transform }, json({ id: 1 })],
  ['a message to be confirmed', { ...queue, confirm: true }, json({ id: 1 })],
  ['a claim check', queue, json('x'.repeat(MESSAGE_BYTES_MAX))],
])('a preview of %s shows what is handed over', async (_, target, given) => {
  const confirmed = target.kind === 'queue' && target.confirm;
  const claimed = event(7, { json: given, attempt: 1 });
  const bench = new Bench([confirmed ? { ...claimed, ackId: 'a7' } : claimed], target);
  const got: string[] = [];
  bench.bindings.services.set('BILLING', {
    handle: async (deliveries: HandedEvent[]) => void got.push(JSON.stringify(deliveries)),
    fetch: async (_url, { body }) => {
      got.push(body);
      return new Response();
    },
  });
  bench.bindings.queues.set('BILLING_QUEUE', {
    sendBatch: async (messages: { body: QueuedEvent }[]) =>
      void got.push(JSON.stringify(messages.map(({ body }) => body))),
  });
  const shown = await preview('billing', target, ALL, claimed, bench.ports);
  expect(got).toEqual([]);
  await deliverLease(MESSAGE, bench.ports);
  await settled();
  const handed = got.map((text) =>
    text
      .slice(1, -1)
      .replace(/"seal":"[^"]+"/, '"seal":"…"')
      .replace('"a7"', '"…"'),
  );
  expect(handed).toEqual([shown.delivery]);
  expect(shown).toMatchObject({ matches: true, error: null, request: null });
});

it('a preview of what no message can be made of says so, as its dead letter would', async () => {
  const large = { data: '[data, data]', headers: null, path: null };
  const given = event(7, { json: json('x'.repeat(70_000)) });
  const bench = new Bench([given], { ...queue, transform: large });
  bench.bindings.queues.set('BILLING_QUEUE', { sendBatch: () => expect.fail('It was sent.') });
  const shown = await preview('billing', { ...queue, transform: large }, ALL, given, bench.ports);
  await deliverLease(MESSAGE, bench.ports);
  expect(bench.outcomes).toMatchObject([{ kind: 'invalid', error: shown.error }]);
  expect(shown).toEqual({ matches: true, error: expect.any(String), request: null, delivery: null });
});
