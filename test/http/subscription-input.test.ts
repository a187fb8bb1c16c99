import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeHub } from './fake-hub.ts';
import { configurationOf, subscriptionView, topicDescription } from './views.ts';

/** Whatever is sent: a problem document or an answer, never a failure of the hub. */

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  hub.topic('orders').describe.mockResolvedValue(topicDescription('orders'));
  const billing = hub.subscription('billing');
  const view = subscriptionView('billing', ['orders']);
  billing.describe.mockResolvedValue(view);
  billing.configuration.mockResolvedValue(configurationOf(view));
  billing.put.mockImplementation(async ({ document }) => ({
    outcome: 'replaced',
    view: subscriptionView('billing', [], { document }),
    secret: 'whsec_x',
  }));
  billing.seek.mockResolvedValue({ outcome: 'sought', topics: [] });
  billing.startReplay.mockResolvedValue({ outcome: 'topic-not-subscribed' });
  billing.rotateSecret.mockResolvedValue({ secret: 'whsec_x', previousExpiresAt: 0 });
  billing.startJob.mockResolvedValue(true);
});

const BODIES = [
  ['PUT', '/v1/subscriptions/billing'],
  ['POST', '/v1/subscriptions/billing/seek'],
  ['POST', '/v1/subscriptions/billing/rotate-secret'],
  ['POST', '/v1/topics/orders/replays'],
  ['PUT', '/v1/replays/rpl_a'],
  ['POST', '/v1/dead-letters/redrive'],
] as const;

const QUERIES = [
  ['GET', '/v1/subscriptions'],
  ['GET', '/v1/subscriptions/billing/attempts'],
  ['GET', '/v1/replays'],
  ['GET', '/v1/dead-letters'],
  ['DELETE', '/v1/dead-letters'],
] as const;

/** Fields that exist, with values that may be anything: random keys alone would all end as unknown fields. */
const nearlyRight = fc.record(
  {
    topics: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
    from: fc.jsonValue(),
    to: fc.jsonValue(),
    topic: fc.jsonValue(),
    subscription: fc.oneof(fc.constant('billing'), fc.jsonValue()),
    overlap: fc.oneof(fc.string(), fc.jsonValue()),
    filter: fc.oneof(fc.record({ types: fc.array(fc.string()) }), fc.jsonValue()),
    retry: fc.oneof(fc.record({ schedule: fc.array(fc.string()), jitter: fc.double() }), fc.jsonValue()),
    rateLimit: fc.oneof(fc.record({ perSecond: fc.integer() }), fc.jsonValue()),
    since: fc.jsonValue(),
    delivery: fc.oneof(
      fc.record({ url: fc.webUrl(), headers: fc.dictionary(fc.string(), fc.string()) }),
      fc.record({ url: fc.string(), timeout: fc.string(), secret: fc.string() }),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: [] },
);

describe('random input', () => {
  it.each(BODIES)('%s %s is never a failure of the hub', async (method, path) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(nearlyRight, fc.jsonValue()), async (body) => {
        const answer = await hub.call(method, path, body);
        expect(answer.status).toBeLessThan(500);
        if (answer.status >= 400) expect(answer.headers.get('content-type')).toBe('application/problem+json');
      }),
      { numRuns: 150 },
    );
  });

  it.each(QUERIES)('nor is %s %s with a random query', async (method, path) => {
    const names = fc.constantFrom('limit', 'cursor', 'status', 'state', 'sequence', 'topic', 'since', 'reason', 'x');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(names, fc.oneof(fc.string(), fc.nat().map(String)))), async (pairs) => {
        const answer = await hub.call(method, `${path}?${new URLSearchParams(pairs)}`);
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 100 },
    );
  });

  it.each(['__proto__', 'constructor', 'toString'])('a header called %s is judged like any other', async (name) => {
    const headers = `{"${name}":"x"}`;
    const body: unknown = JSON.parse(
      `{"topics":["orders"],"delivery":{"url":"https://a.example.net/","headers":${headers}}}`,
    );
    const answer = await hub.call('PUT', '/v1/subscriptions/billing', body);
    expect(answer.status).toBeLessThan(500);
    expect(answer.status === 400 || answer.text.includes(`"headers":${headers}`)).toBe(true);
  });
});
