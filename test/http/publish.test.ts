import { describe, expect, it } from 'vitest';
import type { Duplicate } from '../../src/topics/protocol.ts';
import { FakeHub } from './fake-hub.ts';
import { WholeHub } from './whole-hub.ts';

const MIB = 1024 * 1024;
const hub = new WholeHub();
let topics = 0;

function fresh(): string {
  topics += 1;
  return `/v1/topics/t${topics}/events`;
}

const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const event = (id: string, more: object = {}) => ({ specversion: '1.0', id, source: '/s', type: 't', ...more });

describe('bad input: each with its problem, and nothing changed', () => {
  it.each<[what: string, headers: Record<string, string>, body: string, status: number, code: string, path?: string]>([
    ['not JSON', {}, '{"type":', 400, 'invalid-json'],
    ['nothing', {}, '', 400, 'invalid-json'],
    ['no type', {}, '{"data":1}', 400, 'invalid-event', 'type'],
    ['a type that is no string', {}, '{"type":1}', 400, 'invalid-event', 'type'],
    ['a bad time', {}, '{"type":"t","time":"yesterday"}', 400, 'invalid-event', 'time'],
    [
      'specversion 0.3',
      {},
      '{"specversion":"0.3","id":"1","source":"/s","type":"t"}',
      400,
      'invalid-event',
      'specversion',
    ],
    ['a forbidden attribute name', {}, '{"type":"t","bad_name":"x"}', 400, 'invalid-event', 'bad_name'],
    [
      "the hub's own attribute in binary mode",
      { 'ce-specversion': '1.0', 'ce-type': 'a\tb' },
      '{}',
      400,
      'invalid-event',
    ],
    ['an unknown content type', { 'content-type': 'text/html' }, '<p>', 415, 'unsupported-media-type'],
    ['an encoded body', { 'content-encoding': 'gzip' }, 'x', 415, 'unsupported-media-type'],
    [
      'a bad expectation',
      { 'expected-last-sequence': '-1' },
      '{"type":"t"}',
      400,
      'invalid-request',
      'expected-last-sequence',
    ],
    ['a bad key', { 'idempotency-key': 'a b' }, '{"type":"t"}', 400, 'invalid-request', 'idempotency-key'],
    [
      'a key too long',
      { 'idempotency-key': 'k'.repeat(256) },
      '{"type":"t"}',
      400,
      'invalid-request',
      'idempotency-key',
    ],
  ])('%s', async (_what, headers, body, status, code, path) => {
    const topic = fresh();
    const answer = await hub.call('POST', topic, { headers: { 'content-type': 'application/json', ...headers }, body });
    expect(answer.json, answer.text).toMatchObject({ status, code });
    if (path !== undefined) expect(answer.json.errors).toContainEqual(expect.objectContaining({ path }));
    expect((await hub.call('GET', topic)).json).toMatchObject({ code: 'unknown-topic' });
  });

  it('names the bad event of a batch by its index, and takes none', async () => {
    const topic = fresh();
    const body = [event('1'), event('2', { type: '' }), event('3')];
    const answer = await hub.call('POST', topic, { headers: BATCH, body });
    expect(answer.json).toMatchObject({ code: 'invalid-event', errors: [{ path: '[1].type' }] });
    expect((await hub.call('GET', topic)).status).toBe(404);
  });

  it('refuses what is over a limit', async () => {
    const many = Array.from({ length: 1001 }, (_, index) => event(String(index)));
    expect(await hub.call('POST', fresh(), { headers: BATCH, body: many })).toMatchObject({ status: 413 });
    const large = [event('1', { data: 'x'.repeat(MIB) })];
    expect(await hub.call('POST', fresh(), { headers: BATCH, body: large })).toMatchObject({ status: 413 });
  });

  it('stops reading a request at 10 MiB', async () => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += MIB;
        controller.enqueue(new Uint8Array(MIB));
      },
    });
    const answer = await hub.call('POST', fresh(), { headers: { 'content-type': 'application/json' }, body });
    expect(answer.json).toMatchObject({ status: 413, code: 'payload-too-large', maxBytes: 10 * MIB });
    expect(sent).toBeLessThanOrEqual(13 * MIB);
  });

  it('tells a body that was cut off', async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"type":"t"}'));
        controller.error(new Error('connection lost'));
      },
    });
    const topic = fresh();
    const answer = await hub.call('POST', topic, { headers: { 'content-type': 'application/json' }, body });
    expect(answer.json).toMatchObject({ status: 400, code: 'incomplete-body' });
    expect((await hub.call('GET', topic)).status).toBe(404);
  });

  it('keeps topics of the hub for the hub', async () => {
    const body = { type: 't' };
    expect((await hub.call('POST', '/v1/topics/millrace.system/events', { body })).json).toMatchObject({
      status: 403,
      code: 'reserved-topic',
    });
  });

  it.each([
    ['?from=1&after=1', 'invalid-range'],
    ['?from=2&until=1', 'invalid-range'],
    ['?from=soon', 'invalid-request'],
    ['?since=5', 'invalid-request'],
    ['?after=-1', 'invalid-request'],
    ['?limit=1001', 'invalid-request'],
    ['?wait=61s', 'invalid-request'],
    ['?wait=5', 'invalid-request'],
    ['?order=up', 'invalid-request'],
    ['?order=asc&order=desc', 'invalid-request'],
    ['?unknown=1', 'invalid-request'],
  ])('reading %s is %s', async (query, code) => {
    await hub.call('POST', '/v1/topics/read/events', {
      body: [
        { type: 'a', id: '1' },
        { type: 'b', id: '2' },
      ],
    });
    expect((await hub.call('GET', `/v1/topics/read/events${query}`)).json).toMatchObject({ code });
  });
});

