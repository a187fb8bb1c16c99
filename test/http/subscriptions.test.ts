import { beforeEach, describe, expect, it } from 'vitest';
import { NAMED_PAGE_MAX } from '../../src/http/named-page.ts';
import { withoutSecret } from '../../src/subscriptions/delivery-kinds.ts';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import type { SubscriptionView } from '../../src/subscriptions/protocol-views.ts';
import { target } from '../deliveries/consumer-bench.ts';
import { FakeHub } from './fake-hub.ts';
import { configurationOf, documentOf, subscriptionView, WEBHOOK } from './views.ts';

const SECRET = `whsec_${btoa('a secret of thirty-two bytes !!!')}`;
const PAIR = 'whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==';
const PUBLIC_KEY = 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=';
const HOUR_MS = 3_600_000;

const DOCUMENT = documentOf(['orders']);

function view(document: SubscriptionDocument = DOCUMENT, changes: Partial<SubscriptionView> = {}): SubscriptionView {
  const shown = { ...document, delivery: withoutSecret(document.delivery) };
  return subscriptionView('billing', [], { document: shown, ...changes });
}

const MINIMAL = { topics: ['orders'], delivery: { url: 'https://billing.example.net/hook' } };

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  hub.subscription('billing').put.mockImplementation(async ({ document }) => ({
    outcome: 'created',
    view: view(document),
    secret: document.delivery.kind === 'webhook' ? (document.delivery.secret ?? SECRET) : null,
  }));
});

const put = (body: unknown, options?: Parameters<FakeHub['call']>[3]) =>
  hub.call('PUT', '/v1/subscriptions/billing', body, options);

const documentPut = () => hub.subscription('billing').put.mock.lastCall?.[0].document;

