import { describe, expect, it, vi } from 'vitest';
import { ADMIN_KEY, WholeHub } from './whole-hub.ts';

const HOUR_MS = 3_600_000;
const hub = new WholeHub();

/** A key with these scopes. */
async function keyWith(name: string, ...scopes: string[]): Promise<string> {
  const { json } = await hub.call('POST', '/v1/keys', { body: { name, scopes } });
  return json.key;
}

describe('P7 closed: no key, no entry', () => {
  it.each([
    ['GET', '/v1/topics'],
    ['POST', '/v1/topics/a/events'],
    ['GET', '/v1/nothing'],
    ['PATCH', '/v1/topics/a'],
    ['GET', '/v1/projections'],
    ['GET', '/metrics'],
    ['GET', '/asyncapi.json'],
    ['GET', '/registry/subjects'],
  ])('%s %s without a key is 401', async (method, path) => {
    const answer = await hub.call(method, path, { key: null });
    expect(answer).toMatchObject({ status: 401, json: { code: 'unauthorized', status: 401 } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each(['/healthz', '/openapi.json', '/docs'])('%s needs no key', async (path) => {
    expect((await hub.call('GET', path, { key: null })).status).toBe(200);
  });

  it.each([['Basic abc'], ['Bearer'], ['Bearer nonsense'], ['Bearer mr_abc.def'], [`Bearer ${ADMIN_KEY}x`]])(
    '%s is no key',
    async (authorization) => {
      expect((await hub.call('GET', '/v1/topics', { headers: { authorization } })).status).toBe(401);
    },
  );

  it('tells an expired key from a missing scope', async () => {
    const expiresAt = new Date(Date.now() + HOUR_MS).toISOString();
    const { json } = await hub.call('POST', '/v1/keys', { body: { name: 'brief', scopes: ['read:>'], expiresAt } });
    expect((await hub.call('GET', '/v1/topics', { key: json.key })).status).toBe(200);
    const later = vi.spyOn(hub, 'now').mockImplementation(() => Date.now() + HOUR_MS);
    expect((await hub.call('GET', '/v1/topics', { key: json.key })).json).toMatchObject({
      status: 401,
      detail: 'The key has expired.',
    });
    later.mockRestore();
  });

  it('checks scopes before it says whether a thing exists', async () => {
    const key = await keyWith('reader', 'read:orders.*');
    expect(await hub.call('GET', '/v1/topics/orders.eu', { key })).toMatchObject({ status: 404 });
    expect(await hub.call('GET', '/v1/topics/invoices', { key })).toMatchObject({
      status: 403,
      json: { code: 'forbidden', detail: expect.stringContaining('read:invoices') },
    });
  });

  it('says which secret is missing', async () => {
    const bare = new WholeHub();
    bare.hubSecret = undefined;
    expect((await bare.call('GET', '/v1/topics')).json).toMatchObject({
      status: 503,
      code: 'not-configured',
      detail: expect.stringContaining('HUB_SECRET'),
    });
    bare.adminKey = undefined;
    expect((await bare.call('GET', '/v1/topics')).json.detail).toContain('ADMIN_KEY');
    expect((await bare.call('GET', '/healthz')).status).toBe(200);
  });

  it('lists only what the key may see', async () => {
    await hub.call('PUT', '/v1/topics/seen.a', { body: {} });
    await hub.call('PUT', '/v1/topics/hidden.a', { body: {} });
    await hub.db
      .prepare('INSERT OR IGNORE INTO topics (name, created_at) VALUES (?, 1), (?, 1)')
      .bind('seen.a', 'hidden.a')
      .run();
    const key = await keyWith('sees-some', 'read:seen.>');
    const { json } = await hub.call('GET', '/v1/topics', { key });
    expect(json).toMatchObject({ items: [{ name: 'seen.a' }], next: null });
  });
});

describe('P8 explained: every refusal says what to change', () => {
  it('names each unknown field and parameter', async () => {
    const body = await hub.call('PUT', '/v1/topics/a', { body: { descripton: 'x', other: 1 } });
    expect(body.status).toBe(400);
    expect(body.headers.get('content-type')).toBe('application/problem+json');
    expect(body.json).toMatchObject({
      type: '/docs#invalid-request',
      code: 'invalid-request',
      instance: '/v1/topics/a',
      errors: [
        { path: 'descripton', message: 'unknown field' },
        { path: 'other', message: 'unknown field' },
      ],
    });
    const query = await hub.call('GET', '/v1/topics?limt=5&limit=0');
    expect(query.json.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['limit', 'limt']);
  });

  it('ignores the fields a GET returns and refuses what comes later, unless it is the default', async () => {
    await hub.call('PUT', '/v1/topics/later', { body: { description: 'd' } });
    const { json } = await hub.call('GET', '/v1/topics/later');
    expect((await hub.call('PUT', '/v1/topics/later', { body: json })).status).toBe(200);
    const defaults = { retention: { maxAge: null }, validation: 'off', compaction: false, partitions: 1 };
    expect((await hub.call('PUT', '/v1/topics/later', { body: { ...json, ...defaults } })).status).toBe(200);
    expect((await hub.call('PUT', '/v1/topics/later', { body: { retention: { maxAge: '7d' } } })).json).toMatchObject({
      code: 'not-supported-yet',
      errors: [{ path: 'retention.maxAge' }],
    });
    for (const [field, value] of [
      ['validation', 'warn'],
      ['validation', 'enforce'],
      ['compaction', true],
      ['partitions', 4],
    ] as const) {
      expect((await hub.call('PUT', '/v1/topics/later', { body: { [field]: value } })).json).toMatchObject({
        code: 'not-supported-yet',
        errors: [{ path: field }],
      });
    }
  });

  it('makes a key of what a GET returns of another', async () => {
    await keyWith('first', 'read:orders');
    const { json } = await hub.call('GET', '/v1/keys?limit=1000');
    const first = json.items.find(({ name }: { name: string }) => name === 'first');
    const again = await hub.call('POST', '/v1/keys', { body: { ...first, name: 'second' } });
    expect(again).toMatchObject({ status: 201, json: { name: 'second', scopes: ['read:orders'] } });
    const misspelt = await hub.call('POST', '/v1/keys', { body: { ...first, name: 'third', made: 1 } });
    expect(misspelt).toMatchObject({ status: 400, json: { errors: [{ path: 'made' }] } });
  });

  it.each([
    ['retention', 'for ever', 'retention'],
    ['retention', { maxWeight: 1 }, 'retention.maxWeight'],
    ['retention', { maxAge: 'long' }, 'retention.maxAge'],
    ['retention', { maxEvents: -1 }, 'retention.maxEvents'],
    ['validation', 'zz', 'validation'],
    ['compaction', 'true', 'compaction'],
    ['partitions', 0, 'partitions'],
    ['partitions', '1', 'partitions'],
    ['partitions', 1.5, 'partitions'],
  ])('knows a bad value of what comes later from a promised one: %s %j', async (field, value, path) => {
    const answer = await hub.call('PUT', '/v1/topics/later', { body: { [field]: value } });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid-request', errors: [{ path }] } });
  });

  it.each([
    ['POST', '/v1/topics/a/events', { 'deliver-after': '5m' }],
    ['POST', '/v1/topics/a/events', { 'deliver-at': '2030-01-01T00:00:00Z' }],
    ['POST', '/v1/topics/a/events', { 'expected-last-subject-sequence': '1' }],
    ['POST', '/v1/topics/a/events', { 'content-type': 'application/x-ndjson' }],
    ['POST', '/v1/events', {}],
    ['POST', '/v1/topics/a/forks', {}],
    ['POST', '/v1/topics/a/erase', {}],
    ['GET', '/v1/topics/a/scheduled', {}],
    ['DELETE', '/v1/topics/a/scheduled/1', {}],
    ['GET', '/v1/projections/a/state/k', {}],
    ['PUT', '/v1/schemas/t', {}],
    ['PUT', '/v1/routes/r', {}],
    ['POST', '/v1/sources/github', {}],
    ['GET', '/registry/subjects', {}],
    ['GET', '/console', {}],
  ])('%s %s comes later', async (method, path, headers) => {
    const body = method === 'POST' && path.endsWith('/a/events') ? '{"type":"t"}' : undefined;
    const answer = await hub.call(method, path, { headers: { 'content-type': 'application/json', ...headers }, body });
    expect(answer).toMatchObject({ status: 400, json: { code: 'not-supported-yet' } });
  });

  it('knows paths and methods', async () => {
    expect(await hub.call('GET', '/v1/nothing')).toMatchObject({ status: 404, json: { code: 'not-found' } });
    const wrong = await hub.call('PATCH', '/v1/topics/a');
    expect(wrong).toMatchObject({ status: 405, json: { code: 'method-not-allowed' } });
    expect(wrong.headers.get('allow')).toBe('PUT, GET, HEAD, DELETE, OPTIONS');
    const options = await hub.call('OPTIONS', '/v1/topics/a', { key: null });
    expect(options).toMatchObject({ status: 204, text: '' });
    expect(await hub.call('HEAD', '/healthz')).toMatchObject({ status: 200, text: '' });
  });

  it('refuses bodies that are not JSON, too large, cut off or of another kind', async () => {
    const put = (body: unknown, headers = {}) => hub.call('PUT', '/v1/topics/a', { body, headers });
    const json = { 'content-type': 'application/json' };
    expect((await put('{"description":', json)).json).toMatchObject({ code: 'invalid-json' });
    expect((await put(new Uint8Array([0xff, 0xfe, 0x7b]), json)).json).toMatchObject({ code: 'invalid-json' });
    expect((await put('[]', json)).json).toMatchObject({ code: 'invalid-request' });
    expect((await put('a=b', { 'content-type': 'text/xml' })).json).toMatchObject({ code: 'unsupported-media-type' });
    expect((await put('{}', { ...json, 'content-encoding': 'gzip' })).json).toMatchObject({ status: 415 });
    expect((await put(`"${'x'.repeat(1024 * 1024)}"`, json)).json).toMatchObject({ code: 'payload-too-large' });
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"descr'));
        controller.error(new Error('connection lost'));
      },
    });
    expect((await put(broken, json)).json).toMatchObject({ status: 400, code: 'incomplete-body' });
  });

  it.each([
    ['{"name":"billing","secret":whsec_MfKQ9r8GKYqrTwjU}', 'line 1, column 28'],
    ['{\n  "description": "whsec_MfKQ9r8GKYqrTwjU', 'line 2, column 18'],
    ['{"a":"whsec_MfKQ9r8GKYqrTwjU",', 'too early, at line 1, column 31'],
  ])('says where a body stops being JSON and quotes nothing of it: %s', async (body, where) => {
    const headers = { 'content-type': 'application/json' };
    const { text, json } = await hub.call('PUT', '/v1/topics/a', { body, headers });
    expect(json).toMatchObject({
      code: 'invalid-json',
      detail: expect.stringContaining(where),
      errors: [{ path: '' }],
    });
    expect(text).not.toContain('whsec');
  });

  it.each<[object | string, string, string]>([
    [{}, 'name', 'is required'],
    [{ name: 'k' }, 'scopes', 'is required'],
    [{ name: 1, scopes: [] }, 'name', 'must be a string'],
    [{ name: 'k', scopes: 'admin' }, 'scopes', 'must be an array'],
    [{ name: 'k', scopes: [] }, 'scopes', 'must not be empty'],
    [{ name: 'k', scopes: Array(51).fill('admin') }, 'scopes', 'must have at most 50 entries'],
    ['[]', '', 'The body must be an object.'],
  ])('has words of its own for what is wrong: %j', async (body, path, message) => {
    const answer = await hub.call('POST', '/v1/keys', { body, headers: { 'content-type': 'application/json' } });
    expect(answer.json.errors).toContainEqual({ path, message });
  });

  it.each([
    ['/v1/topics?limit=1001', 'limit', 'must be at most 1000'],
    ['/v1/topics?limit=0', 'limit', 'must be at least 1'],
    ['/v1/topics/a/events?order=up', 'order', 'must be one of "asc", "desc"'],
    ['/v1/topics/a/events?type=', 'type[0]', 'must not be empty'],
  ])('has them for a query too: %s', async (path, name, message) => {
    expect((await hub.call('GET', path)).json.errors).toContainEqual({ path: name, message });
  });

  it.each([
    ['?from=1&since=2026-01-01T00:00:00Z', ['from', 'since']],
    ['?from=2&until=1', ['until']],
  ])('names what is wrong with a range: %s', async (query, paths) => {
    await hub.call('POST', '/v1/topics/ranges/events', { body: [{ type: 'a' }, { type: 'b' }] });
    const { json } = await hub.call('GET', `/v1/topics/ranges/events${query}`);
    expect(json.code).toBe('invalid-range');
    expect(json.errors.map(({ path }: { path: string }) => path)).toEqual(paths);
  });

  it('names the header or the body that it does not take', async () => {
    const put = (body: unknown, headers = {}) => hub.call('PUT', '/v1/topics/a', { body, headers });
    const json = { 'content-type': 'application/json' };
    expect((await put('a', { 'content-type': 'text/xml' })).json.errors).toMatchObject([{ path: 'content-type' }]);
    expect((await put('{}', { ...json, 'content-encoding': 'gzip' })).json.errors).toMatchObject([
      { path: 'content-encoding' },
    ]);
    expect((await put(`"${'x'.repeat(1024 * 1024)}"`, json)).json.errors).toMatchObject([{ path: '' }]);
  });

  it('carries a request id, its own or a sane one of the caller', async () => {
    const given = await hub.call('GET', '/healthz', { headers: { 'x-request-id': 'abc-123' } });
    expect(given.headers.get('x-request-id')).toBe('abc-123');
    const odd = await hub.call('GET', '/v1/none', { headers: { 'x-request-id': 'a b<script>' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(odd.json.requestId).toBe(odd.headers.get('x-request-id'));
  });

  it('never ignores a guard', async () => {
    const answer = await hub.call('DELETE', '/v1/topics/later', { headers: { 'if-match': '"x"' } });
    expect(answer.json).toMatchObject({ code: 'not-supported-yet', errors: [{ path: 'if-match' }] });
    const odd = await hub.call('PUT', '/v1/topics/later', { body: {}, headers: { 'if-match': 'x' } });
    expect(odd.json).toMatchObject({ code: 'invalid-request', errors: [{ path: 'if-match' }] });
  });

  it('takes If-Match: * for what is there, and for nothing else', async () => {
    const put = (topic: string, ifMatch: string) =>
      hub.call('PUT', `/v1/topics/${topic}`, { body: { description: 'x' }, headers: { 'if-match': ifMatch } });
    expect(await put('not-there', '*')).toMatchObject({ status: 412, json: { code: 'precondition-failed' } });
    expect((await hub.call('GET', '/v1/topics/not-there')).status).toBe(404);
    await hub.call('PUT', '/v1/topics/there', { body: {} });
    expect(await put('there', '*')).toMatchObject({ status: 200, json: { description: 'x' } });
    expect((await put('there', '"*"')).status).toBe(412);
  });
});

describe('failures below', () => {
  it('show no stack and no message of their own', async () => {
    const broken = new WholeHub();
    broken.topic = () => {
      throw new Error('a secret detail');
    };
    const answer = await broken.call('GET', '/v1/topics/a');
    expect(answer).toMatchObject({ status: 500, json: { code: 'internal-error' } });
    expect(answer.text).not.toContain('secret detail');
    expect(broken.logged).toMatchObject([{ message: 'A request failed.' }, { message: 'request' }]);
  });

  it('that pass are 503 with Retry-After', async () => {
    const away = new WholeHub();
    away.topic = () => {
      throw Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true });
    };
    const answer = await away.call('GET', '/v1/topics/a');
    expect(answer).toMatchObject({ status: 503, json: { code: 'unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    away.db.failure = 'before';
    expect((await away.call('GET', '/v1/keys')).json).toMatchObject({ status: 503, code: 'unavailable' });
  });
});

describe('the audit', () => {
  it('records who changed what, newest first, and never a read, a publish or a refusal', async () => {
    const own = new WholeHub();
    await own.call('PUT', '/v1/topics/a', { body: {}, headers: { 'x-request-id': 'one' } });
    await own.call('PUT', '/v1/topics/a', { body: { bad: 1 } });
    await own.call('POST', '/v1/topics/a/events', { body: { type: 't' } });
    await own.call('PUT', '/v1/topics/a', { body: {} });
    await own.settled();
    const { json } = await own.call('GET', '/v1/audit?limit=1');
    expect(json.items).toMatchObject([{ action: 'topic.update', target: 'a', key: 'admin' }]);
    const older = await own.call('GET', `/v1/audit?limit=5&cursor=${json.next}`);
    expect(older.json).toMatchObject({ items: [{ action: 'topic.create', requestId: 'one' }], next: null });
    expect((await own.call('GET', '/v1/audit?cursor=nonsense')).json).toMatchObject({ errors: [{ path: 'cursor' }] });
    const ofAnother = await own.call('GET', `/v1/keys?cursor=${json.next}`);
    expect(ofAnother.status).toBe(400);
    expect(ofAnother.json).toMatchObject({ errors: [{ path: 'cursor' }] });
  });
});
