import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { all, type Page, type Stranger, startStranger } from './support/stranger.ts';

/** "Conventions" of the interface's page: what holds of every resource alike. */

let hub: TestHub;
let me: Stranger;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

const webhook = (topics: string[]) => ({ topics, delivery: { kind: 'webhook', url: receiver.url } });

describe('who may come in (P7)', () => {
  const closed = [
    ['GET', '/v1/topics'],
    ['PUT', '/v1/topics/closed'],
    ['POST', '/v1/topics/closed/events'],
    ['GET', '/v1/topics/closed/events'],
    ['GET', '/v1/topics/closed/events/1'],
    ['GET', '/v1/topics/closed/events/1/deliveries'],
    ['GET', '/v1/subscriptions'],
    ['PUT', '/v1/subscriptions/closed'],
    ['GET', '/v1/replays'],
    ['GET', '/v1/dead-letters'],
    ['DELETE', '/v1/dead-letters/x'],
    ['GET', '/v1/keys'],
    ['GET', '/v1/audit'],
    ['GET', '/metrics'],
    ['GET', '/v1/schemas'],
  ] as const;

  it.each(closed)('%s %s is 401 without a key and with a bad one', async (method, path) => {
    const ask = method === 'GET' || method === 'DELETE' ? {} : { json: {} };
    (await me.with(null).ask(method, path, ask)).refused(401, 'unauthorized');
    (await me.with('not-a-key').ask(method, path, ask)).refused(401, 'unauthorized');
    (await me.with(null).ask(method, path, { ...ask, headers: { authorization: 'Basic c2VjcmV0' } })).refused(
      401,
      null,
    );
    (await me.with(null).ask(method, path, { ...ask, headers: { authorization: 'Bearer' } })).refused(401, null);
  });

  it.each([
    { headers: { 'content-length': '0' } },
    { headers: { 'content-type': 'application/json' }, body: '{"a":1}' },
  ])('a GET is answered whatever comes with it: %j', async ({ headers, body }) => {
    const { hostname, port } = new URL(hub.url);
    const sent = httpRequest({ hostname, port, path: '/healthz', headers: { ...headers, connection: 'close' } });
    sent.end(body);
    const [answer] = await once(sent, 'response');
    answer.resume();
    expect(answer.statusCode).toBe(200);
  });

  it.each(['/healthz', '/openapi.json', '/docs'])('%s needs no key', async (path) => {
    expect((await me.with(null).get(path)).status).toBe(200);
  });

  it('POST /v1/sources/{source} needs no key: its sender will prove itself by signature', async () => {
    (await me.with(null).post('/v1/sources/github', {})).refused(400, 'not-supported-yet');
  });

  it('the scheme is taken in any case', async () => {
    const answer = await me.with(null).get('/v1/topics', { headers: { authorization: 'bearer secret' } });
    expect(answer.status).toBe(200);
  });
});

