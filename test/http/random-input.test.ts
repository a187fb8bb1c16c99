import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { LATER_PATHS } from '../../src/http/later.ts';
import { ROUTES } from '../../src/http/resources.ts';
import type { Route } from '../../src/http/route.ts';
import { WholeHub } from './whole-hub.ts';

/** P8: whatever is sent, the answer is what was promised or a problem document, and never a 500. */

const RUNS = 150;

/** Values that get past the first checks, and values that should not. */
const word = fc.oneof(
  fc.constantFrom(
    'orders',
    'billing',
    'orders.*',
    '>',
    'millrace.system',
    'millrace',
    '1',
    '0',
    '-1',
    '1e9',
    'latest',
    'earliest',
  ),
  fc.constantFrom(
    '2026-11-23T20:00:00Z',
    '999999999999999999',
    '__proto__',
    'constructor',
    '..',
    'a..b',
    '5ms',
    '0s',
    'all',
    'open',
  ),
  fc.string({ maxLength: 20, unit: 'binary' }),
);

const field = fc.constantFrom(
  'name',
  'topics',
  'topic',
  'from',
  'to',
  'filter',
  'types',
  'delivery',
  'url',
  'kind',
  'retry',
  'schedule',
  'timeout',
  'secret',
  'scopes',
  'expiresAt',
  'subscription',
  'rateLimit',
  'perSecond',
  'overlap',
  'description',
  'deduplicationWindow',
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'data',
  'data_base64',
  '__proto__',
  'constructor',
  'maxInFlight',
  'ordering',
  'headers',
); // prettier-ignore

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    word,
    fc.constantFrom(null, true, false, 0, -1, 1.5, 1e300, 4096),
    fc.constantFrom(
      'https://example.com/hook',
      'http://localhost:1/',
      'webhook',
      'whsec_AAAA',
      '15s',
      'read:>',
      '1.0',
      'order.created',
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(field, fc.string()), tie('value'), { maxKeys: 6 }),
  ),
})).value;

const anyBody = fc.oneof(
  json.map((value) => JSON.stringify(value)),
  fc.uint8Array({ maxLength: 64 }),
  fc.string(),
  fc.constant(undefined),
);

const headerValue = fc.oneof(
  fc.constantFrom(
    'application/json',
    'application/cloudevents+json',
    'application/cloudevents-batch+json',
    'text/plain; charset=utf-8',
    'application/x-ndjson',
    '1.0',
    '0.3',
    '0',
    '"etag"',
    '*',
    '%',
    '%ff',
    '%E2%82%AC',
    '2026-11-23T20:00:00Z',
  ),
  fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '')),
);

const headers = fc.dictionary(
  fc.constantFrom(
    'accept',
    'content-type',
    'if-match',
    'idempotency-key',
    'expected-last-sequence',
    'traceparent',
    'x-request-id',
    'ce-specversion',
    'ce-id',
    'ce-type',
    'ce-source',
    'ce-time',
    'ce-subject',
    'ce-x',
    'content-encoding',
    'content-length',
    'upgrade',
  ),
  headerValue,
  { maxKeys: 6 },
);

/** Where no value is given, the path leads to something that is there. */
const THERE: Record<string, string> = { '{topic}': 'orders', '{name}': 'billing', '{sequence}': '1' };

function pathOf(route: Pick<Route, 'path'>, values: string[]): string {
  let index = 0;
  return route.path.replaceAll(/\{\w+\}|\*\*/g, (name) => encoded(values[index++] ?? THERE[name] ?? 'x'));
}

/** Bodies that are right, for random input to be put into. */
const RIGHT: Record<string, Record<string, unknown>> = {
  'POST /v1/topics/{topic}/events': { type: 'order.created', id: 'a', source: '/s', subject: 's', data: { n: 1 } },
  'PUT /v1/topics/{topic}': { description: 'd', deduplicationWindow: '24h' },
  'PUT /v1/subscriptions/{name}': {
    topics: ['orders'],
    from: 'earliest',
    filter: { types: ['order.*'] },
    retry: { schedule: ['5s'], jitter: 0.2 },
    maxInFlight: 8,
    delivery: { kind: 'webhook', url: 'http://localhost:1/hook', timeout: '1s', headers: { 'x-a': 'b' } },
  },
  'POST /v1/subscriptions/{name}/seek': { topic: 'orders', to: 'earliest' },
  'POST /v1/subscriptions/{name}/rotate-secret': { overlap: '1h' },
  'POST /v1/topics/{topic}/replays': { subscription: 'billing', from: 'earliest' },
  'PUT /v1/replays/{id}': { rateLimit: { perSecond: 5 } },
  'POST /v1/dead-letters/redrive': { subscription: 'billing', since: '2026-11-23T20:00:00Z' },
  'PUT /v1/config': {
    version: 1,
    topics: [{ name: 'orders' }],
    subscriptions: [
      { name: 'billing', topics: ['orders'], paused: false, delivery: { url: 'http://localhost:1/hook' } },
    ],
  },
  'POST /v1/keys': { name: 'k', scopes: ['read:>'], expiresAt: '2030-01-01T00:00:00Z' },
};

