import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { all, type Stranger, startStranger } from './support/stranger.ts';

/** Keys, what their scopes let them do, and the audit (P7). */

interface Key {
  name: string;
  scopes: string[];
  expiresAt: string | null;
  createdAt: string;
  key: string;
}

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
let letter = '';
let replay = '';

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver({ answer: ({ sequence }) => (sequence === 1 ? 500 : 200) });
  await me.put('/v1/topics/orders', {});
  await me.put('/v1/topics/orders.eu', {});
  await me.put('/v1/topics/secret', {});
  (await me.put('/v1/subscriptions/billing-1', document('orders', []))).is(201);
  (await me.put('/v1/subscriptions/other', document('secret', []))).is(201);
  await me.publish('orders', [{ type: 'a' }, { type: 'b' }]);
  await me.publish('secret', [{ type: 'a' }, { type: 'b' }]);
  await eventually('two dead letters', async () => (await api.deadLetters()).length === 2);
  letter = (await api.deadLetters({ topic: 'orders' }))[0]?.id ?? '';
  replay = (await api.startReplay('orders', { subscription: 'billing-1', from: 2 })).id;
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

const document = (topic: string, schedule?: string[]) => ({
  topics: [topic],
  ...(schedule === undefined ? {} : { retry: { schedule } }),
  delivery: { url: receiver.url },
});
let made = 0;
/** A program with a new key of these scopes. */
async function holding(...scopes: string[]): Promise<Stranger> {
  made += 1;
  return me.with((await me.post('/v1/keys', { name: `made-${made}`, scopes })).is<Key>(201).key);
}

describe('POST, GET and DELETE /v1/keys', () => {
  it('makes a key that is shown once', async () => {
    const scopes = ['publish:orders.>', 'read:>', 'subscriptions:billing-*'];
    const expiresAt = '2099-01-01T00:00:00.000Z';
    const key = (await me.post('/v1/keys', { name: 'billing', scopes, expiresAt })).is<Key>(201);
    expect(key).toEqual({
      name: 'billing',
      scopes,
      expiresAt,
      createdAt: expect.stringMatching(/Z$/),
      key: expect.stringMatching(/^\S{20,}$/),
    });
    const { key: _, ...shown } = key;
    expect((await all<Key>(me, '/v1/keys')).find(({ name }) => name === 'billing')).toEqual(shown);
    expect((await me.get('/v1/keys?limit=1000')).text).not.toContain(key.key);
  });

  it('expiresAt may be left out; a taken name is 409 key-exists', async () => {
    expect((await me.post('/v1/keys', { name: 'taken', scopes: ['admin'] })).is(201)).toMatchObject({
      expiresAt: null,
    });
    (await me.post('/v1/keys', { name: 'taken', scopes: ['read:>'] })).refused(409, 'key-exists');
  });

  it.each([
    ['scopes', {}],
    ['name', { scopes: ['admin'], name: undefined }],
    ['name', { scopes: ['admin'], name: 'Bad Name' }],
    ['scopes', { scopes: [] }],
    ['scopes', { scopes: 'admin' }],
    ['scopes[0]', { scopes: ['everything'] }],
    ['scopes[1]', { scopes: ['admin', 'publish'] }],
    ['scopes[0]', { scopes: ['publish:Orders'] }],
    ['scopes[0]', { scopes: ['read:a.>.b'] }],
    ['scopes[0]', { scopes: ['admin:x'] }],
    ['scopes[0]', { scopes: ['replays:orders'] }],
    ['scopes[0]', { scopes: [7] }],
    ['expiresAt', { scopes: ['admin'], expiresAt: 'tomorrow' }],
    ['expiresAt', { scopes: ['admin'], expiresAt: '2020-01-01T00:00:00Z' }],
    ['expiresAt', { scopes: ['admin'], expiresAt: 4_000_000_000 }],
    ['colour', { scopes: ['admin'], colour: 'red' }],
  ])('refuses a bad %s: %j', async (path, body) => {
    (await me.post('/v1/keys', { name: 'refused', ...body })).refused(400, null, path);
    expect((await all<Key>(me, '/v1/keys')).map(({ name }) => name)).not.toContain('refused');
  });

  it('an expired key is 401', async () => {
    const expiresAt = new Date(Date.now() + 10_000).toISOString();
    const { key } = (await me.post('/v1/keys', { name: 'short-lived', scopes: ['read:>'], expiresAt })).is<Key>(201);
    (await me.with(key).get('/v1/topics/orders')).is(200);
    await eventually('it has expired', async () => (await me.with(key).get('/v1/topics/orders')).status === 401);
    (await me.with(key).get('/v1/topics/orders')).refused(401, 'unauthorized');
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  });

  it('a deleted key is 401 within 10 s; made again under its name it is another key', async () => {
    const first = (await me.post('/v1/keys', { name: 'again', scopes: ['read:>'] })).is<Key>(201).key;
    (await me.with(first).get('/v1/topics/orders')).is(200);
    (await me.delete('/v1/keys/again')).isEmpty();
    (await me.delete('/v1/keys/again')).refused(404, 'unknown-key');
    await eventually(
      'it is refused',
      async () => (await me.with(first).get('/v1/topics/orders')).status === 401,
      10_000,
    );
    const second = (await me.post('/v1/keys', { name: 'again', scopes: ['read:>'] })).is<Key>(201).key;
    expect(second).not.toBe(first);
    (await me.with(second).get('/v1/topics/orders')).is(200);
    (await me.with(first).get('/v1/topics/orders')).refused(401, 'unauthorized');
  });

  it('a key changed in one character is none', async () => {
    const { key } = (await me.post('/v1/keys', { name: 'forged', scopes: ['read:>'] })).is<Key>(201);
    for (const at of [5, Math.floor(key.length / 2), key.length - 3]) {
      const forged = key.slice(0, at) + (key[at] === 'A' ? 'B' : 'A') + key.slice(at + 1);
      (await me.with(forged).get('/v1/topics/orders')).refused(401, 'unauthorized');
    }
  });
});

