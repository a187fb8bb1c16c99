import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type TestHub } from '../support/index.ts';
import { type Receipt, type Stranger, startStranger } from './support/stranger.ts';

/** Deduplication, `Expected-Last-Sequence` and `Idempotency-Key`. */

let hub: TestHub;
let me: Stranger;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
});
afterAll(() => hub.stop());

const send = (topic: string, events: unknown, headers: Record<string, string> = {}) =>
  me.post(`/v1/topics/${topic}/events`, events, headers);
const lastOf = async (topic: string) =>
  (await me.get(`/v1/topics/${topic}`)).is<{ lastSequence: number }>(200).lastSequence;

const event = {
  type: 'order.created',
  id: 'one',
  source: '/shop',
  subject: 'order/1',
  partitionkey: 'customer-1',
  dataschema: 'https://example.com/order.json',
  datacontenttype: 'application/json',
  region: 'eu',
  data: { amount: 1, lines: [{ a: 1, b: 2 }] },
};

describe('deduplication (P3)', () => {
  it('appends a pair of source and id once: 200 with the first sequence and duplicate: true', async () => {
    expect((await send('dedup', event)).is(201)).toEqual({
      events: [{ id: 'one', source: '/shop', topic: 'dedup', sequence: 1, duplicate: false }],
    });
    expect((await send('dedup', event)).is(200)).toEqual({
      events: [{ id: 'one', source: '/shop', topic: 'dedup', sequence: 1, duplicate: true }],
    });
    expect(await lastOf('dedup')).toBe(1);
  });

  it('is by the pair: another source, or another id, is another event', async () => {
    (await send('pair', event)).is(201);
    (await send('pair', { ...event, source: '/other' })).is(201);
    (await send('pair', { ...event, id: 'two' })).is(201);
    expect(await lastOf('pair')).toBe(3);
  });

  it('key order in data, trace extensions and the form of sending do not count', async () => {
    (await send('same', event)).is(201);
    const { data: _, ...attributes } = event;
    (await send('same', { ...attributes, data: { lines: [{ b: 2, a: 1 }], amount: 1 } })).is(200);
    const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' };
    (await send('same', { ...event, ...trace })).is(200);
    const structured = { 'content-type': 'application/cloudevents+json' };
    (await send('same', { ...event, specversion: '1.0' }, structured)).is(200);
    expect(await lastOf('same')).toBe(1);
  });

  const changes: [string, object][] = [
    ['type', { type: 'order.changed' }],
    ['subject', { subject: 'order/2' }],
    ['partitionkey', { partitionkey: 'customer-2' }],
    ['dataschema', { dataschema: 'https://example.com/other.json' }],
    ['datacontenttype', { datacontenttype: 'application/vnd.shop+json' }],
    ['data', { data: { amount: 2 } }],
    ['an extension', { region: 'us' }],
    ['one extension more', { colour: 'red' }],
    ['a sent time', { time: '2020-01-01T00:00:00Z' }],
  ];
  it.each(changes)('the same pair with different content (%s) is 409 event-id-conflict', async (_, change) => {
    await send('conflict', { ...event, time: '2026-01-01T00:00:00Z' });
    const before = await lastOf('conflict');
    (await send('conflict', { ...event, time: '2026-01-01T00:00:00Z', ...change })).refused(
      409,
      'event-id-conflict',
      'id',
    );
    (await send('conflict', [{ type: 'innocent' }, { ...event, ...change }])).refused(
      409,
      'event-id-conflict',
      '[1].id',
    );
    expect(await lastOf('conflict')).toBe(before);
  });

  it('twice in one request: the second is a duplicate of the first', async () => {
    const { events } = (await send('twice', [event, event, { ...event, id: 'two' }])).is<{ events: Receipt[] }>(201);
    expect(events.map(({ sequence, duplicate }) => [sequence, duplicate])).toEqual([
      [1, false],
      [1, true],
      [2, false],
    ]);
    const mixed = (await send('twice', [event, { ...event, id: 'three' }])).is<{ events: Receipt[] }>(201).events;
    expect(mixed.map(({ sequence, duplicate }) => [sequence, duplicate])).toEqual([
      [1, true],
      [3, false],
    ]);
  });

  it('however concurrently: one record, one receipt that is not a duplicate', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('storm', event)));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201]);
    expect(await lastOf('storm')).toBe(1);
  });

  it('lasts for the window of the topic', async () => {
    (await me.put('/v1/topics/window', { deduplicationWindow: '1h' })).is(201);
    (await send('window', event)).is(201);
    (await send('window', event)).is(200);
    (await me.put('/v1/topics/window', { deduplicationWindow: '1s' })).is(200);
    const [receipt] = await eventually('the window is over', async () => {
      const answer = await send('window', event);
      return answer.status === 201 && answer.as<{ events: Receipt[] }>().events;
    });
    expect(receipt).toMatchObject({ sequence: 2, duplicate: false });
  });
});

