import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestHub } from '../support/index.ts';
import { type Answer, type Receipt, type Stranger, startStranger } from './support/stranger.ts';

/** Publishing: what each content type takes, what is added, and what the answer says. */

let hub: TestHub;
let me: Stranger;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
});
afterAll(() => hub.stop());

const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const STRUCTURED = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
const RFC_3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

const send = (topic: string, contentType: string, body: unknown, headers: Record<string, string> = {}) =>
  me.ask('POST', `/v1/topics/${topic}/events`, {
    body: body instanceof Uint8Array || typeof body === 'string' ? asBody(body) : JSON.stringify(body),
    headers: { 'content-type': contentType, ...headers },
  });

function asBody(body: Uint8Array | string): string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' ? body : Uint8Array.from(body);
}

const stored = async (topic: string, sequence: number) =>
  (await me.get(`/v1/topics/${topic}/events/${sequence}`)).is<Record<string, unknown>>(200);

const receipts = (answer: Answer, status = 201) => answer.is<{ events: Receipt[] }>(status).events;

describe('the short form', () => {
  it('gets a UUIDv7, the topic as its source, and now; the receipt names them', async () => {
    const before = Date.now();
    const [receipt] = receipts(await send('short', 'application/json', { type: 'order.created', data: { amount: 1 } }));
    expect(receipt).toEqual({
      id: expect.stringMatching(UUIDV7),
      source: '/topics/short',
      topic: 'short',
      sequence: 1,
      duplicate: false,
    });
    const event = await stored('short', 1);
    expect(event).toMatchObject({
      specversion: '1.0',
      id: receipt?.id,
      source: '/topics/short',
      type: 'order.created',
      time: expect.stringMatching(RFC_3339_UTC),
      topic: 'short',
      sequence: '0000000000000001',
      recordedtime: expect.stringMatching(RFC_3339_UTC),
      data: { amount: 1 },
    });
    for (const time of [event.time, event.recordedtime]) {
      expect(Date.parse(String(time))).toBeGreaterThanOrEqual(before - 1000);
      expect(Date.parse(String(time))).toBeLessThanOrEqual(Date.now() + 1000);
    }
  });

  it('may have id, source, time, subject, partitionkey and extensions, and be an array', async () => {
    const first = {
      type: 'a.b',
      id: 'one',
      source: '/shop',
      time: '2026-01-02T03:04:05Z',
      subject: 'order/7',
      partitionkey: 'customer-7',
      comexampleregion: 'eu',
      priority: 5,
      urgent: true,
      data: [1, 'two', null],
    };
    const given = receipts(await send('short', 'application/json', [first, { type: 'c' }]));
    expect(given.map(({ sequence }) => sequence)).toEqual([2, 3]);
    expect(await stored('short', 2)).toMatchObject(first);
    expect(await stored('short', 3)).not.toHaveProperty('data');
  });

  it('is taken with a charset, and with every JSON value as data', async () => {
    for (const data of [null, 0, -1.5, '', 'text', true, [], {}, { deep: [{ é: '☃' }] }]) {
      const [receipt] = receipts(await send('short', 'application/json; charset=utf-8', { type: 'values', data }));
      expect(await stored('short', receipt?.sequence ?? 0)).toHaveProperty('data', data);
    }
  });

  it('keeps the numbers in data as they were written', async () => {
    const body = '{"type":"numbers","data":{"big":12345678901234567890,"one":1.0,"e":1e3}}';
    const [receipt] = receipts(await send('short', 'application/json', body));
    const answer = await me.get(`/v1/topics/short/events/${receipt?.sequence}`);
    expect(answer.text).toContain('"data":{"big":12345678901234567890,"one":1.0,"e":1e3}');
  });
});

