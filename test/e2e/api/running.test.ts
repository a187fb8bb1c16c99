import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** `/healthz`, `/openapi.json`, `/docs`, and everything that this version doesn't have yet. */

let hub: TestHub;
let me: Stranger;

beforeAll(async () => {
  ({ hub, me } = await startStranger());
});
afterAll(() => hub.stop());

/** Every path of the interface's page that this version has. */
const PATHS: Record<string, string[]> = {
  '/healthz': ['get'],
  '/openapi.json': ['get'],
  '/docs': ['get'],
  '/metrics': ['get'],
  '/v1/topics': ['get'],
  '/v1/topics/{topic}': ['delete', 'get', 'put'],
  '/v1/topics/{topic}/events': ['get', 'post'],
  '/v1/topics/{topic}/events/{sequence}': ['get'],
  '/v1/topics/{topic}/events/{sequence}/deliveries': ['get'],
  '/v1/topics/{topic}/replays': ['post'],
  '/v1/subscriptions': ['get'],
  '/v1/subscriptions/{name}': ['delete', 'get', 'put'],
  '/v1/subscriptions/{name}/topics': ['get'],
  '/v1/subscriptions/{name}/pause': ['post'],
  '/v1/subscriptions/{name}/resume': ['post'],
  '/v1/subscriptions/{name}/seek': ['post'],
  '/v1/subscriptions/{name}/test': ['post'],
  '/v1/subscriptions/{name}/preview': ['post'],
  '/v1/subscriptions/{name}/pull': ['post'],
  '/v1/subscriptions/{name}/ack': ['post'],
  '/v1/subscriptions/{name}/nack': ['post'],
  '/v1/subscriptions/{name}/extend': ['post'],
  '/v1/subscriptions/{name}/rotate-secret': ['post'],
  '/v1/subscriptions/{name}/secret': ['get'],
  '/v1/subscriptions/{name}/attempts': ['get'],
  // Beside the page: where a receiver gives its consent later.
  '/v1/subscriptions/{name}/handshake/{token}': ['get', 'post'],
  '/v1/alerts/{name}': ['put'],
  '/v1/replays': ['get'],
  '/v1/replays/{id}': ['delete', 'get', 'put'],
  '/v1/dead-letters': ['delete', 'get'],
  '/v1/dead-letters/{id}': ['delete', 'get'],
  '/v1/dead-letters/{id}/redrive': ['post'],
  '/v1/dead-letters/redrive': ['post'],
  '/v1/keys': ['get', 'post'],
  '/v1/tokens': ['post'],
  '/v1/keys/{name}': ['delete'],
  '/v1/audit': ['get'],
  // Beside the page: export and import.
  '/v1/config': ['get', 'put'],
  // Beside the page: how HUB_SECRET is replaced.
  '/v1/hub-secrets': ['get'],
  '/v1/hub-secrets/reseal': ['post'],
};

describe('GET /healthz', () => {
  it('is 200 {"status":"ok"}', async () => {
    const answer = await me.with(null).get('/healthz');
    expect(answer.text).toBe('{"status":"ok"}');
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  });
});

describe('GET /openapi.json', () => {
  it('describes every path of the page and, but for the way to the docs, no other', () => {
    const { document } = me.contract;
    expect(document.openapi).toMatch(/^3\.1\./);
    const described = Object.fromEntries(
      Object.entries(document.paths)
        .filter(([path]) => path !== '/')
        .map(([path, item]) => [path, Object.keys(item).sort()]),
    );
    expect(described).toEqual(PATHS);
  });

  it('is whole: every $ref leads somewhere, every operation is named once and answers, every {name} is a parameter', () => {
    const { document } = me.contract;
    for (const [, pointer = ''] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)) {
      expect(pointer).toMatch(/^#\/components\/schemas\//);
      expect(document.components.schemas).toHaveProperty([pointer.replace('#/components/schemas/', '')]);
    }
    const ids: (string | undefined)[] = [];
    for (const [path, item] of Object.entries(document.paths)) {
      for (const operation of Object.values(item)) {
        ids.push(operation.operationId);
        const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        expect(inPath.map(({ name }) => `{${name}}`).sort()).toEqual([...path.matchAll(/\{\w+\}/g)].map(String).sort());
        expect(inPath.every(({ required }) => required)).toBe(true);
        expect(Object.keys(operation.responses).some((status) => /^[23]/.test(status))).toBe(true);
        for (const response of Object.values(operation.responses)) expect(response.description).toMatch(/./);
      }
    }
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Object.values(document.components.securitySchemes)).toContainEqual(
      expect.objectContaining({ type: 'http', scheme: 'bearer' }),
    );
  });
});

