import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Bad input to publishing: each with its problem document, and nothing changed. */

let hub: TestHub;
let me: Stranger;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  (await me.put('/v1/topics/strict', {})).is(201);
});
afterAll(async () => {
  expect((await me.get('/v1/topics/strict')).is(200)).toMatchObject({ lastSequence: 0, events: 0, bytes: 0 });
  await hub.stop();
});

const STRUCTURED = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
const good = { specversion: '1.0', id: 'x', source: '/s', type: 'a' };

const raw = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
  me.ask('POST', '/v1/topics/strict/events', { body, headers });
const send = (event: unknown, contentType: string) => raw(JSON.stringify(event), { 'content-type': contentType });

describe('what is not JSON', () => {
  it.each(['', '{', '{"type":"a"', '{"type":}', "{'type':'a'}", '{"type":"a"}x', 'NaN', '[1,]', '\u0000'])(
    '%j',
    async (body) => {
      for (const type of ['application/json', STRUCTURED, BATCH]) {
        (await raw(body, { 'content-type': type })).refused(400, null);
      }
    },
  );

  it('bytes that are not UTF-8', async () => {
    for (const type of ['application/json', STRUCTURED, BATCH]) {
      (await raw(Uint8Array.from([0x7b, 0xff, 0x7d]), { 'content-type': type })).refused(400, 'invalid-json');
    }
  });

  it('JSON that is no event', async () => {
    for (const value of [null, 1, 'text', true]) {
      for (const type of ['application/json', STRUCTURED, BATCH]) (await send(value, type)).refused(400, null);
    }
    (await send([], 'application/json')).refused(400, null);
    (await send([], BATCH)).refused(400, null);
    (await send(good, BATCH)).refused(400, null);
    (await send([good], STRUCTURED)).refused(400, null);
    (await send([[good]], BATCH)).refused(400, 'invalid-event', '[0]');
    (await send([good, 7], 'application/json')).refused(400, 'invalid-event', '[1]');
  });
});

describe('attributes', () => {
  const cases: [string, object, string][] = [
    ['no type', { type: undefined }, 'type'],
    ['an empty type', { type: '' }, 'type'],
    ['a type that is a number', { type: 7 }, 'type'],
    ['a type that is null', { type: null }, 'type'],
    ['an empty id', { id: '' }, 'id'],
    ['an id that is a number', { id: 7 }, 'id'],
    ['an empty source', { source: '' }, 'source'],
    ['a source that is an object', { source: {} }, 'source'],
    ['a source that is no URI reference', { source: 'a b' }, 'source'],
    ['a time that is none', { time: 'yesterday' }, 'time'],
    ['a time without a zone', { time: '2026-01-01T00:00:00' }, 'time'],
    ['a time that is no date', { time: '2026-02-30T00:00:00Z' }, 'time'],
    ['a time that is a number', { time: 1_700_000_000 }, 'time'],
    ['an empty subject', { subject: '' }, 'subject'],
    ['a subject that is a list', { subject: ['a'] }, 'subject'],
    ['a dataschema that is no absolute URI', { dataschema: 'schema' }, 'dataschema'],
    ['a datacontenttype that is none', { datacontenttype: 'json' }, 'datacontenttype'],
    ['an empty partitionkey', { partitionkey: '' }, 'partitionkey'],
    ['data_base64 that is not base64', { data_base64: '*' }, 'data_base64'],
    ['data and data_base64', { data: 1, data_base64: 'AAEC' }, 'data_base64'],
    ['an extension in capitals', { traceId: 'a' }, 'traceId'],
    ['an extension with a dash', { 'trace-id': 'a' }, 'trace-id'],
    ['an extension with an underscore', { trace_id: 'a' }, 'trace_id'],
    ['an extension without a name', { '': 'a' }, ''],
    ['an extension that is an object', { trace: {} }, 'trace'],
    ['an extension that is a list', { trace: ['a'] }, 'trace'],
    ['an extension that is no integer', { trace: 1.5 }, 'trace'],
    ['an extension beyond 32 bits', { trace: 2 ** 31 }, 'trace'],
    ['a control character', { subject: 'a\u0000b' }, 'subject'],
  ];

  it.each(cases)('%s', async (_, change, path) => {
    const short = { type: 'a', ...change };
    const errors = (await send(short, 'application/json')).refused(400, 'invalid-event').errors ?? [];
    expect(errors.map((error) => error.path)).toContain(path);
    (await send({ ...good, ...change }, STRUCTURED)).refused(400, 'invalid-event');
    (await send([good, { ...good, id: 'y', ...change }], BATCH)).refused(400, 'invalid-event');
  });

  it('a specversion other than 1.0', async () => {
    for (const specversion of ['0.3', '1.1', '', 1, null, undefined]) {
      (await send({ ...good, specversion }, STRUCTURED)).refused(400, 'invalid-event', 'specversion');
    }
    (await send({ type: 'a', specversion: '0.3' }, 'application/json')).refused(400, 'invalid-event', 'specversion');
  });

  it('the same member twice', async () => {
    const body = '{"specversion":"1.0","id":"x","id":"y","source":"/s","type":"a"}';
    (await raw(body, { 'content-type': STRUCTURED })).refused(400, 'invalid-event', 'id');
  });

  it('several things wrong are all named', async () => {
    (await send({ type: '', time: 'x', subject: 7 }, 'application/json')).refused(
      400,
      'invalid-event',
      'type',
      'time',
      'subject',
    );
  });

  it('one bad event in a batch: all refused, the bad one named by its index', async () => {
    const batch = Array.from({ length: 10 }, (_, index) => ({ ...good, id: `e${index}` }));
    const bad = batch.map((event, index) => (index === 7 ? { ...event, type: 5 } : event));
    (await send(bad, BATCH)).refused(400, 'invalid-event', '[7].type');
    (await send(bad, 'application/json')).refused(400, 'invalid-event', '[7].type');
  });
});