type Call = (with_: Stranger) => Promise<{ status: number }>;
const publish =
  (topic: string): Call =>
  (who) =>
    who.post(`/v1/topics/${topic}/events`, { type: 'a' });
const get =
  (path: string): Call =>
  (who) =>
    who.get(path);
const putTopic =
  (topic: string): Call =>
  (who) =>
    who.put(`/v1/topics/${topic}`, {});
const putSubscription =
  (name: string, topic: string): Call =>
  (who) =>
    who.put(`/v1/subscriptions/${name}`, document(topic));

describe('scopes', () => {
  const cases: [string, string[], () => Record<string, Call>, () => Record<string, Call>][] = [
    [
      'publish:PATTERN',
      ['publish:orders.>', 'publish:orders'],
      () => ({ 'a topic': publish('orders'), another: publish('orders.eu') }),
      () => ({
        'a topic beyond the pattern': publish('secret'),
        reading: get('/v1/topics/orders/events'),
        'the topic': putTopic('orders'),
        keys: get('/v1/keys'),
      }),
    ],
    [
      'read:PATTERN',
      ['read:orders'],
      () => ({
        events: get('/v1/topics/orders/events'),
        'one event': get('/v1/topics/orders/events/1'),
        deliveries: get('/v1/topics/orders/events/1/deliveries'),
        'the topic': get('/v1/topics/orders'),
      }),
      () => ({
        'another topic': get('/v1/topics/secret/events'),
        'its deliveries': get('/v1/topics/secret/events/1/deliveries'),
        publishing: publish('orders'),
        subscriptions: get('/v1/subscriptions/billing-1'),
        'dead letters': get('/v1/dead-letters'),
      }),
    ],
    [
      'topics:PATTERN',
      ['topics:orders.*'],
      () => ({ making: putTopic('orders.new'), reading: get('/v1/topics/orders.new') }),
      () => ({
        'another topic': putTopic('secret'),
        deleting: (who) => who.delete('/v1/topics/secret'),
        events: get('/v1/topics/orders.eu/events'),
        publishing: publish('orders.eu'),
      }),
    ],
    [
      'subscriptions:GLOB, and read on what they name',
      ['subscriptions:billing-*', 'read:orders'],
      () => ({
        one: get('/v1/subscriptions/billing-1'),
        its: get('/v1/subscriptions/billing-1/attempts'),
        making: putSubscription('billing-2', 'orders'),
        pausing: (who) => who.post('/v1/subscriptions/billing-2/pause'),
        seeking: (who) => who.post('/v1/subscriptions/billing-2/seek', { to: 'latest' }),
        secret: get('/v1/subscriptions/billing-2/secret'),
      }),
      () => ({
        another: get('/v1/subscriptions/other'),
        'making another': putSubscription('other-2', 'orders'),
        'naming a topic it may not read': putSubscription('billing-3', 'secret'),
        'naming a pattern it may not read': putSubscription('billing-3', 'orders.>'),
        'naming a binding': (who) =>
          who.put('/v1/subscriptions/billing-3', { topics: ['orders'], delivery: { kind: 'queue', binding: 'MAIL' } }),
        'replaying without replays': (who) =>
          who.post('/v1/topics/orders/replays', { subscription: 'billing-1', from: 2 }),
      }),
    ],
    [
      'replays, and read on the topic',
      ['replays', 'read:orders'],
      () => ({
        starting: (who) => who.post('/v1/topics/orders/replays', { subscription: 'billing-1', from: 2 }),
        list: get('/v1/replays'),
        one: get(`/v1/replays/${replay}`),
      }),
      () => ({
        'a topic it may not read': (who) => who.post('/v1/topics/secret/replays', { subscription: 'other', from: 2 }),
        subscriptions: get('/v1/subscriptions/billing-1'),
      }),
    ],
    [
      'dead-letters, and read on their topic',
      ['dead-letters', 'read:orders'],
      () => ({
        list: get('/v1/dead-letters'),
        one: get(`/v1/dead-letters/${letter}`),
        redriving: (who) => who.post('/v1/dead-letters/redrive', { topic: 'orders', until: '2020-01-01T00:00:00Z' }),
      }),
      () => ({
        'those of a topic it may not read': get('/v1/dead-letters?topic=secret'),
        'redriving those': (who) => who.post('/v1/dead-letters/redrive', { topic: 'secret' }),
        events: get('/v1/topics/secret/events'),
      }),
    ],
  ];

  it.each(cases)('%s', async (_, scopes, allowed, forbidden) => {
    const who = await holding(...scopes);
    for (const [what, call] of Object.entries(allowed())) {
      const { status } = await call(who);
      expect(status, what).toBeGreaterThanOrEqual(200);
      expect(status, what).toBeLessThan(300);
    }
    for (const [what, call] of Object.entries(forbidden())) expect((await call(who)).status, what).toBe(403);
  });

  it('a missing scope is 403 before a 404 and before the body is looked at', async () => {
    const who = await holding('read:orders');
    (await who.get('/v1/topics/not-there')).refused(403, 'forbidden');
    (await who.get('/v1/topics/not-there/events/1')).refused(403, 'forbidden');
    (await who.get('/v1/subscriptions/not-there')).refused(403, 'forbidden');
    (await who.delete('/v1/topics/not-there')).refused(403, 'forbidden');
    (await who.post('/v1/topics/not-there/events', { nonsense: true })).refused(403, 'forbidden');
    (await who.get('/v1/keys')).refused(403, 'forbidden');
    (await who.get('/v1/audit')).refused(403, 'forbidden');
    (await who.delete('/v1/keys/not-there')).refused(403, 'forbidden');
  });

  it('publishing to a topic that does not exist makes it only if the key may topics it; else 404 unknown-topic', async () => {
    const who = await holding('publish:>');
    (await who.post('/v1/topics/never-made/events', { type: 'a' })).refused(404, 'unknown-topic');
    (await me.get('/v1/topics/never-made')).refused(404, 'unknown-topic');
    const maker = await holding('publish:>', 'topics:never-made');
    (await maker.post('/v1/topics/never-made/events', { type: 'a' })).is(201);
  });

  it('wildcards never match topics under millrace.', async () => {
    const who = await holding('read:>', 'publish:>', 'topics:>');
    (await who.get('/v1/topics/millrace.system/events')).refused(403, 'forbidden');
    (await who.post('/v1/topics/millrace.system/events', { type: 'a' })).refused(403, null);
    expect((await (await holding('read:millrace.system')).get('/v1/topics/millrace.system/events')).status).not.toBe(
      403,
    );
  });

  it('lists show what the key may read', async () => {
    const names = async (who: Stranger, path: string) =>
      (await all<{ name?: string; topic?: string }>(who, path)).map(({ name, topic }) => name ?? topic);
    const who = await holding('read:orders', 'subscriptions:billing-*', 'dead-letters', 'replays');
    await eventually('the topics are listed', async () => (await names(me, '/v1/topics')).includes('secret'));
    expect(await names(who, '/v1/topics')).toEqual(['orders']);
    const subscriptions = await names(who, '/v1/subscriptions');
    expect(subscriptions).toContain('billing-1');
    expect(subscriptions).not.toContain('other');
    expect(new Set(await names(who, '/v1/dead-letters'))).toEqual(new Set(['orders']));
    expect(new Set(await names(who, '/v1/replays'))).toEqual(new Set(['orders']));
    const blind = await holding('publish:>');
    expect(await names(blind, '/v1/topics')).toEqual([]);
    expect(await names(blind, '/v1/subscriptions')).toEqual([]);
  });

  it('admin implies all, and keys and audit need it', async () => {
    const who = await holding('admin');
    for (const call of [
      publish('orders'),
      get('/v1/topics/secret/events'),
      get('/v1/keys'),
      get('/v1/audit'),
      get('/v1/dead-letters'),
    ]) {
      expect((await call(who)).status).toBeLessThan(300);
    }
  });
});

