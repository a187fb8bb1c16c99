import { CloudEvent, HTTP } from 'cloudevents';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { sentEventSchema, shortEventSchema, storedEventSchema } from '../../src/events/cloudevent.ts';
import { STRUCTURED_CONTENT_TYPE } from '../../src/events/encode.ts';
import { members, valueEnd } from '../../src/events/json-text.ts';
import { parseStored, withHubAttributes } from '../../src/events/stored.ts';
import { formatTime } from '../../src/events/times.ts';
import { BATCH, decode, decodedAll, decodedOne, decodedTexts, NOW, SHORT, STRUCTURED, utf8 } from './decoding.ts';

const event = new CloudEvent({
  id: 'a-1',
  source: '/shop',
  type: 'order.created',
  subject: 'o-1',
  time: '2026-01-01T00:00:00.000Z',
  partitionkey: 'p',
  count: 5,
  data: { amount: 5, items: ['é', null] },
});

function headersOf(message: { headers: Record<string, unknown> }): Record<string, string> {
  return Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
}

describe("the CloudEvents project's own SDK", () => {
  test('its structured messages are read', () => {
    const message = HTTP.structured(event);
    const headers = headersOf(message);
    const type = headers['content-type'] ?? null;
    expect(decodedOne(decode(type, String(message.body), headers))).toEqual(JSON.parse(JSON.stringify(event)));
  });

  test('its binary messages are read', () => {
    const message = HTTP.binary(event);
    const { 'content-type': type = null, ...headers } = headersOf(message);
    expect(decodedOne(decode(type, String(message.body), headers))).toMatchObject({
      id: 'a-1',
      subject: 'o-1',
      partitionkey: 'p',
      count: '5',
      time: '2026-01-01T00:00:00.000Z',
      data: { amount: 5, items: ['é', null] },
    });
  });

  test('its batches are read', () => {
    expect(decodedTexts(decode(BATCH, [event, event.cloneWith({ id: 'a-2' })]))).toHaveLength(2);
  });

  test('it reads what the hub gives out', () => {
    const [json = ''] = decodedTexts(decode(STRUCTURED, event));
    const body = withHubAttributes(json, 'orders', 42, formatTime(NOW));
    const read = HTTP.toEvent({ headers: { 'content-type': STRUCTURED_CONTENT_TYPE }, body });
    const [one] = Array.isArray(read) ? read : [read];
    expect(one).toMatchObject({
      id: 'a-1',
      type: 'order.created',
      data: { amount: 5, items: ['é', null] },
      topic: 'orders',
      sequence: '0000000000000042',
      recordedtime: '2026-11-23T20:00:00.000Z',
    });
    expect(one instanceof CloudEvent && one.validate()).toBe(true);
  });
});

describe('stored events', () => {
  test('the content type is exactly this', () => {
    expect(STRUCTURED_CONTENT_TYPE).toBe('application/cloudevents+json; charset=utf-8');
  });

  test("the hub's attributes come last and read back", () => {
    const [json = ''] = decodedTexts(decode(SHORT, { type: 'a', data: '}' }));
    const text = withHubAttributes(json, 'orders', 7, formatTime(NOW));
    expect(
      text.endsWith(
        ',"data":"}","topic":"orders","sequence":"0000000000000007","recordedtime":"2026-11-23T20:00:00.000Z"}',
      ),
    ).toBe(true);
    const stored = parseStored(text);
    expect([stored.type, stored.data, stored.sequence]).toEqual(['a', '}', '0000000000000007']);
    expect(storedEventSchema.safeParse(stored).success).toBe(true);
  });

  test('sent to the hub again, they are the event they were', () => {
    const [json = ''] = decodedTexts(decode(SHORT, { type: 'a', data: 1 }));
    expect(decodedTexts(decode(STRUCTURED, withHubAttributes(json, 'orders', 7, formatTime(NOW))))).toEqual([json]);
  });

  test('the schemas have a place in an OpenAPI document', () => {
    for (const schema of [sentEventSchema, shortEventSchema, storedEventSchema]) {
      expect(z.toJSONSchema(schema, { io: 'input' })).toHaveProperty('properties.type');
    }
  });
});

describe('decoding anything', () => {
  const contentType = fc.oneof(
    fc.constantFrom(
      STRUCTURED,
      BATCH,
      SHORT,
      'text/plain',
      'image/png',
      'application/x-ndjson',
      'a/b+json; charset=utf-8',
    ),
    fc.string(),
    fc.constant(null),
  );
  const headerName = fc.oneof(fc.constantFrom('ce-specversion', 'ce-type', 'ce-id', 'CE-Time', 'ce-data'), fc.string());
  const headers = fc.dictionary(headerName, fc.oneof(fc.constant('1.0'), fc.string({ unit: 'binary' })), {
    noNullPrototype: true,
  });
  const attribute = fc.constantFrom(
    'specversion',
    'id',
    'source',
    'type',
    'time',
    'data',
    'data_base64',
    'ext',
    'topic',
    '__proto__',
  );
  const nearEvent = fc.dictionary(attribute, fc.oneof(fc.constant('1.0'), fc.jsonValue()));
  const body = fc.oneof(
    fc.uint8Array(),
    fc.string({ unit: 'binary' }).map(utf8),
    fc.json().map(utf8),
    nearEvent.map((value) => utf8(JSON.stringify(value))),
    fc.array(nearEvent).map((value) => utf8(JSON.stringify(value))),
  );

  test('never throws, and what it takes is JSON on one line with what the log needs', () => {
    fc.assert(
      fc.property(contentType, body, headers, (type, bytes, sent) => {
        const result = decode(type, bytes, sent);
        if (result.outcome !== 'decoded') {
          expect(result.detail).not.toBe('');
          return;
        }
        for (const { id, source, key, json } of decodedAll(result)) {
          const read = JSON.parse(json);
          expect(read).toMatchObject({ specversion: '1.0', id, source, type: expect.any(String) });
          expect(read.partitionkey ?? read.subject ?? null).toBe(key);
          expect(json).not.toMatch(/[\r\n]/);
          expect(read).not.toHaveProperty('sequence');
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test('any JSON comes out of the hub as it went in', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (data, indent) => {
        const text = JSON.stringify([{ type: 'a' }, { type: 'b', data }], null, indent);
        const [, second = ''] = decodedTexts(decode(SHORT, text));
        expect(second.endsWith(`,"data":${JSON.stringify(data)}}`)).toBe(true);
      }),
    );
  });

  test('finding the parts of a JSON text agrees with parsing it', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (list, object) => {
        const text = JSON.stringify(list);
        let at = 1;
        for (const value of list) {
          const end = valueEnd(text, at);
          expect(text.slice(at, end)).toBe(JSON.stringify(value));
          at = end + 1;
        }
        const found = [...members(JSON.stringify(object))].map(({ name, text }) => [name, text]);
        expect(found).toEqual(Object.entries(object).map(([name, value]) => [name, JSON.stringify(value)]));
      }),
    );
  });
});