describe('Expected-Last-Sequence', () => {
  const expecting = (sequence: number | string) => ({ 'expected-last-sequence': String(sequence) });

  it('appends only if it is the last sequence; 0 is an empty topic', async () => {
    (await send('expect', { type: 'a' }, expecting(0))).is(201);
    (await send('expect', { type: 'b' }, expecting(1))).is(201);
    for (const wrong of [0, 1, 3]) {
      expect(
        (await send('expect', { type: 'c' }, expecting(wrong))).refused(412, 'wrong-expected-sequence'),
      ).toMatchObject({
        lastSequence: 2,
      });
    }
    expect(await lastOf('expect')).toBe(2);
  });

  it('has one winner for each expected sequence', async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) => send('race', { type: 'a', data: index }, expecting(0))),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(15);
    expect(await lastOf('race')).toBe(1);
  });

  it('does not matter to a request whose events are all duplicates: a retry is told that it won', async () => {
    (await send('retry', event, expecting(0))).is(201);
    await me.publish('retry', { type: 'later' });
    expect((await send('retry', event, expecting(0))).is(200)).toMatchObject({
      events: [{ sequence: 1, duplicate: true }],
    });
    (await send('retry', [event, { type: 'new' }], expecting(0))).refused(412, 'wrong-expected-sequence');
  });

  it.each(['-1', 'x', '1.5', '1e3', '', '99999999999999999999'])('refuses "%s"', async (value) => {
    (await send('expect', { type: 'a' }, expecting(value))).refused(400, null);
  });
});

describe('Idempotency-Key', () => {
  const key = (value: string) => ({ 'idempotency-key': value });

  it('gives a retry with the same body the first answer, status and body, and says so', async () => {
    const first = await send('idem', [{ type: 'a' }, { type: 'b' }], key('k-1'));
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const again = await send('idem', [{ type: 'a' }, { type: 'b' }], key('k-1'));
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(await lastOf('idem')).toBe(2);
  });

  it('gives a 200 again as a 200', async () => {
    await me.publish('idem-dup', event);
    const first = await send('idem-dup', event, key('k-dup'));
    const again = await send('idem-dup', event, key('k-dup'));
    expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([200, first.text, 'true']);
  });

  it('with another body is 422', async () => {
    (await send('idem-2', { type: 'a' }, key('k-2'))).is(201);
    (await send('idem-2', { type: 'b' }, key('k-2'))).refused(422, 'idempotency-key-reused');
    expect(await lastOf('idem-2')).toBe(1);
  });

  it('is scoped to the path and to the caller', async () => {
    (await send('idem-3', { type: 'a' }, key('k-3'))).is(201);
    (await send('idem-4', { type: 'b' }, key('k-3'))).is(201);
    const made = (await me.post('/v1/keys', { name: 'other-caller', scopes: ['publish:>', 'topics:>'] })).is<{
      key: string;
    }>(201);
    const other = await me.with(made.key).post('/v1/topics/idem-3/events', { type: 'c' }, key('k-3'));
    expect(other.headers.get('idempotent-replayed')).toBeNull();
    other.is(201);
    expect(await lastOf('idem-3')).toBe(2);
  });

  it('does not keep refusals: the same key may be used after one', async () => {
    (await send('idem-5', { type: '' }, key('k-5'))).refused(400, null);
    (await send('idem-5', { type: 'a' }, key('k-5'))).is(201);
    (await send('idem-5', { type: 'b' }, { ...key('k-6'), 'expected-last-sequence': '7' })).refused(412, null);
    (await send('idem-5', { type: 'b' }, key('k-6'))).is(201);
  });

  it('concurrently: one append; the others are told the answer or that the first is still running', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => send('idem-7', { type: 'a' }, key('k-7'))));
    for (const answer of answers) {
      if (answer.status === 409) answer.refused(409, 'request-in-progress');
      else answer.is(201);
    }
    expect(answers.some(({ status }) => status === 201)).toBe(true);
    expect(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size).toBe(1);
    expect(await lastOf('idem-7')).toBe(1);
  });

  it.each([
    ['', ''],
    ['of 256 characters', 'x'.repeat(256)],
    ['with a space', 'a b'],
  ])('refuses a key %s', async (_, value) => {
    (await send('idem-8', { type: 'a' }, key(value))).refused(400, null);
  });

  it('takes 255 visible characters', async () => {
    (await send('idem-9', { type: 'a' }, key(`~!"${'x'.repeat(252)}`))).is(201);
  });
});
