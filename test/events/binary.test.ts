import { describe, expect, test } from 'vitest';
import { decode, decodedOne, decodedTexts, errorsOf, utf8 } from './decoding.ts';

const required = { 'ce-specversion': '1.0', 'ce-id': 'a', 'ce-source': '/shop', 'ce-type': 'order.created' };

describe('binary mode', () => {
  test('attributes are headers, the content type is datacontenttype, JSON is data', () => {
    const headers = { ...required, 'CE-Subject': 'o-1', 'ce-myext': '5', 'ce-partitionkey': 'p', 'x-other': 'no' };
    expect(decodedOne(decode('application/json', '{ "amount": 12345678901234567890 }', headers))).toMatchObject({
      id: 'a',
      subject: 'o-1',
      myext: '5',
      partitionkey: 'p',
      datacontenttype: 'application/json',
    });
    expect(decodedTexts(decode('application/json', '{ "amount": 12345678901234567890 }', headers))[0]).toContain(
      '"data":{"amount":12345678901234567890}',
    );
  });

  test.each<[string | null, string | number[], Record<string, unknown>]>([
    ['application/json', '"x"', { data: 'x' }],
    ['application/json; charset=utf-8', '[1]', { data: [1] }],
    ['application/vnd.shop+json', '{"a":1}', { data: { a: 1 } }],
    ['text/json', '{"a":1}', { data: { a: 1 } }],
    ['application/json', '', {}],
    ['text/plain', 'hé\nllo', { data: 'hé\nllo' }],
    ['text/plain; charset=utf-8', '\uFEFFx', { data: '\uFEFFx' }],
    ['text/plain; charset=iso-8859-1', [0xe9], { data_base64: '6Q==' }],
    ['text/plain', [0xff], { data_base64: '/w==' }],
    ['application/xml', '<a/>', { data: '<a/>' }],
    ['image/svg+xml', '<a/>', { data: '<a/>' }],
    ['application/x-ndjson', '{}\n{}', { data: '{}\n{}' }],
    ['application/octet-stream', [0, 1, 255], { data_base64: 'AAH/' }],
    ['application/octet-stream', 'text', { data_base64: 'dGV4dA==' }],
    [null, '{"a":1}', { data: { a: 1 } }],
    [null, 'a', { data_base64: 'YQ==' }],
    [null, '', {}],
  ])('%s with %j', (contentType, body, expected) => {
    const event = decodedOne(decode(contentType, typeof body === 'string' ? body : Uint8Array.from(body), required));
    const { specversion: _s, id: _i, source: _o, type: _t, time: _m, datacontenttype, ...rest } = event;
    expect(rest).toEqual(expected);
    expect(datacontenttype ?? null).toBe(contentType);
  });

  test('large bodies become base64 whole', () => {
    const bytes = Uint8Array.from({ length: 100_001 }, (_, index) => index % 256);
    const event = decodedOne(decode('image/png', bytes, required));
    expect(Buffer.from(String(event.data_base64), 'base64')).toEqual(Buffer.from(bytes));
  });

  test.each([
    ['plain', 'plain'],
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%41%62', 'Ab'],
    ['"quoted \\"text\\" \\\\"', 'quoted "text" \\'],
    ['"100%25"', '100%'],
    ['a"b', 'a"b'],
    ['%22x%22', '"x"'],
    ['1+1', '1+1'],
  ])('header %s is %j (HTTP binding 3.1.3.2)', (header, value) => {
    expect(decodedOne(decode(null, '', { ...required, 'ce-subject': header })).subject).toBe(value);
  });

  test.each(['100%', '%zz', '%C0%A0', '%FF', '%ED%A0%80', '%E2%82', 'é', 'a\tb', '€'])(
    'header %j is refused',
    (header) => {
      expect(errorsOf(decode(null, '', { ...required, 'ce-subject': header }))).toEqual([
        'ce-subject must be printable ASCII in which "%" and two hex digits stand for a byte of UTF-8',
      ]);
    },
  );

  test.each(['a%0D%0AX-Injected:%201', '%00', '%7F', '%C2%85', 'x%EF%BF%BF'])(
    'header %j is refused once decoded: it would end a header',
    (header) => {
      expect(errorsOf(decode(null, '', { ...required, 'ce-subject': header }))[0]).toContain(
        'ce-subject must not have control characters',
      );
      expect(errorsOf(decode(null, '', { ...required, 'ce-myext': header }))[0]).toContain('ce-myext must not');
    },
  );

  test.each<[Record<string, string>, string | null, string]>([
    [{ 'ce-type': '' }, null, 'ce-type must not be empty'],
    [{ 'ce-specversion': '0.3' }, null, 'ce-specversion must be "1.0"'],
    [{ 'ce-time': 'now' }, null, 'ce-time must be an RFC 3339 time'],
    [{ 'ce-my_ext': 'x' }, null, 'ce-my_ext is not an attribute name'],
    [{ 'ce-': 'x' }, null, 'ce- is not an attribute name'],
    [{ 'ce-data': 'x' }, null, 'ce-data is the body'],
    [{ 'ce-datacontenttype': 'text/plain' }, null, 'ce-datacontenttype is the content-type header'],
    [{ 'CE-ID': 'b' }, null, 'ce-id is there twice'],
    [{ 'ce-__proto__': 'x' }, null, 'ce-__proto__ is not an attribute name'],
    [{}, 'json', 'content-type must be a media type'],
  ])('%j is refused', (headers, contentType, expected) => {
    const [error] = errorsOf(decode(contentType, '', { ...required, ...headers }));
    expect(error?.startsWith(expected), `${error}`).toBe(true);
  });

  test('JSON with attributes in headers is never taken for the short form', () => {
    const headers = { 'ce-type': 'a', 'ce-subject': 'lost otherwise' };
    expect(errorsOf(decode('application/json', '{"type":"b"}', headers))).toEqual([
      'ce-specversion is required: "1.0"',
    ]);
  });

  test('only type and specversion are needed', () => {
    const headers = { 'ce-specversion': '1.0', 'ce-type': 'a' };
    expect(decodedOne(decode(null, '', headers))).toMatchObject({ id: 'made-0', source: '/topics/orders' });
    expect(errorsOf(decode(null, '', { 'ce-specversion': '1.0' }))).toEqual(['ce-type is required']);
  });

  test("the hub's own attributes sent back are ignored", () => {
    const event = decodedOne(
      decode(null, '', { ...required, 'ce-topic': 'x', 'ce-sequence': '%', 'ce-recordedtime': '' }),
    );
    expect(Object.keys(event)).toEqual(['specversion', 'id', 'source', 'type', 'time']);
  });

  test('a JSON body has to be JSON, and not too deep', () => {
    expect(decode('application/json', '{', required).outcome).toBe('invalid-json');
    expect(decode('application/json', utf8('"').fill(0xff), required).outcome).toBe('invalid-json');
    expect(errorsOf(decode('application/json', '['.repeat(1_000_000), required))[0]).toContain(
      'data must not be nested',
    );
    expect(errorsOf(decode('application/json', '{"a":1,"a":2}', required))[0]).toContain('data has an object');
  });
});