describe('every answer', () => {
  it('carries an x-request-id, another one each time', async () => {
    const ids = new Set<string | null>();
    for (const path of ['/healthz', '/v1/topics', '/v1/topics/none', '/nowhere', '/docs', '/openapi.json']) {
      ids.add((await me.get(path)).headers.get('x-request-id'));
    }
    expect(ids.size).toBe(6);
  });

  it('is a problem document where nothing is, and where the method is not for the path', async () => {
    (await me.get('/v1/nothing-like-it')).refused(404, null);
    (await me.get('/nowhere')).refused(404, null);
    const answer = await me.ask('PATCH', '/v1/topics/orders', { json: {} });
    answer.refused(405, null);
    expect(answer.headers.get('allow')).toContain('PUT');
  });

  it('is a problem document for a body that is not JSON, not UTF-8, of another media type, or cut short', async () => {
    const put = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json') =>
      me.ask('PUT', '/v1/topics/conv-bodies', { body, headers: { 'content-type': type } });
    (await put('{')).refused(400, 'invalid-json');
    (await put('{"description":"half')).refused(400, 'invalid-json');
    (await put(new Uint8Array([0x22, 0xff, 0xfe, 0x22]))).refused(400, 'invalid-json');
    (await put('<a/>', 'application/xml')).refused(415, 'unsupported-media-type');
    (await put('[]')).refused(400, null);
    (await put('"text"')).refused(400, null);
    (await put('7')).refused(400, null);
    (await put('null')).refused(400, null);
    (await me.get('/v1/topics/conv-bodies')).refused(404, 'unknown-topic');
  });

  it('to a HEAD is that of the GET, without its body', async () => {
    for (const path of ['/healthz', '/v1/topics', '/v1/topics/none']) {
      const [head, get] = [await me.ask('HEAD', path), await me.get(path)];
      expect([head.status, head.text, head.headers.get('content-type')]).toEqual([
        get.status,
        '',
        get.headers.get('content-type'),
      ]);
    }
  });

  it('has times in RFC 3339, UTC', async () => {
    const topic = (await me.put('/v1/topics/conv-times', {})).is<{ createdAt: string }>(201);
    expect(topic.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  });
});

describe('unknown fields and parameters are 400, named; read-only ones sent back are ignored', () => {
  it('in bodies, deep ones too', async () => {
    (await me.put('/v1/topics/conv-fields', { colour: 'red' })).refused(400, null, 'colour');
    const document = { ...webhook(['conv-fields']), delivery: { url: receiver.url, colour: 'red' } };
    (await me.put('/v1/subscriptions/conv-fields', document)).refused(400, null, 'delivery.colour');
    (await me.put('/v1/subscriptions/conv-fields', { ...webhook(['a']), retry: { tries: 3 } })).refused(
      400,
      null,
      'retry.tries',
    );
    (await me.post('/v1/keys', { name: 'x', scopes: ['admin'], colour: 'red' })).refused(400, null, 'colour');
    (await me.post('/v1/dead-letters/redrive', { colour: 'red' })).refused(400, null, 'colour');
    (await me.get('/v1/topics/conv-fields')).refused(404, 'unknown-topic');
    (await me.get('/v1/subscriptions/conv-fields')).refused(404, 'unknown-subscription');
  });

  it.each([
    '/v1/topics',
    '/v1/topics/conv-times',
    '/v1/topics/conv-times/events',
    '/v1/subscriptions',
    '/v1/replays',
    '/v1/dead-letters',
    '/v1/keys',
    '/v1/audit',
  ])('in the query of GET %s', async (path) => {
    (await me.get(`${path}?colour=red`)).refused(400, null, 'colour');
  });

  it('in the query of a publish', async () => {
    (await me.post('/v1/topics/conv-times/events?colour=red', { type: 'a' })).refused(400, null, 'colour');
  });

  it('a GET of a topic and of a subscription can be PUT back unchanged', async () => {
    (await me.put('/v1/topics/conv-back', { description: 'as it was', deduplicationWindow: '90m' })).is(201);
    const topic = (await me.get('/v1/topics/conv-back')).is(200);
    expect((await me.put('/v1/topics/conv-back', topic)).is(200)).toEqual(topic);

    (await me.put('/v1/subscriptions/conv-back', webhook(['conv-back']))).is(201);
    const before = (await me.get('/v1/subscriptions/conv-back')).is(200);
    const after = (await me.put('/v1/subscriptions/conv-back', before)).is(200);
    expect({ ...after, updatedAt: 0 }).toEqual({ ...before, updatedAt: 0 });
  });
});

describe('lists', () => {
  it('take limit 1 to 1000, 50 by default, and a cursor, and say where they go on', async () => {
    const names = Array.from({ length: 55 }, (_, index) => `conv-list-${String(index).padStart(2, '0')}`);
    for (const name of names) await me.put(`/v1/topics/${name}`, {});
    await eventually('all are listed', async () => {
      const listed = await all<{ name: string }>(me, '/v1/topics');
      return names.every((name) => listed.some((topic) => topic.name === name));
    });
    const first: Page<{ name: string }> = (await me.get('/v1/topics')).is(200);
    expect(first.items).toHaveLength(50);
    expect(first.next).toEqual(expect.any(String));
    const listed = (await all<{ name: string }>(me, '/v1/topics', 7)).map(({ name }) => name);
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed).toEqual(expect.arrayContaining(names));
  });

  it.each(['/v1/topics', '/v1/subscriptions', '/v1/replays', '/v1/dead-letters', '/v1/keys', '/v1/audit'])(
    'GET %s refuses limits and cursors that are none',
    async (path) => {
      for (const limit of ['0', '1001', '-1', '1.5', 'many', '']) {
        (await me.get(`${path}?limit=${limit}`)).refused(400, null, 'limit');
      }
      (await me.get(`${path}?cursor=nonsense`)).refused(400, null, 'cursor');
      expect((await me.get(`${path}?limit=1000`)).is(200)).toMatchObject({ items: expect.any(Array) });
    },
  );
});