describe('GET /v1/audit', () => {
  it('says who changed what, newest first, with the request’s id and never a secret', async () => {
    const secret = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
    const who = me.with(
      (await me.post('/v1/keys', { name: 'auditor', scopes: ['subscriptions:*', 'read:>', 'topics:>'] })).is<Key>(201)
        .key,
    );
    const put = await who.put('/v1/subscriptions/audited', {
      topics: ['orders'],
      delivery: { url: receiver.url, secret },
    });
    put.is(201);
    (await who.put('/v1/subscriptions/audited', { topics: ['orders'], delivery: { url: receiver.url } })).is(200);
    (await who.put('/v1/topics/audited', {})).is(201);
    (await who.put('/v1/topics/audited', { colour: 'red' })).refused(400, null);
    (await who.delete('/v1/subscriptions/audited')).isEmpty();
    const entries = await eventually('all is recorded', async () => {
      const found = (
        await all<{ key: string; at: string; action: string; target: string; requestId: string }>(me, '/v1/audit')
      ).filter(({ key }) => key === 'auditor');
      return found.length >= 4 && found;
    });
    expect(entries.map(({ action, target }) => [action, target]).sort()).toEqual([
      ['subscription.create', 'audited'],
      ['subscription.delete', 'audited'],
      ['subscription.update', 'audited'],
      ['topic.create', 'audited'],
    ]);
    const times = entries.map(({ at }) => at);
    expect(times).toEqual([...times].sort().reverse());
    for (const entry of entries) {
      expect(Object.keys(entry).sort()).toEqual(['action', 'at', 'key', 'requestId', 'target']);
    }
    expect(entries.find(({ action }) => action === 'subscription.create')?.requestId).toBe(
      put.headers.get('x-request-id'),
    );
    expect((await me.get('/v1/audit?limit=1000')).text).not.toContain('whsec_');
    const keys = (await me.get('/v1/audit?limit=1000')).is<{ items: { action: string; target: string }[] }>(200).items;
    expect(keys).toContainEqual(expect.objectContaining({ action: 'key.create', target: 'auditor' }));
  });
});
