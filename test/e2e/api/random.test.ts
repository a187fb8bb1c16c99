import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { type Ask, type Stranger, startStranger } from './support/stranger.ts';

/** Random JSON, random bytes and random addresses at every route: never a 500, always a problem document. */

const RUNS_A_ROUTE = 20;

let hub: TestHub;
let me: Stranger;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  receiver = await startReceiver();
  await prepare();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** So that what is random meets something that is there. */
async function prepare(): Promise<void> {
  await me.publish('a', [{ type: 'a' }, { type: 'b' }]);
  (await me.put('/v1/subscriptions/a', { topics: ['a'], from: 'earliest', delivery: { url: receiver.url } })).as();
}

const word = fc.constantFrom(
  'a',
  'b',
  '1',
  '2',
  '99',
  'zz',
  'millrace.system',
  'A',
  '..',
  '%2e%2e',
  '%',
  '%00',
  '%ff',
  'é',
  ' ',
  '*',
  '>',
  "'",
  '"',
  '{}',
);
const segment = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', '1') },
  word.map(encode),
  fc.string().map(encode),
);

/** Fit for a URL, also where it is no valid percent-encoding. */
function encode(text: string): string {
  return /^%/.test(text) ? text : encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E') || 'a';
}

const KNOWN_FIELDS = [
  'type',
  'id',
  'source',
  'subject',
  'time',
  'data',
  'data_base64',
  'specversion',
  'topics',
  'delivery',
  'url',
  'secret',
  'headers',
  'retry',
  'schedule',
  'jitter',
  'filter',
  'types',
  'from',
  'to',
  'subscription',
  'rateLimit',
  'perSecond',
  'maxInFlight',
  'name',
  'scopes',
  'expiresAt',
  'deduplicationWindow',
  'description',
  'overlap',
  'topic',
  'reason',
  'since',
  'until',
  'retention',
  'partitions',
  '__proto__',
  'constructor',
];
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    'a',
    'latest',
    'earliest',
    '5s',
    'admin',
    'read:>',
    '2026-01-01T00:00:00Z',
    0,
    1,
    -1,
    1.5,
    1e308,
    2 ** 53,
    null,
    true,
    '',
    [],
  ),
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KNOWN_FIELDS), fc.string()), tie('value'), { maxKeys: 5 }),
  ),
}));
const document = fc.oneof(json, fc.dictionary(fc.constantFrom(...KNOWN_FIELDS), json, { minKeys: 1, maxKeys: 8 }));