describe('PUT /v1/subscriptions/{name}', () => {
  it('fills in every default and shows the secret once', async () => {
    const made = await put(MINIMAL);
    expect(made.status).toBe(201);
    expect(made.headers.get('etag')).toBe('"e1"');
    expect(documentPut()).toEqual(DOCUMENT);
    expect(made.body).toMatchObject({
      name: 'billing',
      topics: ['orders'],
      from: 'latest',
      filter: null,
      transform: null,
      ordering: 'none',
      maxInFlight: 64,
      retry: { schedule: ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'], jitter: 0.2 },
      delivery: {
        kind: 'webhook',
        url: 'https://billing.example.net/hook',
        format: 'structured',
        timeout: '15s',
        headers: {},
        secret: SECRET,
        rateLimit: null,
        maxBatch: 1,
        handshake: false,
      },
      status: 'active',
      reason: null,
      createdAt: '2026-11-23T00:00:00.000Z',
      cursor: 7,
      latency: { p50: 12, p99: null },
    });
  });

  it('takes back what a GET gave, unchanged, with all that is read-only', async () => {
    const rich: SubscriptionDocument = {
      ...DOCUMENT,
      topics: ['orders', 'billing.*', 'audit.>'],
      from: { kind: 'time', time: Date.UTC(2026, 0, 2) },
      filter: { types: ['order.*'], cel: null },
      retry: { scheduleMs: [10, 0, 7 * 24 * HOUR_MS], jitter: 0 },
      delivery: {
        ...WEBHOOK,
        timeoutMs: 100,
        headers: { Authorization: 'Bearer x' },
        rateLimit: { count: 90, spanMs: 60_000 },
      },
    };
    const billing = hub.subscription('billing');
    billing.describe.mockResolvedValue(view(rich));
    billing.put.mockImplementation(async ({ document }) => ({
      outcome: 'replaced',
      view: view(document),
      secret: SECRET,
    }));
    const got = await hub.call('GET', '/v1/subscriptions/billing');
    expect(got.text).not.toContain('whsec_');
    const again = await put(got.body);
    expect(again).toMatchObject({ status: 200, body: got.body });
    expect(again.text).not.toContain('whsec_');
    expect(documentPut()).toEqual(rich);
    const nonsense = { name: 'another', status: 7, lag: 'much', etag: null };
    expect(await put({ ...got.body, ...nonsense })).toMatchObject({ status: 200, body: got.body });
    expect(documentPut()).toEqual(rich);
  });

  it.each([
    ['a number', 42, { kind: 'sequence', sequence: 42 }, 42],
    ['digits', '42', { kind: 'sequence', sequence: 42 }, 42],
    ['an object', { sequence: 42 }, { kind: 'sequence', sequence: 42 }, 42],
    ['earliest', 'earliest', { kind: 'earliest' }, 'earliest'],
    ['a time', '2026-01-02T00:00:00Z', { kind: 'time', time: Date.UTC(2026, 0, 2) }, '2026-01-02T00:00:00.000Z'],
  ])('reads and echoes a position that is %s', async (_, from, position, echoed) => {
    const made = await put({ ...MINIMAL, from });
    expect(documentPut()?.from).toEqual(position);
    expect(made.body.from).toEqual(echoed);
  });

  it.each([
    ['an unknown field', { ...MINIMAL, topic: 'x' }, 'topic'],
    ['an unknown field of delivery', { ...MINIMAL, delivery: { ...MINIMAL.delivery, uri: 'x' } }, 'delivery.uri'],
    ['no topics', { ...MINIMAL, topics: [] }, 'topics'],
    ['a bad pattern', { ...MINIMAL, topics: ['orders', 'a..b'] }, 'topics[1]'],
    ['no delivery', { topics: ['orders'] }, 'delivery'],
    ['no url', { topics: ['orders'], delivery: {} }, 'delivery.url'],
    ['a url of another type', { topics: ['orders'], delivery: { url: 1 } }, 'delivery.url'],
    ['a relative url', { topics: ['orders'], delivery: { url: '/hook' } }, 'delivery.url'],
    ['a bad position', { ...MINIMAL, from: 'newest' }, 'from'],
    ['a bad duration', { ...MINIMAL, retry: { schedule: ['5s', '5 minutes'] } }, 'retry.schedule[1]'],
    ['too long a wait', { ...MINIMAL, retry: { schedule: ['8d'] } }, 'retry.schedule[0]'],
    ['too many waits', { ...MINIMAL, retry: { schedule: Array(101).fill('1s') } }, 'retry.schedule'],
    ['jitter over 1', { ...MINIMAL, retry: { jitter: 1.5 } }, 'retry.jitter'],
    ['too short a timeout', { ...MINIMAL, delivery: { ...MINIMAL.delivery, timeout: '99ms' } }, 'delivery.timeout'],
    ['too long a timeout', { ...MINIMAL, delivery: { ...MINIMAL.delivery, timeout: '31s' } }, 'delivery.timeout'],
    ['nothing in flight', { ...MINIMAL, maxInFlight: 0 }, 'maxInFlight'],
    ['a bad secret', { ...MINIMAL, delivery: { ...MINIMAL.delivery, secret: 'whsec_short' } }, 'delivery.secret'],
    ['a header of the hub', withHeader('Webhook-Id', 'x'), 'delivery.headers.Webhook-Id'],
    ['a hop-by-hop header', withHeader('connection', 'close'), 'delivery.headers.connection'],
    ['a header with a line break', withHeader('x-team', 'a\r\nb: c'), 'delivery.headers.x-team'],
    ['an ordering that there is not', { ...MINIMAL, ordering: 'x' }, 'ordering'],
    ['a batch without its format', { ...MINIMAL, delivery: { ...MINIMAL.delivery, maxBatch: 2 } }, 'delivery.maxBatch'],
    ['an empty batch', batchOf(0), 'delivery.maxBatch'],
    ['headers for a whole batch', { ...batchOf(2), transform: { headers: '{}' } }, 'transform.headers'],
    ['too large a batch', batchOf(51), 'delivery.maxBatch'],
    ['a rate of nothing', withRate({ perSecond: 0 }), 'delivery.rateLimit.perSecond'],
    ['a rate of half a request', withRate({ perMinute: 1.5 }), 'delivery.rateLimit'],
    ['a rate in two spans', withRate({ perSecond: 1, perMinute: 2 }), 'delivery.rateLimit'],
    ['a rate of another span', withRate({ perHour: 2 }), 'delivery.rateLimit'],
    ['an empty type', { ...MINIMAL, filter: { types: [''] } }, 'filter.types[0]'],
    ['a mistake in a filter', { ...MINIMAL, filter: { cel: 'data.amount >' } }, 'filter.cel'],
    ['a filter that is not true or false', { ...MINIMAL, filter: { cel: 'size(type)' } }, 'filter.cel'],
    ['too long a filter', { ...MINIMAL, filter: { cel: `type == "${'x'.repeat(2_048)}"` } }, 'filter.cel'],
    ['a mistake in a transform', { ...MINIMAL, transform: 'data.(' }, 'transform'],
    ['a mistake in a part of a transform', { ...MINIMAL, transform: { path: '$nope()' } }, 'transform.path'],
    ['an unknown part of a transform', { ...MINIMAL, transform: { body: 'data' } }, 'transform.body'],
    ['a transform that is no text', { ...MINIMAL, transform: 7 }, 'transform'],
    ['a path for a whole batch', { ...batchOf(2), transform: { path: '"/"' } }, 'transform.path'],
  ])('refuses %s, and names it', async (_, body, path) => {
    const refused = await put(body);
    expect(refused.status).toBe(400);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body.errors).toEqual(expect.arrayContaining([expect.objectContaining({ path })]));
    expect(hub.subscription('billing').put).not.toHaveBeenCalled();
  });

  it('takes expressions, and says where a mistake in one is', async () => {
    const filter = { types: ['order.*'], cel: 'data.amount > 100' };
    const made = await put({ ...MINIMAL, filter, transform: 'data.id' });
    expect(made).toMatchObject({
      status: 201,
      body: { filter, transform: { data: 'data.id', headers: null, path: null } },
    });
    // As a GET returns it.
    expect(await put({ ...MINIMAL, transform: { data: null, headers: null, path: '"/x"' } })).toMatchObject({
      body: { transform: { data: null, headers: null, path: '"/x"' } },
    });
    expect((await put({ ...MINIMAL, filter: null, transform: {} })).body).toMatchObject({
      filter: null,
      transform: null,
    });
    const tooLong = await put({
      ...MINIMAL,
      filter: { cel: ' '.repeat(2_049) },
      transform: { data: '('.repeat(8_193) },
    });
    expect(tooLong.body.errors).toEqual([
      { path: 'filter.cel', message: 'must have at most 2048 characters' },
      { path: 'transform.data', message: 'must have at most 8192 characters' },
    ]);
    const list = await put({ ...MINIMAL, transform: ['data'] });
    expect(list.body.errors).toEqual([{ path: 'transform', message: expect.stringContaining('must be JSONata') }]);
    const refused = await put({ ...MINIMAL, filter: { cel: 'data.amount > 1 &&\n foo(1)' }, transform: 'data +' });
    expect(refused.body.errors).toEqual([
      { path: 'filter.cel', message: 'unknown function foo at line 2, column 2' },
      { path: 'transform', message: 'Unexpected end of expression at line 1, column 7' },
    ]);
  });

  it.each(['queue', 'service'])(
    'P8 refuses a binding of the kind %s that is not there, and names those that are',
    async (kind) => {
      hub.bindings.queues.set('MAIL_QUEUE', { sendBatch: async () => undefined });
      hub.bindings.services.set('BILLING', { handle: async () => undefined, fetch: async () => new Response() });
      const [own, other] = kind === 'queue' ? ['MAIL_QUEUE', 'BILLING'] : ['BILLING', 'MAIL_QUEUE'];
      for (const binding of ['GONE', other]) {
        const refused = await put({ ...MINIMAL, delivery: { kind, binding } });
        const message = expect.stringMatching(new RegExp(`has no ${kind} binding "${binding}".*it has: ${own}\\.`));
        expect(refused).toMatchObject({
          status: 400,
          body: { code: 'invalid-request', errors: [{ path: 'delivery.binding', message }] },
        });
      }
      expect(documentPut()).toBeUndefined();
      const made = await put({ ...MINIMAL, delivery: { kind, binding: own } });
      expect(made).toMatchObject({ status: 201, body: { delivery: { kind, binding: own } } });
      expect(made.body.delivery).not.toHaveProperty('secret');
    },
  );

  it.each([
    ['filter.cel', { ...MINIMAL, filter: { cel: 1 } }],
    ['transform', { ...MINIMAL, transform: ['data'] }],
    ['delivery.kind', { ...MINIMAL, delivery: { ...MINIMAL.delivery, kind: 'x' } }],
    ['delivery.format', { ...MINIMAL, delivery: { ...MINIMAL.delivery, format: 'x' } }],
    ['delivery.maxBatch', { ...MINIMAL, delivery: { ...MINIMAL.delivery, maxBatch: 0 } }],
    ['delivery.handshake', { ...MINIMAL, delivery: { ...MINIMAL.delivery, handshake: 'yes' } }],
  ])('says of %s that a value nobody promised is wrong', async (path, body) => {
    const refused = await put(body);
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid-request', errors: [{ path }] } });
  });

  it.each([
    'http://billing.example.net/',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://hub.example.com/',
    'https://hub.example.com:8443/v1/topics/orders/events',
    'https://user:pass@billing.example.net/',
  ])('P7: points no webhook at %s', async (url) => {
    const refused = await put({ ...MINIMAL, delivery: { url } });
    expect(refused).toMatchObject({
      status: 400,
      body: { code: 'url-not-allowed', errors: [{ path: 'delivery.url' }] },
    });
    expect(refused.text).not.toContain('user:pass');
  });

  it('needs the subscription and read on every pattern it names', async () => {
    const body = { ...MINIMAL, topics: ['orders', 'billing.*'] };
    const lacksRead = await put(body, { key: hub.keyWith('subscriptions:billing*', 'read:orders') });
    expect(lacksRead).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(lacksRead.body.detail).toContain('read:billing.*');
    const lacksName = await put(body, { key: hub.keyWith('subscriptions:email', 'read:>') });
    expect(lacksName.status).toBe(403);
    expect(hub.subscription('billing').put).not.toHaveBeenCalled();
    expect((await put(body, { key: hub.keyWith('subscriptions:billing*', 'read:>') })).status).toBe(201);
    // A wildcard never stands for the hub's own topics.
    const own = await put(
      { ...MINIMAL, topics: ['millrace.system'] },
      { key: hub.keyWith('subscriptions:*', 'read:>') },
    );
    expect(own.status).toBe(403);
  });

  describe('to a binding', () => {
    const BOUND = { ...MINIMAL, delivery: { kind: 'queue', binding: 'MAIL_QUEUE' } };
    const OWN = ['subscriptions:billing', 'read:>'];
    let own: { key: string };

    /** As it is there: what `body` makes. */
    const isThere = async (body: object, etag = 'e1') => {
      await put(body);
      const document = documentPut() ?? expect.fail('It was not put.');
      hub.subscription('billing').put.mockClear();
      hub.subscription('billing').configuration.mockResolvedValue({ document, etag, paused: false });
    };

    beforeEach(() => {
      hub.bindings.queues.set('MAIL_QUEUE', { sendBatch: async () => undefined });
      hub.bindings.queues.set('OTHER_QUEUE', { sendBatch: async () => undefined });
      hub.bindings.services.set('BILLING', { handle: async () => undefined, fetch: async () => new Response() });
      own = { key: hub.keyWith(...OWN) };
    });

    it.each([
      ['queue', 'MAIL_QUEUE'],
      ['service', 'BILLING'],
    ])('P7 needs its scope to be made, of the kind %s', async (kind, binding) => {
      const body = { ...MINIMAL, delivery: { kind, binding } };
      for (const more of [[], ['bindings:OTHER_*'], ['bindings:mail_queue']]) {
        const refused = await put(body, { key: hub.keyWith(...OWN, ...more) });
        const detail = expect.stringContaining(`lacks the scope bindings:${binding}`);
        expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden', detail } });
      }
      expect(documentPut()).toBeUndefined();
      expect((await put(body, { key: hub.keyWith(...OWN, `bindings:${binding.slice(0, 2)}*`) })).status).toBe(201);
      expect((await put(MINIMAL, own)).status).toBe(201);
    });

    it('P7 is refused alike whether there is such a binding or not, to whom it is not granted', async () => {
      const detail = async (binding: string) => {
        const refused = await put({ ...MINIMAL, delivery: { kind: 'queue', binding } }, own);
        expect(refused.status).toBe(403);
        return String(refused.body.detail).replace(binding, 'X');
      };
      expect(await detail('GONE')).toBe(await detail('MAIL_QUEUE'));
      const known = await put(
        { ...MINIMAL, delivery: { kind: 'queue', binding: 'GONE' } },
        { key: hub.keyWith(...OWN, 'bindings:*') },
      );
      expect(known.status).toBe(400);
    });

    it.each([
      ['its rate', { delivery: { ...BOUND.delivery, rateLimit: { perSecond: 1 } } }],
      ['its confirmation', { delivery: { ...BOUND.delivery, confirm: true } }],
      ['its retries', { retry: { schedule: ['1s'] } }],
      ['its place in a topic that it has', { from: 'earliest' }],
      ['nothing', {}],
    ])('can be changed without its scope in %s', async (_, changes) => {
      await isThere(BOUND);
      expect((await put({ ...BOUND, ...changes }, own)).status).toBeLessThan(300);
      // What was looked at is what is changed.
      expect(hub.subscription('billing').put.mock.lastCall?.[0].ifMatch).toBe('e1');
    });

    it.each([
      ['another binding', { delivery: { kind: 'queue', binding: 'OTHER_QUEUE' } }],
      ['another kind', { delivery: { kind: 'service', binding: 'MAIL_QUEUE' } }],
      ['another topic', { topics: ['secret'] }],
      ['one more topic', { topics: ['orders', 'more'] }],
      ['other events of its topics', { filter: { types: ['order.paid'] } }],
      ['other data', { transform: '{ "amount": 1000000 }' }],
    ])('P7 can not be given %s without its scope', async (_, changes) => {
      await isThere(BOUND);
      const body = { ...BOUND, ...changes };
      const refused = await put(body, own);
      expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden' } });
      expect(refused.body.detail).toContain(`lacks the scope bindings:${body.delivery.binding}`);
      expect(documentPut()).toBeUndefined();
    });

    it('P7 can not be called in another way without its scope', async () => {
      const service = { ...MINIMAL, delivery: { kind: 'service', binding: 'BILLING' } };
      await isThere(service);
      expect((await put({ ...service, delivery: { ...service.delivery, call: 'fetch' } }, own)).status).toBe(403);
      expect((await put({ ...service, delivery: { ...service.delivery, timeout: '1s' } }, own)).status).toBe(201);
    });

    it('P7 is not brought back by who has only seen it, where it was taken away meanwhile', async () => {
      await isThere(BOUND);
      const billing = hub.subscription('billing');
      billing.put.mockImplementationOnce(async () => {
        billing.configuration.mockResolvedValue({ document: DOCUMENT, etag: 'e2', paused: false });
        return { outcome: 'precondition-failed' };
      });
      expect(await put({ ...BOUND, maxInFlight: 1 }, own)).toMatchObject({ status: 403 });
      billing.configuration.mockResolvedValue(null);
      expect(await put({ ...BOUND, maxInFlight: 1 }, own)).toMatchObject({ status: 403 });
      await isThere(BOUND, 'e3');
      const guarded = { ...own, headers: { 'if-match': '"e1"' } };
      billing.put.mockResolvedValueOnce({ outcome: 'precondition-failed' });
      expect(await put({ ...BOUND, maxInFlight: 1 }, guarded)).toMatchObject({ status: 412 });
      expect(billing.put.mock.lastCall?.[0].ifMatch).toBe('e1');
    });

    it('can be left by who may only change the subscription', async () => {
      await isThere(BOUND);
      expect((await put(MINIMAL, own)).status).toBeLessThan(300);
    });
  });

  it('turns every refusal of the subscription into its problem', async () => {
    const { put: answer } = hub.subscription('billing');
    answer.mockResolvedValueOnce({ outcome: 'precondition-failed' });
    const guarded = await put(MINIMAL, { headers: { 'if-match': '"e0"' } });
    expect(guarded).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect(answer.mock.lastCall?.[0].ifMatch).toBe('e0');
    const anything = { headers: { 'if-match': '*' } };
    const calls = answer.mock.calls.length;
    expect((await put(MINIMAL, anything)).status).toBe(412);
    expect(answer.mock.calls).toHaveLength(calls);
    // Changed between the look and the change: it is still there, and looked at again.
    hub
      .subscription('billing')
      .configuration.mockResolvedValueOnce({ document: DOCUMENT, etag: 'e0', paused: false })
      .mockResolvedValueOnce({ document: DOCUMENT, etag: 'e1', paused: false });
    answer.mockResolvedValueOnce({ outcome: 'precondition-failed' });
    expect((await put(MINIMAL, anything)).status).toBeLessThan(300);
    expect(answer.mock.lastCall?.[0].ifMatch).toBe('e1');
    answer.mockResolvedValueOnce({ outcome: 'position-ahead', topic: 'orders', lastSequence: 5 });
    expect(await put(MINIMAL)).toMatchObject({ status: 400, body: { code: 'position-ahead', lastSequence: 5 } });
    answer.mockResolvedValueOnce({ outcome: 'sequence-expired', topic: 'orders', firstSequence: 9 });
    expect(await put(MINIMAL)).toMatchObject({ status: 410, body: { code: 'sequence-expired', firstSequence: 9 } });
    answer.mockResolvedValueOnce({ outcome: 'unavailable', detail: 'D1 is away.' });
    expect(await put(MINIMAL)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  });
});

function batchOf(maxBatch: number) {
  return { ...MINIMAL, delivery: { ...MINIMAL.delivery, format: 'batch', maxBatch } };
}

function withRate(rateLimit: Record<string, number>) {
  return { ...MINIMAL, delivery: { ...MINIMAL.delivery, rateLimit } };
}

function withHeader(name: string, value: string) {
  return { ...MINIMAL, delivery: { ...MINIMAL.delivery, headers: { [name]: value } } };
}

describe('a subscription', () => {
  it.each([
    ['GET', ''],
    ['DELETE', ''],
    ['GET', '/topics'],
    ['POST', '/pause'],
    ['POST', '/resume'],
    ['POST', '/test'],
    ['GET', '/secret'],
    ['POST', '/rotate-secret'],
    ['GET', '/attempts'],
    ['POST', '/seek', { to: 'latest' }],
  ])(
    'is 404 to %s %s where there is none, and 403 before that without its scope',
    async (method, path, body?: object) => {
      const url = `/v1/subscriptions/nobody${path}`;
      expect(await hub.call(method, url, body)).toMatchObject({ status: 404, body: { code: 'unknown-subscription' } });
      const refused = await hub.call(method, url, body, { key: hub.keyWith('subscriptions:billing-*', 'read:>') });
      expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    },
  );

  it('is listed by name where the key may see it, and left out where it is gone already', async () => {
    const names = ['billing-a', 'billing-b', 'billing-c', 'email'];
    for (const name of names) {
      await hub.d1.prepare('INSERT INTO subscriptions (name, created_at, version) VALUES (?, 1, 1)').bind(name).run();
      if (name !== 'billing-b') hub.subscription(name).describe.mockResolvedValue(view(DOCUMENT, { name }));
    }
    const key = hub.keyWith('subscriptions:billing-*');
    const first = await hub.call('GET', '/v1/subscriptions?limit=2', undefined, { key });
    expect(first.body).toMatchObject({ items: [{ name: 'billing-a' }], next: expect.any(String) });
    const second = await hub.call('GET', `/v1/subscriptions?limit=2&cursor=${first.body.next}`, undefined, { key });
    expect(second.body).toMatchObject({ items: [{ name: 'billing-c' }], next: null });
  });

  it('is in a list that asks so many objects and no more, and says where it goes on', async () => {
    const names = Array.from({ length: NAMED_PAGE_MAX + 1 }, (_, index) => `s${String(index).padStart(4, '0')}`);
    for (const name of names) {
      await hub.d1.prepare('INSERT INTO subscriptions (name, created_at, version) VALUES (?, 1, 1)').bind(name).run();
      hub.subscription(name).describe.mockResolvedValue(view(DOCUMENT, { name }));
    }
    const first = await hub.call('GET', '/v1/subscriptions?limit=1000');
    expect(first.body).toMatchObject({ items: { length: NAMED_PAGE_MAX }, next: expect.any(String) });
    expect(hub.subscription(names.at(-1) ?? '').describe).not.toHaveBeenCalled();
    const second = await hub.call('GET', `/v1/subscriptions?limit=1000&cursor=${first.body.next}`);
    expect(second.body).toMatchObject({ items: [{ name: names.at(-1) }], next: null });
  });

  it('is paused, resumed and deleted', async () => {
    const billing = hub.subscription('billing');
    billing.pause.mockResolvedValue(view(DOCUMENT, { status: 'paused' }));
    billing.resume.mockResolvedValue(view());
    billing.remove.mockResolvedValue(true);
    expect(await hub.call('POST', '/v1/subscriptions/billing/pause')).toMatchObject({
      status: 200,
      body: { status: 'paused' },
    });
    expect(await hub.call('POST', '/v1/subscriptions/billing/resume')).toMatchObject({
      status: 200,
      body: { status: 'active' },
    });
    expect(await hub.call('DELETE', '/v1/subscriptions/billing')).toMatchObject({ status: 204, text: '' });
    await Promise.all(hub.background);
    expect(hub.d1.query('SELECT action FROM audit ORDER BY action').map(({ action }) => action)).toEqual([
      'subscription.delete',
      'subscription.pause',
      'subscription.resume',
    ]);
  });

  it('is sought to a position, by a key that may read its topics', async () => {
    const billing = hub.subscription('billing');
    billing.configuration.mockResolvedValue(configurationOf(view()));
    billing.seek.mockResolvedValue({ outcome: 'sought', topics: [{ topic: 'orders', cursor: 4, skipped: 3 }] });
    const seek = (body: object, key?: string) =>
      hub.call('POST', '/v1/subscriptions/billing/seek', body, key === undefined ? {} : { key });
    expect(await seek({ to: 5, topic: 'orders' })).toMatchObject({
      status: 200,
      body: { topics: [{ topic: 'orders', cursor: 4, skipped: 3 }] },
    });
    expect(billing.seek).toHaveBeenLastCalledWith({ topic: 'orders', to: { kind: 'sequence', sequence: 5 } });
    expect((await seek({ to: 5 }, hub.keyWith('subscriptions:billing'))).status).toBe(403);
    expect((await seek({})).status).toBe(400);
    billing.seek.mockResolvedValue({ outcome: 'topic-required' });
    expect(await seek({ to: 5 })).toMatchObject({ status: 400, body: { errors: [{ path: 'topic' }] } });
    billing.seek.mockResolvedValue({ outcome: 'topic-not-subscribed' });
    expect(await seek({ to: 5, topic: 'x' })).toMatchObject({ status: 409, body: { code: 'topic-not-subscribed' } });
    billing.seek.mockResolvedValue({ outcome: 'position-ahead', topic: 'orders', lastSequence: 2 });
    expect(await seek({ to: 5 })).toMatchObject({ status: 400, body: { code: 'position-ahead', lastSequence: 2 } });
  });

  it('shows where it stands in each topic, page by page', async () => {
    const standing = (topic: string) => ({
      topic,
      status: 'active' as const,
      cursor: 1,
      lastSequence: 2,
      lag: 1,
      pending: 0,
    });
    hub.subscription('billing').topics.mockResolvedValue(['c', 'a', 'b'].map(standing));
    const first = await hub.call('GET', '/v1/subscriptions/billing/topics?limit=2');
    expect(first.body.items).toEqual([standing('a'), standing('b')]);
    const second = await hub.call('GET', `/v1/subscriptions/billing/topics?limit=2&cursor=${first.body.next}`);
    expect(second.body).toEqual({ items: [standing('c')], next: null });
  });

  it('gives its secrets to whoever asks for them by name, and rotates them', async () => {
    const billing = hub.subscription('billing');
    billing.secret.mockResolvedValue({ secret: SECRET, previous: null });
    expect((await hub.call('GET', '/v1/subscriptions/billing/secret')).body).toEqual({ secret: SECRET });
    const expiresAt = Date.UTC(2026, 10, 24);
    billing.secret.mockResolvedValue({ secret: SECRET, previous: { secret: 'whsec_old', expiresAt } });
    expect((await hub.call('GET', '/v1/subscriptions/billing/secret')).body).toEqual({
      secret: SECRET,
      previous: { secret: 'whsec_old', expiresAt: '2026-11-24T00:00:00.000Z' },
    });
    billing.rotateSecret.mockResolvedValue({ secret: SECRET, previousExpiresAt: expiresAt });
    expect((await hub.call('POST', '/v1/subscriptions/billing/rotate-secret')).body).toEqual({
      secret: SECRET,
      previousExpiresAt: '2026-11-24T00:00:00.000Z',
    });
    expect(billing.rotateSecret).toHaveBeenLastCalledWith(24 * HOUR_MS, undefined);
    await hub.call('POST', '/v1/subscriptions/billing/rotate-secret', { overlap: '1s' });
    expect(billing.rotateSecret).toHaveBeenLastCalledWith(1_000, undefined);
  });

  it('shows the public key of a private one, and makes one when asked to', async () => {
    const billing = hub.subscription('billing');
    const expiresAt = Date.UTC(2026, 10, 24);
    billing.secret.mockResolvedValue({ secret: PAIR, previous: { secret: SECRET, expiresAt } });
    expect((await hub.call('GET', '/v1/subscriptions/billing/secret')).body).toEqual({
      secret: PAIR,
      publicKey: PUBLIC_KEY,
      previous: { secret: SECRET, expiresAt: '2026-11-24T00:00:00.000Z' },
    });
    billing.rotateSecret.mockResolvedValue({ secret: PAIR, previousExpiresAt: expiresAt });
    const rotate = (signature: string) =>
      hub.call('POST', '/v1/subscriptions/billing/rotate-secret', { signature, overlap: '1s' });
    expect((await rotate('v1a')).body).toMatchObject({ secret: PAIR, publicKey: PUBLIC_KEY });
    expect(billing.rotateSecret).toHaveBeenLastCalledWith(1_000, 'v1a');
    expect(await rotate('v2')).toMatchObject({ status: 400, body: { errors: [{ path: 'signature' }] } });
  });

  it.each(['structured', 'binary', 'data', 'batch'] as const)('takes the format %s', async (format) => {
    const made = await put({ ...MINIMAL, delivery: { ...MINIMAL.delivery, format, secret: PAIR } });
    expect(made).toMatchObject({ status: 201, body: { delivery: { format, secret: PAIR } } });
    expect(documentPut()?.delivery).toMatchObject({ format });
  });

  it('sends a signed test event and says what came back', async () => {
    const url = 'http://localhost:9/hook';
    hub.subscription('billing').target.mockResolvedValue(target({ url, timeoutMs: 1_000, secrets: [SECRET] }));
    hub.fetch.mockResolvedValue(new Response('no such thing', { status: 404 }));
    const tested = await hub.call('POST', '/v1/subscriptions/billing/test');
    expect(tested).toMatchObject({
      status: 200,
      body: {
        ok: false,
        status: 404,
        body: 'no such thing',
        error: expect.any(String),
        request: { url: 'http://localhost:9/hook', headers: { 'webhook-signature': expect.stringMatching(/^v1,/) } },
      },
    });
  });

  it('sends no test event to the host it was asked at', async () => {
    const url = 'https://hub.example.com/hook';
    hub.subscription('billing').target.mockResolvedValue(target({ url, timeoutMs: 1_000, secrets: [SECRET] }));
    const tested = await hub.call('POST', '/v1/subscriptions/billing/test');
    expect(tested.body).toMatchObject({ ok: false, status: null, error: expect.stringContaining('the hub itself') });
    expect(hub.fetch).not.toHaveBeenCalled();
  });

  it('lists its attempts by status, outcome and sequence', async () => {
    const billing = hub.subscription('billing');
    const attempt = {
      topic: 'orders',
      sequence: 3,
      attempt: 1,
      at: Date.UTC(2026, 10, 23),
      status: 500,
      outcome: 'failed' as const,
      latencyMs: 3,
      response: 'oops',
      error: 'Answered 500.',
      replay: null,
      request: { url: 'https://billing.example.net/hook', headers: { 'webhook-id': 'msg_a' } },
    };
    billing.attempts.mockResolvedValue({ items: [attempt], next: 'abc' });
    const list = (query: string) => hub.call('GET', `/v1/subscriptions/billing/attempts${query}`);
    const page = await list('?status=500&sequence=3&limit=1');
    expect(page.body).toEqual({
      items: [{ ...attempt, at: '2026-11-23T00:00:00.000Z', endedAt: '2026-11-23T00:00:00.003Z' }],
      next: expect.any(String),
    });
    const query = { status: 500, topic: null, sequence: 3, limit: 1, cursor: null };
    expect(billing.attempts).toHaveBeenLastCalledWith(query);
    await list(`?status=timeout&topic=orders&cursor=${page.body.next}`);
    const next = { status: 'timeout', topic: 'orders', sequence: null, limit: 50, cursor: 'abc' };
    expect(billing.attempts).toHaveBeenLastCalledWith(next);
    for (const bad of [
      '?status=ok',
      '?status=99',
      '?status=600',
      '?sequence=0',
      '?sequence=x',
      '?topic=A!',
      '?limit=0',
      '?limit=1001',
      '?cursor=abc',
      '?order=asc',
    ]) {
      expect((await list(bad)).status).toBe(400);
    }
  });
});