describe('names', () => {
  const good = ['a', '0', 'orders.eu', 'a-b_c.d', `a${'b'.repeat(199)}`, 'orders.eu.de.berlin', 'a--b', '1.2'];
  const bad = ['A', 'Orders', 'a..b', '.a', 'a.', '-a', 'a-', '_a', 'a b', 'é', 'a*', '*', 'a>', `a${'b'.repeat(200)}`];

  it.each(good)('takes %s', async (name) => {
    expect([200, 201]).toContain((await me.put(`/v1/topics/${name}`, {})).status);
    expect((await me.put(`/v1/subscriptions/${name}`, webhook([name]))).is(201)).toMatchObject({ name });
    (await me.delete(`/v1/subscriptions/${name}`)).isEmpty();
  });

  it.each(bad)('refuses %s', async (name) => {
    const path = encodeURIComponent(name);
    (await me.put(`/v1/topics/${path}`, {})).refused(400, null);
    (await me.get(`/v1/topics/${path}`)).refused(400, null);
    (await me.post(`/v1/topics/${path}/events`, { type: 'a' })).refused(400, null);
    (await me.get(`/v1/topics/${path}/events`)).refused(400, null);
    (await me.put(`/v1/subscriptions/${path}`, webhook(['a']))).refused(400, null);
    (await me.post('/v1/keys', { name, scopes: ['admin'] })).refused(400, null, 'name');
  });

  it('keeps the topics under millrace. for the hub', async () => {
    (await me.post('/v1/topics/millrace.mine/events', { type: 'a' })).refused(403, 'reserved-topic');
    (await me.put('/v1/topics/millrace.mine', {})).refused(403, 'reserved-topic');
    (await me.put('/v1/subscriptions/conv-system', webhook(['millrace.system']))).is(201);
    (await me.delete('/v1/subscriptions/conv-system')).isEmpty();
  });
});

describe('PUT, If-Match and DELETE', () => {
  const kinds = [
    ['topic', '/v1/topics/conv-put', () => ({ description: 'one' }), () => ({ description: 'two' })],
    ['subscription', '/v1/subscriptions/conv-put', () => webhook(['a']), () => ({ ...webhook(['a']), maxInFlight: 7 })],
  ] as const;

  it.each(kinds)(
    'of a %s: 201 made, 200 replaced, 200 when nothing changed, 204 deleted',
    async (_, path, one, two) => {
      (await me.put(path, one())).is(201);
      (await me.put(path, two())).is(200);
      (await me.put(path, two())).is(200);
      (await me.delete(path)).isEmpty();
      (await me.get(path)).refused(404, null);
      (await me.delete(path)).refused(404, null);
    },
  );

  it.each(kinds)(
    'of a %s: the etag of a GET guards it, and changes with the configuration only',
    async (_, path, one, two) => {
      (await me.put(path, one())).is(201);
      const etag = (await me.get(path)).headers.get('etag') ?? '';
      expect(etag).toMatch(/^(W\/)?".+"$/);
      await me.publish('conv-put', { type: 'a' });
      expect((await me.get(path)).headers.get('etag')).toBe(etag);
      (await me.put(path, two(), { 'if-match': etag })).is(200);
      const changed = (await me.get(path)).headers.get('etag');
      expect(changed).not.toBe(etag);
      (await me.put(path, one(), { 'if-match': etag })).refused(412, 'precondition-failed');
      expect((await me.get(path)).headers.get('etag')).toBe(changed);
      (await me.delete(path)).isEmpty();
    },
  );

  it('If-Match on what is not there is 412', async () => {
    (await me.put('/v1/topics/conv-none', {}, { 'if-match': '"x"' })).refused(412, 'precondition-failed');
    (await me.put('/v1/subscriptions/conv-none', webhook(['a']), { 'if-match': '"x"' })).refused(
      412,
      'precondition-failed',
    );
    (await me.get('/v1/topics/conv-none')).refused(404, 'unknown-topic');
  });
});

describe('traceparent', () => {
  it('is accepted and carried on to deliveries', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    (await me.put('/v1/subscriptions/conv-trace', webhook(['conv-trace']))).is(201);
    await me.publish('conv-trace', { type: 'a' }, { traceparent });
    const arrival = await eventually('delivered', () => receiver.book.find(({ topic }) => topic === 'conv-trace'));
    expect(arrival.headers.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-[0-9a-f]{2}$/);
  });
});