describe('binary mode', () => {
  const headers = {
    'ce-specversion': '1.0',
    'ce-type': 'a',
    'ce-source': '/s',
    'ce-id': 'x',
    'content-type': 'text/plain',
  };

  it.each([
    ['a line break that is percent-encoded', { 'ce-subject': 'a%0D%0Ax-evil:%201' }, 'ce-subject'],
    ['a NUL that is percent-encoded', { 'ce-subject': 'a%00' }, 'ce-subject'],
    ['a lone percent sign', { 'ce-subject': '100%' }, 'ce-subject'],
    ['percent-encoding that is not UTF-8', { 'ce-subject': '%FF%FE' }, 'ce-subject'],
    ['an overlong form', { 'ce-subject': '%C0%AF' }, 'ce-subject'],
    ['a surrogate', { 'ce-subject': '%ED%A0%80' }, 'ce-subject'],
    ['raw bytes beyond ASCII', { 'ce-subject': 'caf\u00e9' }, 'ce-subject'],
    ['specversion 0.3', { 'ce-specversion': '0.3' }, 'ce-specversion'],
    ['a bad time', { 'ce-time': 'yesterday' }, 'ce-time'],
    ['an empty type', { 'ce-type': '' }, 'ce-type'],
    ['a forbidden attribute name', { 'ce-trace_id': 'a' }, 'ce-trace_id'],
    ['the content type as an attribute', { 'ce-datacontenttype': 'text/plain' }, 'ce-datacontenttype'],
  ])('%s', async (_, change, path) => {
    (await raw('data', { ...headers, ...change })).refused(400, 'invalid-event', path);
  });

  it('no type', async () => {
    const { 'ce-type': _, ...rest } = headers;
    (await raw('data', rest)).refused(400, 'invalid-event', 'ce-type');
  });

  it('data that is not the JSON its content type says', async () => {
    (await raw('{"a":', { ...headers, 'content-type': 'application/json' })).refused(400, 'invalid-json');
  });
});