describe('structured mode and the batch', () => {
  const event = { specversion: '1.0', id: 's-1', source: '/shop', type: 'order.created', data: { amount: 1 } };

  it('takes one event', async () => {
    const [receipt] = receipts(await send('structured', STRUCTURED, event));
    expect(receipt).toEqual({ id: 's-1', source: '/shop', topic: 'structured', sequence: 1, duplicate: false });
    expect(await stored('structured', 1)).toMatchObject(event);
  });

  it('takes the charset parameter, and what attributes CloudEvents has', async () => {
    const full = {
      ...event,
      id: 's-2',
      time: '2026-01-02T03:04:05.678+02:00',
      subject: 'é☃',
      datacontenttype: 'application/json',
      dataschema: 'https://example.com/order.json',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    receipts(await send('structured', `${STRUCTURED}; charset=utf-8`, full));
    const kept = await stored('structured', 2);
    expect({ ...kept, time: Date.parse(String(kept.time)) }).toMatchObject({ ...full, time: Date.parse(full.time) });
  });

  it('takes data_base64', async () => {
    receipts(await send('structured', STRUCTURED, { ...event, id: 's-3', data: undefined, data_base64: 'AAEC' }));
    const kept = await stored('structured', 3);
    expect(kept).toHaveProperty('data_base64', 'AAEC');
    expect(kept).not.toHaveProperty('data');
  });

  it('a batch is one request with receipts in the order sent', async () => {
    const batch = ['b-1', 'b-2', 'b-3'].map((id) => ({ ...event, id }));
    expect(receipts(await send('batch', BATCH, batch)).map(({ id, sequence }) => [id, sequence])).toEqual([
      ['b-1', 1],
      ['b-2', 2],
      ['b-3', 3],
    ]);
  });

  it('completes what is missing, like everywhere', async () => {
    const [receipt] = receipts(await send('structured', STRUCTURED, { specversion: '1.0', type: 'bare' }));
    expect(receipt).toMatchObject({ id: expect.stringMatching(UUIDV7), source: '/topics/structured' });
  });

  it('what the hub adds and a reader sends back is ignored', async () => {
    const back = { ...(await stored('structured', 1)), id: 'again', sequence: '0000000000000777', topic: 'elsewhere' };
    const [receipt] = receipts(await send('structured', STRUCTURED, back));
    expect(await stored('structured', receipt?.sequence ?? 0)).toMatchObject({ topic: 'structured', id: 'again' });
    expect(receipt?.sequence).toBeLessThan(777);
  });
});

describe('binary mode', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-type': 'order.created', 'ce-source': '/shop' };

  it('has attributes in headers, percent-decoded, and the data in the body', async () => {
    const [receipt] = receipts(
      await send('binary', 'application/json', '{"amount":1}', {
        ...headers,
        'ce-id': 'b-1',
        'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
        'ce-partitionkey': 'k',
        'ce-comexampleregion': 'eu',
      }),
    );
    expect(receipt).toMatchObject({ id: 'b-1', source: '/shop', sequence: 1 });
    expect(await stored('binary', 1)).toMatchObject({
      specversion: '1.0',
      id: 'b-1',
      type: 'order.created',
      subject: 'Euro € 😀',
      partitionkey: 'k',
      comexampleregion: 'eu',
      datacontenttype: 'application/json',
      data: { amount: 1 },
    });
  });

  it('a text body becomes text, anything not text data_base64', async () => {
    receipts(await send('binary', 'text/plain', 'plain ☃', { ...headers, 'ce-id': 'b-2' }));
    expect(await stored('binary', 2)).toMatchObject({ datacontenttype: 'text/plain', data: 'plain ☃' });
    receipts(
      await send('binary', 'application/octet-stream', new Uint8Array([0, 255, 1]), { ...headers, 'ce-id': 'b-3' }),
    );
    expect(await stored('binary', 3)).toMatchObject({
      datacontenttype: 'application/octet-stream',
      data_base64: 'AP8B',
    });
    receipts(await send('binary', 'application/vnd.shop+json', '{"a":1}', { ...headers, 'ce-id': 'b-4' }));
    expect(await stored('binary', 4)).toMatchObject({ datacontenttype: 'application/vnd.shop+json', data: { a: 1 } });
    receipts(await send('binary', 'application/xml', '<a/>', { ...headers, 'ce-id': 'b-5' }));
    expect(await stored('binary', 5)).toMatchObject({ datacontenttype: 'application/xml' });
  });

  it('needs ce-specversion: the short form is JSON without any ce- header', async () => {
    const answer = await send('binary', 'application/json', { type: 'short.form' }, { 'ce-type': 'other' });
    answer.refused(400, 'invalid-event', 'ce-specversion');
  });

  it('may have no body', async () => {
    const [receipt] = receipts(await send('binary', 'application/json', '', { ...headers, 'ce-id': 'b-6' }));
    expect(await stored('binary', receipt?.sequence ?? 0)).not.toHaveProperty('data');
  });
});

describe('the topic', () => {
  it('that does not exist is made with defaults, and listed within 5 s', async () => {
    await me.publish('made-by-publishing', { type: 'a' });
    expect((await me.get('/v1/topics/made-by-publishing')).is(200)).toMatchObject({
      deduplicationWindow: '24h',
      lastSequence: 1,
      firstSequence: 1,
      events: 1,
    });
  });

  it('numbers events 1, 2, 3 … without gaps, however concurrently they come, each with its own true receipt', async () => {
    const given = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        me.publish('counted', index % 3 === 0 ? [{ type: `a${index}` }, { type: `b${index}` }] : { type: `a${index}` }),
      ),
    );
    const sequences = given.flat().map(({ sequence }) => sequence);
    expect([...sequences].sort((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
    for (const batch of given) {
      for (const { id, sequence } of batch) expect(await stored('counted', sequence)).toMatchObject({ id });
      if (batch.length === 2) expect(batch[1]?.sequence).toBe((batch[0]?.sequence ?? 0) + 1);
    }
  });

  it('orders what one producer sends one after the other', async () => {
    for (let index = 0; index < 10; index += 1) {
      const [receipt] = await me.publish('one-producer', { type: 'a', data: index });
      expect(receipt?.sequence).toBe(index + 1);
    }
  });
});