const contentType = fc.constantFrom(
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/x-ndjson',
  'text/plain',
  'application/octet-stream',
  'application/json; charset=latin1',
  'multipart/form-data; boundary=x',
  'x',
  '',
);
const headerValue = fc.string({
  unit: fc
    .integer({ min: 0x20, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
  maxLength: 30,
});
const headers = fc.dictionary(
  fc.constantFrom(
    'ce-specversion',
    'ce-type',
    'ce-id',
    'ce-source',
    'ce-time',
    'ce-x',
    'ce-',
    'idempotency-key',
    'expected-last-sequence',
    'if-match',
    'accept',
    'traceparent',
    'x-request-id',
    'content-encoding',
    'deliver-at',
  ),
  fc.oneof(headerValue, fc.constantFrom('1.0', '0', '1', 'application/x-ndjson', '"v1"', '%0d%0a')),
  { maxKeys: 4 },
);
const query = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  fc
    .array(
      fc.tuple(
        fc.constantFrom(
          'limit',
          'cursor',
          'from',
          'after',
          'since',
          'until',
          'type',
          'order',
          'state',
          'topic',
          'status',
          'sequence',
          'force',
          'filter',
          'x',
        ),
        fc.oneof(word, fc.string(), fc.constantFrom('1', 'latest', 'W10', 'WyJhIl0', 'WzFd', 'bnVsbA')),
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map(
      (pairs) => `?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&')}`,
    ),
);
const body: fc.Arbitrary<Ask> = fc.oneof(
  document.map((value) => ({ body: JSON.stringify(value) ?? '' })),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => ({ body: Uint8Array.from(bytes) })),
  fc.string({ unit: 'binary' }).map((text) => ({ body: text })),
);
const ask = (method: string) =>
  fc.tuple(method === 'GET' ? fc.constant<Ask>({}) : body, contentType, headers).map(([one, type, more]) => ({
    ...one,
    headers: { 'content-type': type, ...more },
  }));

async function never500(method: string, path: string, one: Ask): Promise<void> {
  const answer = await me.ask(method, path, one);
  expect(answer.status, answer.text).not.toBe(500);
  expect(answer.status, answer.text).toBeLessThan(500);
  if (answer.status >= 400) {
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.as()).toMatchObject({ status: answer.status, code: expect.stringMatching(/^[a-z-]+$/) });
  }
}

describe('never a 500', () => {
  it('at every route of the OpenAPI document', { timeout: 120_000 }, async () => {
    const routes = Object.entries(me.contract.document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => [method.toUpperCase(), path] as const),
    );
    expect(routes.length).toBeGreaterThan(30);
    for (const [method, template] of routes) {
      const path = fc
        .tuple(fc.array(segment, { minLength: 3, maxLength: 3 }), query)
        .map(
          ([segments, search]) =>
            segments.reduce((filled, one) => filled.replace(/\{\w+\}/, () => one), template) + search,
        );
      const property = fc.asyncProperty(path, ask(method), (where, one) => never500(method, where, one));
      await fc.assert(property, { numRuns: RUNS_A_ROUTE });
      if (method === 'DELETE') await prepare();
    }
  });

  it('at addresses that no route has, with any method', async () => {
    const path = fc
      .array(fc.oneof(segment, fc.constantFrom('v1', 'topics', 'subscriptions', 'events', '')), { maxLength: 6 })
      .map((parts) => `/${parts.join('/')}`);
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND');
    await fc.assert(
      fc.asyncProperty(path, method, query, async (where, verb, search) => {
        const answer = await me.ask(verb, `${where.replace(/^\/\/+/, '/')}${search}`);
        expect(answer.status, answer.text).toBeLessThan(500);
      }),
      { numRuns: 100 },
    );
  });

  it('whatever the key', async () => {
    await fc.assert(
      fc.asyncProperty(headerValue, async (authorization) => {
        const answer = await me.with(null).get('/v1/topics', { headers: { authorization } });
        if (answer.status !== 200) answer.refused(401, 'unauthorized');
        else expect(authorization.trim()).toMatch(/^bearer +secret$/i);
      }),
      { numRuns: 60 },
    );
  });
});

describe('what is published is what is read', () => {
  it('whatever JSON the data is', async () => {
    let last = (await me.get('/v1/topics/a')).is<{ lastSequence: number }>(200).lastSequence;
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ stringUnit: 'grapheme' }),
        fc.constantFrom('application/json', 'application/cloudevents+json'),
        async (data, type) => {
          const [receipt] = await me.publish('a', { specversion: '1.0', type: 'any', data }, { 'content-type': type });
          last += 1;
          expect(receipt?.sequence).toBe(last);
          const event = (await me.get(`/v1/topics/a/events/${last}`)).is<{ data: unknown }>(200);
          expect(JSON.stringify(event.data)).toBe(JSON.stringify(data));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('whatever bytes the body is in binary mode', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const answer = await me.ask('POST', '/v1/topics/a/events', {
          body: Uint8Array.from(bytes),
          headers: { 'ce-specversion': '1.0', 'ce-type': 'bytes', 'content-type': 'application/octet-stream' },
        });
        const [receipt] = answer.is<{ events: { sequence: number }[] }>(201).events;
        const event = (await me.get(`/v1/topics/a/events/${receipt?.sequence}`)).is<{ data_base64: string }>(200);
        expect(event.data_base64).toBe(Buffer.from(bytes).toString('base64'));
      }),
      { numRuns: 60 },
    );
  });
});
