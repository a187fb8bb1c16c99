import { describe, expect, test } from 'vitest';
import { BATCH, decode, decodedAll, decodedOne, decodedTexts, errorsOf, SHORT, STRUCTURED, utf8 } from './decoding.ts';

const whole = { specversion: '1.0', id: 'a', source: '/shop', type: 'order.created', time: '2026-01-01T00:00:00Z' };

describe('structured mode, batch and short form', () => {
  test('an event keeps its attributes, in one readable order, data last', () => {
    const sent = {
      data: { amount: 5 },
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      partitionkey: 'p',
      count: 5,
      flag: false,
      dataschema: 'https://example.com/s',
      datacontenttype: 'application/json',
      subject: 'o-1',
      ...whole,
    };
    const [text] = decodedTexts(decode(STRUCTURED, sent));
    expect(text).toBe(
      '{"specversion":"1.0","id":"a","source":"/shop","type":"order.created","subject":"o-1","time":"2026-01-01T00:00:00Z",' +
        '"datacontenttype":"application/json","dataschema":"https://example.com/s","partitionkey":"p","count":5,"flag":false,' +
        '"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"amount":5}}',
    );
  });

  test('what the short form leaves out is filled in', () => {
    const result = decode(SHORT, [{ type: 'a' }, { type: 'b', id: 'mine' }]);
    expect(decodedTexts(result)).toEqual([
      '{"specversion":"1.0","id":"made-0","source":"/topics/orders","type":"a","time":"2026-11-23T20:00:00.000Z"}',
      '{"specversion":"1.0","id":"mine","source":"/topics/orders","type":"b","time":"2026-11-23T20:00:00.000Z"}',
    ]);
    expect(decodedAll(result).map(({ id, source }) => [id, source])).toEqual([
      ['made-0', '/topics/orders'],
      ['mine', '/topics/orders'],
    ]);
  });

  test('id, source and time are filled in in structured mode too', () => {
    expect(decodedOne(decode(STRUCTURED, { specversion: '1.0', type: 'a' }))).toMatchObject({
      id: 'made-0',
      source: '/topics/orders',
      time: '2026-11-23T20:00:00.000Z',
    });
  });

  test('the key is the partition key, else the subject, else nothing', () => {
    const result = decode(SHORT, [
      { type: 'a', subject: 's', partitionkey: 'p' },
      { type: 'a', subject: 's' },
      { type: 'a' },
    ]);
    expect(decodedAll(result).map(({ key, json }) => [key, JSON.parse(json).subject])).toEqual([
      ['p', 's'],
      ['s', 's'],
      [null, undefined],
    ]);
  });

  test("the hub's own attributes sent back are ignored, whatever they are", () => {
    const event = decodedOne(decode(SHORT, { ...whole, topic: 7, sequence: { a: 1 }, recordedtime: 'x' }));
    expect(event).toEqual(whole);
  });

  test('a sent time is kept as it was written', () => {
    const time = '2026-01-01T00:00:00.123456+02:00';
    expect(decodedOne(decode(SHORT, { type: 'a', time })).time).toBe(time);
  });

  test('an attribute that is null is one that is not there; data may be null', () => {
    expect(decodedOne(decode(SHORT, { ...whole, subject: null, ext: null, data_base64: null, data: null }))).toEqual({
      ...whole,
      data: null,
    });
  });

  test('binary data stays in base64', () => {
    expect(decodedOne(decode(STRUCTURED, { ...whole, data_base64: 'AAH/' })).data_base64).toBe('AAH/');
  });

  test.each([
    'APPLICATION/CloudEvents+JSON',
    'application/cloudevents+json; charset=utf-8',
    'application/cloudevents+json;charset="UTF-8"',
    ' application/cloudevents+json ; foo=bar',
  ])('content type %j is read', (contentType) => {
    expect(decode(contentType, whole).outcome).toBe('decoded');
  });

  test('structured mode wins over ce- headers', () => {
    expect(decodedOne(decode(STRUCTURED, whole, { 'ce-specversion': '1.0', 'ce-type': 'other' })).type).toBe(
      'order.created',
    );
  });

  test('a byte order mark is no part of the JSON', () => {
    expect(decode(SHORT, `\uFEFF${JSON.stringify(whole)}`).outcome).toBe('decoded');
  });

  test('a well-formed traceparent of the request is given to events without one', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const trace = { traceparent, tracestate: null };
    expect(decodedOne(decode(SHORT, whole, {}, { trace })).traceparent).toBe(traceparent);
    expect(decodedOne(decode(SHORT, { ...whole, traceparent: 'own' }, {}, { trace })).traceparent).toBe('own');
    const states = { ...trace, tracestate: 'a=1,b=2' };
    expect(decodedOne(decode(SHORT, whole, {}, { trace: states }))).toMatchObject(states);
    const other = decodedOne(decode(SHORT, { ...whole, traceparent: 'own' }, {}, { trace: states }));
    expect(other).not.toHaveProperty('tracestate');
    expect(decodedOne(decode(SHORT, whole, {}, { trace: null }))).not.toHaveProperty('traceparent');
  });
});