describe('what the log is asked and what it answers', () => {
  const appended = (first: number, ...duplicates: Duplicate[]) => ({ outcome: 'appended' as const, first, duplicates });
  const body = [event('1', { subject: 'k' }), { ...event('2'), source: '/other' }];

  it('events go packed, in their order, and each receipt names its event', async () => {
    const fake = new FakeHub();
    fake.topic('a').append.mockResolvedValue(appended(7, { index: 1, sequence: 3 }));
    const answer = await fake.call('POST', '/v1/topics/a/events', body, { headers: BATCH });
    expect([answer.status, answer.body]).toEqual([
      201,
      {
        events: [
          { id: '1', source: '/s', topic: 'a', sequence: 7, duplicate: false },
          { id: '2', source: '/other', topic: 'a', sequence: 3, duplicate: true },
        ],
      },
    ]);
    const events = fake.topic('a').append.mock.calls[0]?.[0].events;
    expect(events?.lines.split('\n').map((json) => JSON.parse(json).id)).toEqual(['1', '2']);
    expect(events?.keys).toBe('["k",null]');
    expect(events?.hashes).toHaveLength(64);
  });

  it('only duplicates are 200', async () => {
    const fake = new FakeHub();
    const known = [0, 1].map((index) => ({ index, sequence: 5 - index }));
    fake.topic('a').append.mockResolvedValueOnce(appended(7, ...known));
    expect(await fake.call('POST', '/v1/topics/a/events', body, { headers: BATCH })).toMatchObject({
      status: 200,
      body: {
        events: [
          { id: '1', sequence: 5, duplicate: true },
          { id: '2', sequence: 4, duplicate: true },
        ],
      },
    });
  });
});