describe('GET /docs', () => {
  it('is a page that names every path, every problem code this run can get, and the limits', async () => {
    const page = await me.with(null).get('/docs');
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    for (const path of Object.keys(PATHS)) expect(page.text).toContain(path);
    const codes = new Set(
      [
        ...JSON.stringify(me.contract.document).matchAll(
          /"description":"([a-z]+(?:-[a-z]+)*(?:, [a-z]+(?:-[a-z]+)*)*)"/g,
        ),
      ]
        .flatMap(([, list = '']) => list.split(', '))
        .filter((code) => code.includes('-')),
    );
    expect(codes.size).toBeGreaterThan(20);
    for (const code of codes) expect(page.text).toContain(code);
  });

  it('a problem document says where its code is explained', async () => {
    const problem = (await me.get('/v1/topics/none')).refused(404, 'unknown-topic');
    const [path = '', anchor] = new URL(problem.type, me.url).href.replace(me.url, '').split('#');
    expect((await me.get(path)).text).toContain(`id="${anchor}"`);
  });
});

describe('what comes later is 400 not-supported-yet', () => {
  const paths = [
    ['POST', '/v1/events'],
    ['GET', '/v1/topics/orders/scheduled'],
    ['DELETE', '/v1/topics/orders/scheduled/x'],
    ['POST', '/v1/topics/orders/erase'],
    ['GET', '/v1/topics/orders/erasures'],
    ['PUT', '/v1/projections/balance'],
    ['GET', '/v1/projections'],
    ['GET', '/v1/projections/balance'],
    ['DELETE', '/v1/projections/balance'],
    ['POST', '/v1/projections/balance/rebuild'],
    ['GET', '/v1/projections/balance/state/alice'],
    ['GET', '/v1/projections/balance/state'],
    ['POST', '/v1/topics/orders/forks'],
    ['PUT', '/v1/schemas/order.created'],
    ['GET', '/v1/schemas'],
    ['GET', '/v1/schemas/order.created'],
    ['GET', '/v1/schemas/order.created/versions'],
    ['GET', '/v1/schemas/order.created/versions/1'],
    ['GET', '/v1/schemas/order.created/types.ts'],
    ['PUT', '/v1/schemas/order.created/compatibility'],
    ['POST', '/v1/schemas/order.created/check'],
    ['POST', '/v1/schemas/infer'],
    ['DELETE', '/v1/schemas/order.created'],
    ['GET', '/registry/subjects'],
    ['PUT', '/v1/routes/orders'],
    ['GET', '/v1/routes'],
    ['DELETE', '/v1/routes/orders'],
    ['PUT', '/v1/sources/github'],
    ['GET', '/v1/sources'],
    ['POST', '/v1/sources/github'],
    ['GET', '/asyncapi.json'],
    ['GET', '/console'],
  ] as const;

  it.each(paths)('%s %s', async (method, path) => {
    const answer = await me.ask(method, path, method === 'POST' || method === 'PUT' ? { json: {} } : {});
    answer.refused(400, 'not-supported-yet');
  });

  it('fields of a topic, unless they have their defaults', async () => {
    const later: [string, object][] = [
      ['retention.maxAge', { retention: { maxAge: '7d' } }],
      ['retention.maxEvents', { retention: { maxEvents: 10 } }],
      ['retention.maxBytes', { retention: { maxBytes: 10 } }],
      ['validation', { validation: 'warn' }],
      ['validation', { validation: 'enforce' }],
      ['compaction', { compaction: true }],
      ['partitions', { partitions: 4 }],
    ];
    for (const [path, config] of later) {
      (await me.put('/v1/topics/later', config)).refused(400, 'not-supported-yet', path);
    }
    (await me.get('/v1/topics/later')).refused(404, 'unknown-topic');
    const defaults = {
      description: '',
      deduplicationWindow: '24h',
      validation: 'off',
      compaction: false,
      partitions: 1,
    };
    expect((await me.put('/v1/topics/later', defaults)).is(201)).toMatchObject(defaults);
  });

  it('headers and media types of publishing', async () => {
    const publish = (headers: Record<string, string>) => me.post('/v1/topics/later/events', { type: 'a' }, headers);
    (await publish({ 'deliver-at': '2099-01-01T00:00:00Z' })).refused(400, 'not-supported-yet', 'deliver-at');
    (await publish({ 'deliver-after': '1h' })).refused(400, 'not-supported-yet', 'deliver-after');
    (await publish({ 'expected-last-subject-sequence': '3' })).refused(400, 'not-supported-yet');
    (await publish({ 'content-type': 'application/x-ndjson' })).refused(400, 'not-supported-yet');
    expect((await me.get('/v1/topics/later')).is(200)).toMatchObject({ lastSequence: 0 });
  });

  it('no token in the query where nothing is read', async () => {
    (await me.with(null).get('/v1/topics?token=abc')).refused(401, 'unauthorized');
  });
});