describe('data is kept as it was sent', () => {
  test.each([
    '12345678901234567890',
    '1.10',
    '-0',
    '1E+2',
    '{"b":1,"a":2,"10":3,"9":4}',
    '"\\ud83d\\ude00 \\/ \\u0041"',
    '"half \\ud83d"',
    '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toJSON":"x"}',
    'null',
    'false',
    '[]',
    '{}',
    '""',
    '"{[,: \\\\\\" "',
  ])('%s', (data) => {
    expect(
      decodedTexts(decode(SHORT, `{"type":"a","id":"a","source":"s","time":"2026-01-01T00:00:00Z","data":${data}}`)),
    ).toEqual([`{"specversion":"1.0","id":"a","source":"s","type":"a","time":"2026-01-01T00:00:00Z","data":${data}}`]);
    expect({}).not.toHaveProperty('polluted');
  });

  test('white space goes, so that an event is one line', () => {
    const [text] = decodedTexts(
      decode(SHORT, '\r\n{ "type" : "a" ,\n\t"data" : { "x y" : [ 1 , "a  b" , true ] } }\n'),
    );
    expect(text).toContain('"data":{"x y":[1,"a  b",true]}}');
    expect(text).not.toContain('\n');
  });

  test('in a batch each event has its own', () => {
    const texts = decodedTexts(
      decode(
        BATCH,
        `[ ${JSON.stringify({ ...whole, data: [1, [2]] })} , ${JSON.stringify({ ...whole, data: '],{' })} ]`,
      ),
    );
    expect(texts.map((text) => JSON.parse(text).data)).toEqual([[1, [2]], '],{']);
  });
});

describe('bad events', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['missing type', { type: undefined }, 'type is required'],
    ['null type', { type: null }, 'type is required'],
    ['empty type', { type: '' }, 'type must not be empty'],
    ['type no string', { type: 5 }, 'type must be a string'],
    ['id no string', { id: 5 }, 'id must be a string'],
    ['empty id', { id: '' }, 'id must not be empty'],
    ['long id', { id: 'x'.repeat(257) }, 'id must be at most 256 characters'],
    ['old specversion', { specversion: '0.3' }, 'specversion must be "1.0"'],
    ['missing specversion', { specversion: undefined }, 'specversion is required: "1.0"'],
    ['bad time', { time: 'yesterday' }, 'time must be an RFC 3339 time'],
    ['time no string', { time: 5 }, 'time must be a string'],
    ['source with white space', { source: 'my shop' }, 'source must be a URI reference'],
    ['relative dataschema', { dataschema: 'schema' }, 'dataschema must be a URI with a scheme'],
    ['bad datacontenttype', { datacontenttype: 'json' }, 'datacontenttype must be a media type'],
    ['upper-case attribute', { myExt: 'x' }, 'myExt is not an attribute name'],
    ['attribute with underscore', { my_ext: 'x' }, 'my_ext is not an attribute name'],
    ['attribute __proto__', JSON.parse('{"__proto__":"x"}'), '__proto__ is not an attribute name'],
    ['empty attribute name', { '': 'x' }, ' is not an attribute name'],
    ['long attribute name', { ['x'.repeat(65)]: 'x' }, `${'x'.repeat(65)} is too long a name`],
    ['attribute an object', { ext: {} }, 'ext must be a string, a boolean or an integer'],
    ['attribute an array', { ext: [] }, 'ext must be a string, a boolean or an integer'],
    ['attribute a fraction', { ext: 1.5 }, 'ext must be an integer of 32 bits'],
    ['attribute too large a number', { ext: 2 ** 31 }, 'ext must be an integer of 32 bits'],
    ['line break in an attribute', { subject: 'a\r\nb' }, 'subject must not have control characters'],
    ['control in an extension', { ext: 'a\u0085' }, 'ext must not have control characters'],
    ['half a surrogate pair', { subject: '\ud83d' }, 'subject must not have control characters'],
    ['noncharacter', { subject: '\u{1fffe}' }, 'subject must not have control characters'],
    ['both kinds of data', { data: 1, data_base64: 'AA==' }, 'data_base64 must not be beside data'],
    ['data_base64 no base64', { data_base64: 'A' }, 'data_base64 must be base64'],
    ['33 extensions', Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`ext${i}`, 'x'])), ' has 33 extension'],
  ])('%s', (_, change, expected) => {
    const [one] = errorsOf(decode(STRUCTURED, { ...whole, ...change }));
    expect(one?.startsWith(expected), `${one}`).toBe(true);
    const [inBatch] = errorsOf(decode(BATCH, [whole, whole, { ...whole, ...change }]));
    expect(inBatch?.startsWith('[2]'), `${inBatch}`).toBe(true);
  });

  test('one bad event refuses the batch and is named; each thing wrong is listed', () => {
    expect(errorsOf(decode(SHORT, [whole, { id: 5 }, whole, 'x', { type: 'a', bad_name: 1, time: 'x' }]))).toEqual([
      '[1].id must be a string',
      '[1].type is required',
      '[3] must be a JSON object',
      '[4].bad_name is not an attribute name: CloudEvents allows lower-case letters and digits only',
      '[4].time must be an RFC 3339 time such as "2026-11-23T20:00:00Z"',
    ]);
  });

  test('at most 100 errors are listed', () => {
    expect(errorsOf(decode(SHORT, new Array(500).fill({})))).toHaveLength(100);
  });

  test.each([
    ['a name twice in the event', '{"type":"a","type":"b"}', 'type is there twice'],
    ['a name twice in data', '{"type":"a","data":{"x":1,"x":2}}', 'data has an object in it with the same name twice'],
    ['a name twice deep in data', '{"type":"a","data":[{"y":{"x":1,"\\u0078":2}}]}', 'data has an object in it'],
    ['a number beyond any double', '{"type":"a","data":[1e999]}', 'data has a number too large'],
    ['two kinds of data', '{"type":"a","data":null,"data_base64":"AA=="}', 'data_base64 must not be beside data'],
    ['no object', '5', ' must be a JSON object'],
    ['nothing in the list', '[]', ' must have at least one event'],
    [
      'data too deep',
      `{"type":"a","data":${'['.repeat(129)}${']'.repeat(129)}}`,
      'data must not be nested more than 128',
    ],
    ['data far too deep', `[{"type":"a"},{"type":"a","data":${'[{"a":'.repeat(500_000)}`, '[1] must not be nested'],
  ])('%s', (_, body, expected) => {
    const [error] = errorsOf(decode(SHORT, body));
    expect(error?.startsWith(expected), `${error}`).toBe(true);
  });

  test('data of 128 levels is read, in every form', () => {
    const data = `${'['.repeat(128)}${']'.repeat(128)}`;
    expect(decode(SHORT, `{"type":"a","data":${data}}`).outcome).toBe('decoded');
    expect(decode(SHORT, `[{"type":"a","data":${data}}]`).outcome).toBe('decoded');
    expect(decode(SHORT, data, { 'ce-specversion': '1.0', 'ce-type': 'a' }).outcome).toBe('decoded');
  });

  test('an array is no structured event, an object no batch', () => {
    expect(errorsOf(decode(STRUCTURED, [whole]))[0]).toContain('application/cloudevents-batch+json');
    expect(errorsOf(decode(BATCH, whole))[0]).toContain('must be an array');
  });
});