describe('P3 once', () => {
  it('a request with an Idempotency-Key appends once though D1 is away', async () => {
    const own = new WholeHub();
    own.db.failure = 'before';
    const send = () =>
      own.call('POST', '/v1/topics/a/events', {
        headers: { 'idempotency-key': 'k' },
        body: [{ type: 't' }, { type: 't' }],
      });
    const first = await send();
    const second = await send();
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.json.events.map(({ id }: { id: string }) => id)).toEqual(
      first.json.events.map(({ id }: { id: string }) => id),
    );
    expect((await own.call('GET', '/v1/topics/a/events')).json.lastSequence).toBe(2);
  });

  it('a refusal is not kept, and the key may then be used for the mended request', async () => {
    const topic = fresh();
    const send = (body: object, more = {}) =>
      hub.call('POST', topic, { headers: { 'idempotency-key': 'k', ...more }, body });
    expect((await send({ type: 't' }, { 'expected-last-sequence': '7' })).status).toBe(412);
    expect((await send({ type: 'mended' })).status).toBe(201);
    expect((await send({ type: 'mended' })).headers.get('idempotent-replayed')).toBe('true');
  });

  it('two keys are two callers', async () => {
    const topic = fresh();
    const scopes = ['publish:>', 'topics:>'];
    const one = (await hub.call('POST', '/v1/keys', { body: { name: 'one', scopes } })).json.key;
    const two = (await hub.call('POST', '/v1/keys', { body: { name: 'two', scopes } })).json.key;
    const send = (key: string) =>
      hub.call('POST', topic, { key, headers: { 'idempotency-key': 'k' }, body: { type: 't' } });
    expect((await send(one)).json.events[0].sequence).toBe(1);
    expect((await send(two)).json.events[0].sequence).toBe(2);
  });

  it('traceparent becomes an extension and is no content', async () => {
    const topic = fresh();
    const body = { type: 't', id: '1' };
    const trace = (last: string) => ({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(15)}${last}-01` });
    expect((await hub.call('POST', topic, { body, headers: trace('1') })).status).toBe(201);
    expect((await hub.call('POST', topic, { body, headers: trace('2') })).status).toBe(200);
    expect((await hub.call('GET', topic)).json.events[0].traceparent).toBe(trace('1').traceparent);
  });
});

describe('reading', () => {
  it('pages until next is null, both ways, and filters exactly', async () => {
    const topic = fresh();
    await hub.call('POST', topic, {
      headers: BATCH,
      body: Array.from({ length: 25 }, (_, index) => event(String(index), { type: index % 2 === 0 ? 'even' : 'odd' })),
    });
    const read = async (query: string, nextAs: string) => {
      const seen: number[] = [];
      let next: number | null = null;
      do {
        const more: string = next === null ? '' : `&${nextAs}=${next}`;
        const { json } = await hub.call('GET', `${topic}?limit=4${query}${more}`);
        seen.push(...json.events.map(({ sequence }: { sequence: string }) => Number(sequence)));
        next = json.next;
      } while (next !== null);
      return seen;
    };
    const all = Array.from({ length: 25 }, (_, index) => index + 1);
    expect(await read('', 'after')).toEqual(all);
    expect(await read('&order=desc', 'until')).toEqual(all.toReversed());
    expect(await read('&type=odd&type=none', 'after')).toEqual(all.filter((sequence) => sequence % 2 === 0));
    expect((await hub.call('GET', `${topic}?after=25`)).json).toMatchObject({
      events: [],
      next: null,
      lastSequence: 25,
    });
  });

  it('a stream holds one page and reads the next when the receiver asks', async () => {
    const own = new WholeHub();
    const path = '/v1/topics/a/events';
    for (let batch = 0; batch < 5; batch += 1) {
      await own.call('POST', path, { body: Array.from({ length: 1000 }, () => ({ type: 't' })) });
    }
    const log = own.topic('a');
    let reads = 0;
    const counting: typeof log.read = (request) => {
      reads += 1;
      return Object.getPrototypeOf(log).read.call(log, request);
    };
    log.read = counting;
    const { serve } = await import('../../src/http/app.ts');
    const response = await serve(
      new Request(`http://hub.test${path}`, {
        headers: { authorization: `Bearer ${own.adminKey}`, accept: 'application/x-ndjson' },
      }),
      own,
    );
    const reader = response.body?.getReader();
    await reader?.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reads).toBeLessThanOrEqual(2);
    await reader?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reads).toBeLessThanOrEqual(2);
  });
});
