import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { all, type Stranger, startStranger } from './support/stranger.ts';

/** A subscription's document: every field, its default, and what is refused. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

interface Made {
  delivery: { secret?: string };
}
const minimal = (topics = ['orders']) => ({ topics, delivery: { url: receiver.url } });
const put = (name: string, document: unknown) => me.put(`/v1/subscriptions/${name}`, document);

const counts = {
  lag: 0,
  waiting: 0,
  pending: 0,
  inFlight: 0,
  retrying: 0,
  held: 0,
  delivered: 0,
  failed: 0,
  dead: 0,
  filtered: 0,
  skipped: 0,
  discarded: 0,
  deaths: {},
};

describe('PUT /v1/subscriptions/{name}', () => {
  it('answers with the configuration, every default in it, and the counts; the secret once', async () => {
    await me.publish('orders', { type: 'a' });
    const made = (await put('defaults', minimal())).is<Made>(201);
    const { secret = '' } = made.delivery;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{32,}=*$/);
    const expected = {
      name: 'defaults',
      topics: ['orders'],
      from: 'latest',
      filter: null,
      transform: null,
      ordering: 'none',
      maxInFlight: 64,
      retry: { schedule: ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'], jitter: 0.2 },
      disableAfter: '5d',
      attempts: { maxCount: 10_000, maxAge: '7d' },
      delivery: {
        kind: 'webhook',
        url: receiver.url,
        format: 'structured',
        timeout: '15s',
        headers: {},
        rateLimit: null,
        maxBatch: 1,
        handshake: false,
      },
      status: 'active',
      reason: null,
      createdAt: expect.stringMatching(/Z$/),
      updatedAt: expect.stringMatching(/Z$/),
      unanswered: 0,
      ...counts,
      cursor: 1,
      lagSeconds: 0,
      latency: { p50: null, p99: null },
      successRate: { hour: null, day: null },
      attempted: { hour: 0, day: 0 },
      health: { state: 'healthy', concurrency: 64, since: null, nextProbeAt: null, retryAfter: null },
    };
    expect(made).toEqual({ ...expected, delivery: { ...expected.delivery, secret } });
    expect((await me.get('/v1/subscriptions/defaults')).is(200)).toEqual(expected);
    expect((await all<{ name: string }>(me, '/v1/subscriptions')).find(({ name }) => name === 'defaults')).toEqual(
      expected,
    );
    expect((await put('defaults', minimal())).is(200)).toEqual({ ...expected, updatedAt: expect.any(String) });
    expect((await me.get('/v1/subscriptions/defaults/secret')).is(200)).toEqual({ secret });
  });

  it('takes every field, and a topic that does not exist', async () => {
    const document = {
      topics: ['not-there', 'billing.*', 'deep.>', '*.eu', '>'],
      from: 'earliest',
      filter: { types: ['order.*', '*.created', 'exact'] },
      ordering: 'none',
      maxInFlight: 5,
      retry: { schedule: ['500ms', '15s', '5m', '24h', '7d'], jitter: 0 },
      delivery: {
        kind: 'webhook',
        url: receiver.url,
        format: 'structured',
        timeout: '100ms',
        headers: { 'x-tenant': 'acme', authorization: 'Bearer abc' },
        secret: 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
        maxBatch: 1,
        handshake: false,
      },
    };
    const made = (await put('everything', document)).is<Made>(201);
    expect(made).toMatchObject(document);
    expect(made).toMatchObject({ cursor: null });
    expect(await api.subscription('not-there').catch(() => null)).toBeNull();
    (await me.delete('/v1/subscriptions/everything')).isEmpty();
  });

  it('replaces the whole document; an omitted secret stays, a given one replaces it', async () => {
    const { secret } = (await put('replaced', { ...minimal(), maxInFlight: 3 })).is<Made>(201).delivery;
    expect((await put('replaced', minimal())).is(200)).toMatchObject({ maxInFlight: 64 });
    expect((await me.get('/v1/subscriptions/replaced/secret')).is(200)).toEqual({ secret });
    const own = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
    const answer = await put('replaced', { ...minimal(), delivery: { url: receiver.url, secret: own } });
    expect(answer.is<Made>(200).delivery).not.toHaveProperty('secret');
    expect((await me.get('/v1/subscriptions/replaced/secret')).is(200)).toMatchObject({ secret: own });
  });

  it.each([
    ['earliest', 'earliest'],
    ['latest', 'latest'],
    [2, 2],
    ['2', 2],
    [{ sequence: 2 }, 2],
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
    [{ time: '2026-01-01T01:00:00+01:00' }, '2026-01-01T00:00:00.000Z'],
  ])('takes the position %j as from', async (from, shown) => {
    await me.publish('positions', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    const made = (await put('positioned', { ...minimal(['positions']), from })).is<{ from: unknown }>(201);
    if (typeof shown === 'string' && shown.includes('T')) expect(Date.parse(String(made.from))).toBe(Date.parse(shown));
    else expect(made.from).toBe(shown);
    (await me.delete('/v1/subscriptions/positioned')).isEmpty();
  });

  it('from ahead of the end is 400 position-ahead, one before the first 410 sequence-expired', async () => {
    await me.publish('short', [{ type: 'a' }, { type: 'b' }]);
    (await put('ahead', { ...minimal(['short']), from: 4 })).refused(400, 'position-ahead');
    (await put('ahead', { ...minimal(['short']), from: 100 })).refused(400, 'position-ahead');
    (await me.delete('/v1/topics/short')).isEmpty();
    await me.publish('short', { type: 'c' });
    expect((await put('ahead', { ...minimal(['short']), from: 1 })).refused(410, 'sequence-expired')).toMatchObject({
      firstSequence: 3,
    });
    (await me.get('/v1/subscriptions/ahead')).refused(404, 'unknown-subscription');
  });
});

describe('what a subscription refuses', () => {
  const delivery = (change: object) => ({ topics: ['orders'], delivery: { url: receiver.url, ...change } });
  const cases: [string, () => object, string][] = [
    ['no topics', () => ({ delivery: { url: receiver.url } }), 'topics'],
    ['an empty list of topics', () => minimal([]), 'topics'],
    ['topics that are a string', () => ({ ...minimal(), topics: 'orders' }), 'topics'],
    ['a bad topic name', () => minimal(['Orders']), 'topics[0]'],
    ['a > that is not last', () => minimal(['ok', 'a.>.b']), 'topics[1]'],
    ['a * within a token', () => minimal(['ord*']), 'topics[0]'],
    ['an empty token', () => minimal(['a..b']), 'topics[0]'],
    ['a bad position', () => ({ ...minimal(), from: 'soon' }), 'from'],
    ['a negative position', () => ({ ...minimal(), from: -1 }), 'from'],
    [
      'a position with two forms',
      () => ({ ...minimal(), from: { sequence: 1, time: '2026-01-01T00:00:00Z' } }),
      'from',
    ],
    ['a filter that is a list', () => ({ ...minimal(), filter: ['a'] }), 'filter'],
    ['types that are no strings', () => ({ ...minimal(), filter: { types: [1] } }), 'filter.types[0]'],
    ['an empty type', () => ({ ...minimal(), filter: { types: [''] } }), 'filter.types[0]'],
    ['maxInFlight 0', () => ({ ...minimal(), maxInFlight: 0 }), 'maxInFlight'],
    ['maxInFlight 1.5', () => ({ ...minimal(), maxInFlight: 1.5 }), 'maxInFlight'],
    ['maxInFlight as text', () => ({ ...minimal(), maxInFlight: '5' }), 'maxInFlight'],
    ['a schedule of numbers', () => ({ ...minimal(), retry: { schedule: [5] } }), 'retry.schedule[0]'],
    [
      'a schedule with a bad duration',
      () => ({ ...minimal(), retry: { schedule: ['5s', '5 s'] } }),
      'retry.schedule[1]',
    ],
    ['jitter over 1', () => ({ ...minimal(), retry: { jitter: 1.1 } }), 'retry.jitter'],
    ['jitter below 0', () => ({ ...minimal(), retry: { jitter: -0.1 } }), 'retry.jitter'],
    ['no delivery', () => ({ topics: ['orders'] }), 'delivery'],
    ['no url', () => ({ topics: ['orders'], delivery: { kind: 'webhook' } }), 'delivery.url'],
    ['an url that is none', () => delivery({ url: 'nowhere' }), 'delivery.url'],
    ['an url that is a number', () => delivery({ url: 7 }), 'delivery.url'],
    ['a timeout under 100ms', () => delivery({ timeout: '99ms' }), 'delivery.timeout'],
    ['a timeout over 30s', () => delivery({ timeout: '31s' }), 'delivery.timeout'],
    ['a timeout that is none', () => delivery({ timeout: '15' }), 'delivery.timeout'],
    [
      'a secret without whsec_',
      () => delivery({ secret: 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=' }),
      'delivery.secret',
    ],
    ['a secret that is too short', () => delivery({ secret: 'whsec_YWJj' }), 'delivery.secret'],
    ['a header name with a space', () => delivery({ headers: { 'x y': 'a' } }), 'delivery.headers.x y'],
    ['a header value with a line break', () => delivery({ headers: { 'x-a': 'a\r\nx-b: c' } }), 'delivery.headers.x-a'],
    [
      'a header the hub sets',
      () => delivery({ headers: { 'webhook-signature': 'v1,x' } }),
      'delivery.headers.webhook-signature',
    ],
    ['a header of the connection', () => delivery({ headers: { host: 'evil' } }), 'delivery.headers.host'],
    ['an unknown field', () => ({ ...minimal(), colour: 'red' }), 'colour'],
  ];

  it.each(cases)('%s, named', async (_, document, path) => {
    (await put('refused', document())).refused(400, null, path);
    (await me.get('/v1/subscriptions/refused')).refused(404, 'unknown-subscription');
  });

  it.each([
    'http://example.com/hook',
    'ftp://example.com/',
    'https://user:pass@example.com/',
    'https://10.0.0.1/',
    'https://192.168.1.1/',
    'https://172.16.0.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://[fc00::1]/',
    'https://[fe80::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'https://0x0a000001/',
    'https://167772161/',
    'https://10.1/',
    'https://service.internal/',
    'https://printer.local/',
    'https://intranet/',
  ])('the url %s: a webhook cannot be pointed inside', async (url) => {
    (await put('refused', delivery({ url }))).refused(400, null, 'delivery.url');
  });

  it.each(['https://example.com/hook', 'https://hooks.example.com:8443/a?b=c', 'https://[2606:4700::1111]/'])(
    'but not the public url %s',
    async (url) => {
      (await put('public', delivery({ url }))).is(201);
      (await me.delete('/v1/subscriptions/public')).isEmpty();
    },
  );

  it('the hub itself', async () => {
    (await put('refused', delivery({ url: `${me.url}/v1/topics/orders/events` }))).refused(400, null, 'delivery.url');
  });

  it.each([{ perSecond: 50 }, { perMinute: 100 }, null])('a rate limit is none of it: %j', async (rateLimit) => {
    const made = await put('limited', delivery({ rateLimit }));
    expect(made.is<{ delivery: object }>(201).delivery).toMatchObject({ rateLimit });
    (await me.delete('/v1/subscriptions/limited')).isEmpty();
  });

  it.each([
    { kind: 'queue', binding: 'BILLING_QUEUE' },
    { kind: 'service', binding: 'BILLING' },
  ])('a binding that the hub does not have: %j', async (given) => {
    (await put('refused', { topics: ['orders'], delivery: given })).refused(400, null, 'delivery.binding');
  });

  it.each([
    ['delivery.kind', { kind: 'pigeon' }],
    ['delivery.format', { format: 'xml' }],
    ['delivery.rateLimit', { rateLimit: 50 }],
    ['delivery.rateLimit', { rateLimit: { perSecond: 5, perMinute: 100 } }],
    ['delivery.maxBatch', { maxBatch: '10' }],
    ['delivery.maxBatch', { maxBatch: 10 }],
    ['delivery.maxBatch', { format: 'batch', maxBatch: 51 }],
    ['delivery.handshake', { handshake: 'yes' }],
  ])('%s was never promised: %j', async (path, change) => {
    (await put('refused', delivery(change))).refused(400, 'invalid-request', path);
  });
});

describe('the routes of a subscription that is not there', () => {
  it.each(['pause', 'resume', 'test', 'rotate-secret'])('POST …/%s is 404', async (action) => {
    (await me.post(`/v1/subscriptions/nobody/${action}`, {})).refused(404, 'unknown-subscription');
  });
  it.each(['', '/topics', '/secret', '/attempts'])('GET …%s is 404', async (path) => {
    (await me.get(`/v1/subscriptions/nobody${path}`)).refused(404, 'unknown-subscription');
  });
  it('seek and DELETE are 404', async () => {
    (await me.post('/v1/subscriptions/nobody/seek', { to: 'earliest' })).refused(404, 'unknown-subscription');
    (await me.delete('/v1/subscriptions/nobody')).refused(404, 'unknown-subscription');
  });
});

describe('DELETE /v1/subscriptions/{name}', () => {
  it('ends it: it is listed no more, and made again it begins anew', async () => {
    const first = (await put('deleted', minimal(['deleted-topic']))).is<Made>(201);
    await me.publish('deleted-topic', { type: 'a' });
    await eventually('it is delivered', async () => (await api.subscription('deleted')).delivered === 1);
    (await me.delete('/v1/subscriptions/deleted')).isEmpty();
    await eventually('it is listed no more', async () => {
      return !(await all<{ name: string }>(me, '/v1/subscriptions')).some(({ name }) => name === 'deleted');
    });
    await put('witness', minimal(['deleted-topic']));
    await me.publish('deleted-topic', { type: 'b' });
    await eventually('another one has it', async () => (await api.subscription('witness')).delivered === 1);
    expect(receiver.book.filter(({ topic, sequence }) => topic === 'deleted-topic' && sequence === 2)).toHaveLength(1);
    const second = (await put('deleted', minimal(['deleted-topic']))).is<Made>(201);
    expect(second).toMatchObject(counts);
    expect(second.delivery.secret).not.toBe(first.delivery.secret);
  });
});
