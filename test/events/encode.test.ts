import { CloudEvent, HTTP } from 'cloudevents';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../src/events/binary.ts';
import { batch, binary, type Content, dataOnly, structured } from '../../src/events/encode.ts';
import { withHubAttributes } from '../../src/events/stored.ts';
import { bodyText } from '../support/body-text.ts';
import { decode, decodedOne, decodedTexts, SHORT, STRUCTURED } from './decoding.ts';

/** An event as the hub has stored it. */
function stored(event: Record<string, unknown>): string {
  const [json = ''] = decodedTexts(decode(SHORT, { id: 'a-1', source: '/shop', type: 'order.created', ...event }));
  return withHubAttributes(json, 'orders', 42, '2026-11-23T20:00:00.000Z');
}

/** What the SDK of the CloudEvents project makes of a request. */
function read({ headers, body }: Content): CloudEvent<unknown>[] {
  const message = HTTP.toEvent({ headers, body: typeof body === 'string' ? body : Buffer.from(body).toString() });
  const events: unknown[] = Array.isArray(message) ? message : [message];
  return events.filter((event) => event instanceof CloudEvent);
}

const contentTypeOf = (content: Content) => content.headers['content-type'];

describe('a header’s value', () => {
  // CloudEvents HTTP binding, 3.1.3.2, with its own example.
  it.each([
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
    ["plain-/:?#[]@!$&'()*+,;=~{}|\\^`<>", "plain-/:?#[]@!$&'()*+,;=~{}|\\^`<>"],
    ['"quoted"', '%22quoted%22'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['a\r\nx-injected: 1', 'a%0D%0Ax-injected:%201'],
    ['\u007f\u0000', '%7F%00'],
    ['half \ud83d', 'half%20%EF%BF%BD'],
    ['', ''],
  ])('%j is %j', (value, encoded) => {
    expect(encodeValue(value)).toBe(encoded);
  });

  it('is printable ASCII, and read back by the hub as it was', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 50, unit: 'grapheme' }), (subject) => {
        const encoded = encodeValue(subject);
        expect(encoded).toMatch(/^[!-~]*$/);
        expect(decodeURIComponent(encoded)).toBe(subject);
      }),
    );
  });
});