describe('bad requests', () => {
  test.each([
    '',
    '{',
    '{"type":"a"',
    "{'type':'a'}",
    '{"type":"a"}x',
    '{"type":"a",}',
    '1 2',
    'tr ue',
    '{"a":"\u0001"}',
    'NaN',
  ])('%j is not JSON', (body) => {
    expect(decode(SHORT, body).outcome).toBe('invalid-json');
  });

  test.each([
    [[0x7b, 0xff, 0x7d]],
    [[0x22, 0xc0, 0xa0, 0x22]],
    [[0x22, 0xed, 0xa0, 0x80, 0x22]],
    [[0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('bytes %j are not UTF-8', (bytes) => {
    expect(decode(SHORT, Uint8Array.from(bytes)).outcome).toBe('invalid-json');
  });

  test.each([
    [null, {}],
    ['', {}],
    ['text/plain', {}],
    ['application/xml', {}],
    ['application/cloudevents+xml', {}],
    ['application/cloudevents+avro', { 'ce-specversion': '1.0', 'ce-type': 'a' }],
    ['application/x-www-form-urlencoded', {}],
    ['text/plain', { 'ce-type': 'a' }],
    ['application/json; charset=utf-16', {}],
    ['application/cloudevents+json; charset=latin1', {}],
    ['application/json; charset=latin1', { 'ce-specversion': '1.0', 'ce-type': 'a' }],
  ])('content type %j with %j is not one the hub reads', (contentType, headers) => {
    expect(decode(contentType, '{"type":"a"}', headers).outcome).toBe('unsupported-media-type');
  });

  test('NDJSON comes later', () => {
    expect(decode('application/x-ndjson', '{"type":"a"}\n').outcome).toBe('not-supported-yet');
  });

  test('a request has at most 1,000 events', () => {
    expect(decode(SHORT, new Array(1_000).fill({ type: 'a' })).outcome).toBe('decoded');
    expect(decode(SHORT, new Array(1_001).fill({ type: 'a' })).outcome).toBe('too-many-events');
  });

  test('an event is at most 1 MiB as it is stored, a request 10 MiB', () => {
    const around = utf8(decodedTexts(decode(SHORT, { type: 'a', data: '' }))[0] ?? '').byteLength;
    const fits = 'é'.repeat((1_048_576 - around - 1) / 2);
    expect(decode(SHORT, { type: 'a', data: fits }).outcome).toBe('decoded');
    expect(decode(SHORT, { type: 'a', data: `${fits}éé` }).outcome).toBe('event-too-large');
    expect(decode(SHORT, [{ type: 'a' }, { type: 'a', data: `${fits}éé` }])).toMatchObject({
      outcome: 'event-too-large',
      detail: expect.stringContaining('Event 1 '),
    });
    expect(decode(SHORT, new Uint8Array(10 * 1_048_576 + 1)).outcome).toBe('payload-too-large');
  });
});