/** The right body of a route, with some fields put in or replaced, at the top or one level down. */
function nearlyRight(route: Route) {
  const right = RIGHT[`${route.method} ${route.path}`] ?? {};
  const name = fc.oneof(fc.constantFrom(...Object.keys(right), 'delivery', 'filter'), field);
  return fc.array(fc.tuple(name, fc.option(field), json), { maxLength: 2 }).map((changes) => {
    const changed: Record<string, unknown> = structuredClone(right);
    for (const [outer, inner, value] of changes) {
      const present = changed[outer];
      changed[outer] = inner !== null && isObject(present) ? { ...present, [inner]: value } : value;
    }
    return JSON.stringify(changed);
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A lone surrogate can't be in a URL. */
function encoded(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replaceAll('.', '%2E');
}

function queryOf(route: Route | null, pairs: [number, string, string][]): string {
  const known = Object.keys(route?.query ?? {}).filter((name) => name !== 'wait');
  const search = new URLSearchParams();
  for (const [pick, other, value] of pairs) search.append(known[pick] ?? other.toWellFormed(), value.toWellFormed());
  return search.size > 0 ? `?${search}` : '';
}

const hub = new WholeHub();

async function seeded(): Promise<void> {
  await hub.call('POST', '/v1/topics/orders/events', { body: [{ type: 'order.created' }, { type: 'order.paid' }] });
  const delivery = { url: 'http://localhost:1/hook' };
  const made = await hub.call('PUT', '/v1/subscriptions/billing', {
    body: { topics: ['orders', 'billing.*'], delivery },
  });
  expect([200, 201], JSON.stringify(hub.logged.at(-1) ?? null, readable)).toContain(made.status);
}

async function check(
  method: string,
  path: string,
  sent: { headers: Record<string, string>; body: unknown },
  route: Route | null,
) {
  const answer = await hub.call(method, path, sent);
  const context = `${method} ${path} ${answer.status} ${answer.text.slice(0, 500)}\n${JSON.stringify(hub.logged.at(-1) ?? null, readable)}`;
  hub.logged.length = 0;
  expect(answer.status, context).not.toBe(500);
  expect(answer.headers.get('x-request-id')).toBeTruthy();
  if (answer.status >= 400 && method !== 'HEAD') {
    expect(answer.headers.get('content-type'), context).toBe('application/problem+json');
    expect(answer.json, context).toMatchObject({
      status: answer.status,
      code: expect.any(String),
      detail: expect.any(String),
    });
  } else if (route !== null && answer.status < 400 && answer.json !== null) {
    const schema = route.responses[answer.status];
    expect(schema?.safeParse(answer.json).error?.issues ?? [], context).toEqual([]);
  }
}

function readable(_key: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack } : value;
}

describe('random input', () => {
  beforeEach(seeded);

  it.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    'to %s is never a 500',
    async (_name, route) => {
      await fc.assert(
        fc.asyncProperty(
          // Mostly one thing is odd at a time: with several, the first to be checked would hide the others.
          fc.constantFrom('path', 'query', 'headers', 'body', 'all'),
          fc.array(word, { maxLength: 3 }),
          fc.array(fc.tuple(fc.nat({ max: 8 }), word, word), { maxLength: 3 }),
          headers,
          fc.oneof(nearlyRight(route), anyBody),
          async (odd, values, pairs, oddHeaders, oddBody) => {
            const has = (what: string) => odd === what || odd === 'all';
            const right = RIGHT[`${route.method} ${route.path}`];
            const body = route.method === 'GET' ? undefined : has('body') ? oddBody : right && JSON.stringify(right);
            await check(
              route.method,
              `${pathOf(route, has('path') ? values : [])}${queryOf(route, has('query') ? pairs : [])}`,
              {
                headers: {
                  ...(body !== undefined && { 'content-type': 'application/json' }),
                  ...(has('headers') && oddHeaders),
                },
                body,
              },
              route,
            );
          },
        ),
        { numRuns: RUNS },
      );
    },
  );

  it('to paths that come later or never is never a 500', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'),
        fc.oneof(
          fc.tuple(fc.constantFrom(...LATER_PATHS), fc.array(word)).map(([later, values]) => pathOf(later, values)),
          fc.webPath(),
          fc.string().map((text) => `/v1/${text.toWellFormed().replaceAll(/[?#\\]/g, '')}`),
          fc.constantFrom('/v1/topics/%', '/v1/topics/%ff', '/v1/topics//events', '//', '/v1/%2e%2e/keys'),
        ),
        async (method, path) =>
          check(method, path.startsWith('/') ? path : '/', { headers: {}, body: undefined }, null),
      ),
      { numRuns: RUNS * 4 },
    );
  });
});