describe('content types', () => {
  it.each([
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'nonsense',
    '',
  ])('without ce- headers %j is 415', async (type) => {
    (await raw('{"type":"a"}', { 'content-type': type })).refused(415, 'unsupported-media-type');
  });

  it.each(['application/cloudevents+xml', 'application/cloudevents+avro', 'application/cloudevents'])(
    'the CloudEvents format %s is 415',
    async (type) => {
      (await raw('x', { 'content-type': type })).refused(415, 'unsupported-media-type');
    },
  );

  it('JSON in another charset, and a content encoding, are 415', async () => {
    (await raw('{"type":"a"}', { 'content-type': 'application/json; charset=utf-16' })).refused(415, null);
    (await raw('{"type":"a"}', { 'content-type': 'application/json', 'content-encoding': 'gzip' })).refused(415, null);
  });
});

describe('limits', () => {
  const MIB = 1024 * 1024;

  it('an event over 1 MiB is 413; one just under it is taken', async () => {
    (await send({ type: 'a', data: 'x'.repeat(MIB) }, 'application/json')).refused(413, 'payload-too-large');
    (await raw('x'.repeat(MIB), { 'content-type': 'text/plain', 'ce-specversion': '1.0', 'ce-type': 'a' })).refused(
      413,
      null,
    );
    (await me.post('/v1/topics/large/events', { type: 'a', data: 'x'.repeat(MIB - 1000) })).is(201);
    expect((await me.get('/v1/topics/large/events/1')).is<{ data: string }>(200).data).toHaveLength(MIB - 1000);
  });

  it('a request over 10 MiB is 413', async () => {
    const events = Array.from({ length: 11 }, () => ({ type: 'a', data: 'x'.repeat(MIB - 1000) }));
    (await send(events, 'application/json')).refused(413, 'payload-too-large');
  });

  it('1,001 events are 413; 1,000 are taken', async () => {
    const events = Array.from({ length: 1001 }, () => ({ type: 'a' }));
    (await send(events, 'application/json')).refused(413, 'payload-too-large');
    (
      await send(
        events.map(() => ({ specversion: '1.0', type: 'a' })),
        BATCH,
      )
    ).refused(413, 'payload-too-large');
    expect(await me.publish('thousand', events.slice(1))).toHaveLength(1000);
  });

  it('data nested without end', async () => {
    const deep = `{"type":"a","data":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    (await raw(deep, { 'content-type': 'application/json' })).refused(400, 'invalid-event');
  });
});

describe('a body cut off in the middle', () => {
  const binary = 'content-type: text/plain\r\nce-specversion: 1.0\r\nce-type: cut';
  const short = 'content-type: application/json';

  it.each([
    ['with a content-length', [short, 'content-length: 200'], '{"type":"a","data":"ha'],
    ['whose part is an event by itself', [short, 'content-length: 200'], '{"type":"a"}'],
    ['in chunks', [short, 'transfer-encoding: chunked'], '12\r\n{"type":"a","data\r\n'],
    [
      'between chunks, whose part is an event by itself',
      [short, 'transfer-encoding: chunked'],
      'c\r\n{"type":"a"}\r\n',
    ],
    ['in a chunk, in binary mode', [binary, 'transfer-encoding: chunked'], '40\r\nhalf of the te'],
    ['between chunks, in binary mode', [binary, 'transfer-encoding: chunked'], '5\r\nfirst\r\n'],
  ])('%s publishes nothing', async (_, framing, part) => {
    const topic = `cut-${crypto.randomUUID()}`;
    expect(await cutOff(topic, framing, part, (socket) => socket.end())).toMatch(/^HTTP\/1\.1 400 /);
    await cutOff(topic, framing, part, (socket) => socket.resetAndDestroy());
    (await me.get('/healthz')).is(200);
    expect(await me.publish(topic, { type: 'whole' })).toMatchObject([{ sequence: 1 }]);
  });

  /** Sends a part of a body and goes away; what was answered. */
  async function cutOff(topic: string, framing: string[], part: string, goAway: (socket: Socket) => void) {
    const { hostname, port } = new URL(me.url);
    const socket = connect(Number(port), hostname);
    const head = [
      `POST /v1/topics/${topic}/events HTTP/1.1`,
      `host: ${hostname}:${port}`,
      'authorization: Bearer secret',
      ...framing,
    ];
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`${head.join('\r\n')}\r\n\r\n${part}`, () => goAway(socket));
    await closed;
    return answer;
  }
});