describe('binary mode', () => {
  it('has each attribute in a header, the hub’s own too, and the data as the body', () => {
    const json = stored({
      subject: 'Grüße ☃',
      time: '2026-01-01T00:00:00Z',
      count: 5,
      flag: true,
      data: { amount: 5 },
    });
    expect(binary(json)).toEqual({
      headers: {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': 'a-1',
        'ce-source': '/shop',
        'ce-type': 'order.created',
        'ce-subject': 'Gr%C3%BC%C3%9Fe%20%E2%98%83',
        'ce-time': '2026-01-01T00:00:00Z',
        'ce-count': '5',
        'ce-flag': 'true',
        'ce-topic': 'orders',
        'ce-sequence': '0000000000000042',
        'ce-recordedtime': '2026-11-23T20:00:00.000Z',
      },
      body: '{"amount":5}',
    });
  });

  it('keeps numbers as they were written', () => {
    const json = stored({});
    expect(binary(json.replace('"topic"', '"data":[12345678901234567890,1.0],"topic"')).body).toBe(
      '[12345678901234567890,1.0]',
    );
  });

  it('sends data_base64 as bytes', () => {
    const bytes = Uint8Array.of(0, 255, 10, 195, 40);
    const content = binary(
      stored({ datacontenttype: 'image/png', data_base64: Buffer.from(bytes).toString('base64') }),
    );
    expect(content.body).toEqual(bytes);
    expect(contentTypeOf(content)).toBe('image/png');
    expect(content.headers).not.toHaveProperty('ce-datacontenttype');
  });

  it('of text is the text', () => {
    const content = binary(stored({ datacontenttype: 'text/plain; charset=ISO-8859-1', data: 'Grüße' }));
    expect(bodyText(content.body)).toBe('Grüße');
    expect(contentTypeOf(content)).toBe('text/plain; charset=utf-8');
  });

  it('has no media type with more than ASCII in it', () => {
    expect(contentTypeOf(binary(stored({ datacontenttype: 'text/plain; title=☃', data: 'a' })))).toBe('text/plain');
  });

  it('of a JSON string is JSON', () => {
    expect(binary(stored({ data: 'text' }))).toMatchObject({ body: '"text"' });
    expect(binary(stored({ datacontenttype: 'application/vnd.shop+json', data: 'text' })).body).toBe('"text"');
  });

  it('without data has an empty body, and no type but the event’s own', () => {
    expect(binary(stored({})).body).toEqual(new Uint8Array(0));
    expect(contentTypeOf(binary(stored({})))).toBe(undefined);
    expect(contentTypeOf(binary(stored({ datacontenttype: 'text/xml' })))).toBe('text/xml');
  });

  it.each([
    ['JSON', { data: { amount: 5, items: ['é', null] } }],
    ['JSON with a charset', { datacontenttype: 'application/json;charset=UTF-8', data: [1] }],
    ['text', { datacontenttype: 'text/plain', data: 'a "b"' }],
    ['xml', { datacontenttype: 'application/xml', data: '<a/>' }],
    ['nothing', {}],
  ])('of %s is read by the SDK', (_what, event) => {
    const [known] = read(binary(stored({ subject: 's', ...event })));
    expect(known).toMatchObject({
      id: 'a-1',
      source: '/shop',
      type: 'order.created',
      subject: 's',
      topic: 'orders',
      sequence: '0000000000000042',
      ...('data' in event ? { data: event.data } : {}),
    });
  });

  it('published again is the same event', () => {
    fc.assert(
      fc.property(
        fc.record({
          subject: fc.string({ minLength: 1, unit: 'grapheme' }),
          data: fc.jsonValue(),
          extra: fc.string({ unit: 'grapheme-composite' }),
        }),
        (event) => {
          const first = decode(STRUCTURED, { specversion: '1.0', id: 'a', source: '/s', type: 't', ...event });
          if (first.outcome !== 'decoded') return;
          const [json = ''] = decodedTexts(first);
          const { headers, body } = binary(json);
          const { 'content-type': type = null, ...others } = headers;
          const again = decodedOne(
            decode(type, typeof body === 'string' ? new TextEncoder().encode(body) : body, others),
          );
          expect(again).toMatchObject(JSON.parse(json));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('data alone', () => {
  it.each([
    ['JSON', { data: { amount: 5 } }, 'application/json', '{"amount":5}'],
    ['null', { data: null }, 'application/json', 'null'],
    ['text', { datacontenttype: 'text/csv', data: 'a,b' }, 'text/csv', 'a,b'],
    [
      'form',
      { datacontenttype: 'application/x-www-form-urlencoded', data: 'a=1' },
      'application/x-www-form-urlencoded',
      'a=1',
    ],
    ['bytes', { data_base64: 'aGk=' }, 'application/octet-stream', 'hi'],
    ['nothing', { datacontenttype: 'application/json' }, undefined, ''],
    ['empty text', { datacontenttype: 'text/plain', data: '' }, undefined, ''],
  ])('that is %s', (_what, event, type, body) => {
    const content = dataOnly(stored(event));
    expect(content.headers).toEqual(type === undefined ? {} : { 'content-type': type });
    expect(bodyText(content.body)).toBe(body);
  });
});

describe('structured and batch mode', () => {
  it('are the events as they are stored', () => {
    const json = stored({ data: 1 });
    expect(structured(json)).toEqual({
      headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
      body: json,
    });
    expect(batch([json, json])).toEqual({
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: `[${json},${json}]`,
    });
  });

  it('are read by the SDK', () => {
    expect(read(structured(stored({ data: 1 })))).toMatchObject([{ id: 'a-1', data: 1, topic: 'orders' }]);
    const two = read(batch([stored({ data: 1 }), stored({ id: 'a-2', data: 'b' })]));
    expect(two).toMatchObject([
      { id: 'a-1', data: 1 },
      { id: 'a-2', data: 'b' },
    ]);
  });
});
