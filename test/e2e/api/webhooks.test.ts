import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type ApiClient, eventually, type Receiver, type TestHub } from '../support/index.ts';
import { type Answers, byTopic, startAnswering } from './support/answering.ts';
import { type Page, type Stranger, startStranger } from './support/stranger.ts';

/** Webhook requests as a receiver sees them, and what the hub makes of each answer. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
let answers: Answers;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  ({ receiver, answers } = await startAnswering(byTopic));
});
beforeEach(() => answers.clear());
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

interface Row {
  subscription: string;
  status: string;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: string | null;
  settledAt: string | null;
  deadLetter: string | null;
}

/** Topic and subscription of one name, so that each test has its own. */
async function subscribe(name: string, change: { delivery?: object; [field: string]: unknown } = {}): Promise<string> {
  const answer = await me.put(`/v1/subscriptions/${name}`, {
    topics: [name],
    retry: { schedule: ['100ms', '100ms', '100ms'], jitter: 0 },
    ...change,
    delivery: { url: receiver.url, timeout: '10s', ...change.delivery },
  });
  return answer.is<{ delivery: { secret?: string } }>(201).delivery.secret ?? '';
}

const arrivals = (topic: string) => receiver.book.filter((arrival) => arrival.topic === topic);
const rows = async (topic: string, sequence = 1) =>
  (await me.get(`/v1/topics/${topic}/events/${sequence}/deliveries`)).is<Page<Row>>(200).items;
const attempts = (name: string, query = '') =>
  me
    .get(`/v1/subscriptions/${name}/attempts${query}`)
    .then((answer) => answer.is<Page<Record<string, unknown>>>(200).items);
const settled = (name: string, what: 'delivered' | 'dead', count = 1) =>
  eventually(
    `${name} has ${count} ${what}`,
    async () => (await api.subscription(name))[what] === count && api.subscription(name),
  );

describe('a webhook request', () => {
  it('is a POST of the structured event under Standard Webhooks, with the hub’s headers and the subscription’s own', async () => {
    const secret = await subscribe('request', {
      delivery: { headers: { 'x-tenant': 'acme', authorization: 'Bearer abc' } },
    });
    await me.publish('request', { type: 'order.created', subject: 's', data: { text: 'Grüße ☃' } });
    await settled('request', 'delivered');
    const [arrival] = arrivals('request');
    const { headers, body } = arrival ?? { headers: {}, body: '' };
    expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
    expect(headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': expect.stringMatching(/^[A-Za-z0-9_-]+$/),
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
      'user-agent': expect.stringMatching(/^Millrace\/\d+\.\d+\.\d+/),
      'millrace-attempt': '1',
      'millrace-topic': 'request',
      'millrace-sequence': '1',
      'x-tenant': 'acme',
      authorization: 'Bearer abc',
    });
    expect(headers).not.toHaveProperty('millrace-replay');
    expect(JSON.parse(body)).toEqual((await me.get('/v1/topics/request/events/1')).is(200));
  });

  it('keeps its webhook-id over every attempt, counts attempts, and is signed anew', async () => {
    const secret = await subscribe('attempts');
    answers.set('attempts', ({ attempt }) => (attempt < 3 ? 500 : 204));
    await me.publish('attempts', [{ type: 'a' }, { type: 'b' }]);
    await settled('attempts', 'delivered', 2);
    for (const sequence of [1, 2]) {
      const tries = arrivals('attempts').filter((arrival) => arrival.sequence === sequence);
      expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      expect(new Set(tries.map(({ webhookId }) => webhookId)).size).toBe(1);
      for (const { body, headers } of tries) new Webhook(secret).verify(body, headers);
    }
    expect(new Set(arrivals('attempts').map(({ webhookId }) => webhookId)).size).toBe(2);
  });
});

describe('2xx within the timeout is success, anything else a failure', () => {
  it.each([200, 201, 202, 204, 299])('%s is', async (status) => {
    const name = `ok-${status}`;
    await subscribe(name);
    answers.set(name, () => status);
    await me.publish(name, { type: 'a' });
    expect(await settled(name, 'delivered')).toMatchObject({ failed: 0, dead: 0, pending: 0 });
    expect(await rows(name)).toEqual([
      {
        subscription: name,
        status: 'delivered',
        attempts: 1,
        lastStatus: status,
        lastError: null,
        nextAttemptAt: null,
        settledAt: expect.stringMatching(/Z$/),
        deadLetter: null,
      },
    ]);
  });

  const failures: [string, Answer, { status: number | null; outcome: string }][] = [
    ['400', 400, { status: 400, outcome: 'failed' }],
    ['404', 404, { status: 404, outcome: 'failed' }],
    ['500', 500, { status: 500, outcome: 'failed' }],
    ['301', { status: 301, headers: { location: 'http://127.0.0.1:1/elsewhere' } }, { status: 301, outcome: 'failed' }],
    ['307', { status: 307, headers: { location: '/redirected' } }, { status: 307, outcome: 'failed' }],
    ['hang', 'hang', { status: null, outcome: 'timeout' }],
    ['late', { status: 200, afterMs: 2_500 }, { status: null, outcome: 'timeout' }],
    ['reset', 'reset', { status: null, outcome: 'network' }],
  ];
  it.each(failures)('%s is not: it ends as a dead letter that says why', async (kind, answer, expected) => {
    const name = `bad-${kind}`;
    const delivery = expected.outcome === 'timeout' ? { timeout: '1s' } : {};
    await subscribe(name, { retry: { schedule: ['100ms'], jitter: 0 }, delivery });
    answers.set(name, () => answer);
    await me.publish(name, { type: 'a', data: { whole: true } });
    expect(await settled(name, 'dead')).toMatchObject({ failed: 2, delivered: 0, pending: 0, retrying: 0 });
    const made = await attempts(name);
    expect(made.map(({ attempt }) => attempt)).toEqual([2, 1]);
    for (const attempt of made) {
      expect(attempt).toMatchObject({
        topic: name,
        sequence: 1,
        ...expected,
        replay: null,
        at: expect.stringMatching(/Z$/),
      });
    }
    const letter = await eventually(
      'the letter is in D1',
      async () => (await api.deadLetters({ subscription: name }))[0],
    );
    expect(letter).toMatchObject({
      reason: 'exhausted',
      attempts: 2,
      lastStatus: expected.status,
      topic: name,
      sequence: 1,
    });
    expect(letter.event).toEqual((await me.get(`/v1/topics/${name}/events/1`)).is(200));
    if (expected.status === null) expect(letter.lastError).toMatch(/./);
    expect(await rows(name)).toMatchObject([
      {
        status: 'dead',
        attempts: 2,
        lastStatus: expected.status,
        deadLetter: letter.id,
        settledAt: expect.any(String),
      },
    ]);
    expect(receiver.book.every(({ path }) => path !== '/redirected')).toBe(true);
  });

  it('a 2xx whose body has no end is success', async () => {
    await subscribe('endless');
    answers.set('endless', () => 'endless');
    await me.publish('endless', { type: 'a' });
    await settled('endless', 'delivered');
  });

  it('keeps the first KiB of the response', async () => {
    await subscribe('response');
    answers.set('response', ({ attempt }) =>
      attempt === 1 ? { status: 500, body: `why: ${'x'.repeat(5_000)}` } : 200,
    );
    await me.publish('response', { type: 'a' });
    await settled('response', 'delivered');
    const [, first] = await attempts('response');
    expect(String(first?.response)).toMatch(/^why: x+$/);
    expect(String(first?.response)).toHaveLength(1024);
  });
});

describe('Retry-After', () => {
  const cases: [string, number, () => string, number][] = [
    ['429 in seconds', 429, () => '6', 6_000],
    ['503 in seconds', 503, () => '6', 6_000],
    ['429 as a date', 429, () => new Date(Date.now() + 7_000).toUTCString(), 5_900],
  ];
  it.each(cases)('of %s is waited for, though the schedule says sooner', async (kind, status, value, atLeastMs) => {
    const name = `after-${kind.replaceAll(' ', '-')}`;
    await subscribe(name);
    answers.set(name, ({ attempt }) => (attempt === 1 ? { status, headers: { 'retry-after': value() } } : 200));
    await me.publish(name, { type: 'a' });
    await eventually('it waits', async () => {
      const [row] = await rows(name);
      return row?.status === 'retrying' && Date.parse(row.nextAttemptAt ?? '') - Date.now() > 500;
    });
    await settled(name, 'delivered');
    const [first, second] = arrivals(name);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(atLeastMs - 50);
    expect(second?.attempt).toBe(2);
  });

  it('counts on 429 and 503 only, and nonsense not at all', async () => {
    await subscribe('after-500');
    answers.set('after-500', ({ attempt }) =>
      attempt < 3
        ? { status: [500, 429][attempt - 1] ?? 500, headers: { 'retry-after': attempt === 1 ? '3600' : 'soon' } }
        : 200,
    );
    await me.publish('after-500', { type: 'a' });
    await settled('after-500', 'delivered');
  });
});

describe('a schedule', () => {
  it('of N entries is N+1 attempts, each no sooner than it says', async () => {
    await subscribe('schedule', { retry: { schedule: ['200ms', '400ms'], jitter: 0 } });
    answers.set('schedule', () => 500);
    await me.publish('schedule', { type: 'a' });
    await settled('schedule', 'dead');
    const at = arrivals('schedule').map((arrival) => arrival.at);
    expect(at).toHaveLength(3);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(190);
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(390);
  });

  it('without entries is one attempt', async () => {
    await subscribe('no-schedule', { retry: { schedule: [] } });
    answers.set('no-schedule', () => 500);
    await me.publish('no-schedule', { type: 'a' });
    await settled('no-schedule', 'dead');
    expect(arrivals('no-schedule')).toHaveLength(1);
  });
});

describe('410', () => {
  it('disables the subscription: that event is a dead letter gone, all others stay; resume enables it', async () => {
    await subscribe('gone', { maxInFlight: 1 });
    answers.set('gone', () => 410);
    await me.publish('gone', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    const disabled = await eventually('it is disabled', async () => {
      const view = await api.subscription('gone');
      return view.status === 'disabled' && view.pending === view.retrying + view.held + view.inFlight && view;
    });
    expect(disabled.reason).toMatch(/./);
    const letters = await eventually('the letter is there', async () => {
      const found = await api.deadLetters({ subscription: 'gone' });
      return found.length > 0 && found;
    });
    for (const letter of letters) expect(letter).toMatchObject({ reason: 'gone', lastStatus: 410 });
    answers.set('gone', () => 200);
    const dead = letters.length;
    expect((await me.post('/v1/subscriptions/gone/resume')).is(200)).toMatchObject({ status: 'active', reason: null });
    expect(await settled('gone', 'delivered', 3 - dead)).toMatchObject({ dead });
  });

  it('a PUT with another url enables it, one with the same does not', async () => {
    await subscribe('gone-put');
    answers.set('gone-put', () => 410);
    await me.publish('gone-put', { type: 'a' });
    await eventually('it is disabled', async () => (await api.subscription('gone-put')).status === 'disabled');
    const document = (url: string) => ({ topics: ['gone-put'], delivery: { url } });
    const same = await me.put('/v1/subscriptions/gone-put', document(receiver.url));
    expect(same.is(200)).toMatchObject({ status: 'disabled' });
    const other = await me.put('/v1/subscriptions/gone-put', document(`${receiver.url}/v2`));
    expect(other.is(200)).toMatchObject({ status: 'active', reason: null });
    answers.set('gone-put', () => 200);
    await me.publish('gone-put', { type: 'b' });
    await settled('gone-put', 'delivered');
    expect(arrivals('gone-put').at(-1)?.path).toBe('/hook/v2');
  });

  it('is told on the topic millrace.system', async () => {
    await eventually('the hub tells it', async () => {
      const query = 'type=millrace.subscription.disabled&subject=gone-put';
      const { events } = (await me.get(`/v1/topics/millrace.system/events?${query}`)).is<{ events: object[] }>(200);
      return events.length > 0;
    });
  });

  it('which no wildcard matches: whoever wants it names it in full', async () => {
    const pattern = { topics: ['millrace.*'], delivery: { url: receiver.url } };
    (await me.put('/v1/subscriptions/wildcards', pattern)).refused(400, null, 'topics[0]');
    await subscribe('wildcards', { topics: ['>', '*.*'], from: 'earliest', filter: { types: ['none'] } });
    await subscribe('in-full', { topics: ['millrace.system'], from: 'earliest' });
    await eventually('it is delivered', () => arrivals('millrace.system').length > 0);
    const { items } = (await me.get('/v1/subscriptions/wildcards/topics?limit=1000')).is<Page<{ topic: string }>>(200);
    expect(items.length).toBeGreaterThan(5);
    expect(items.map(({ topic }) => topic)).not.toContain('millrace.system');
  });
});

describe('attempts', () => {
  it('are listed newest first, by status, outcome and sequence', async () => {
    await subscribe('listed', { retry: { schedule: ['100ms'], jitter: 0 } });
    answers.set('listed', ({ attempt, sequence }) => (attempt === 1 ? (sequence === 1 ? 500 : 503) : 200));
    await me.publish('listed', { type: 'a' });
    await settled('listed', 'delivered', 1);
    await me.publish('listed', { type: 'b' });
    await settled('listed', 'delivered', 2);
    const sequences = async (query: string) =>
      (await attempts('listed', query)).map(({ sequence, attempt }) => [sequence, attempt]);
    expect(await sequences('')).toEqual([
      [2, 2],
      [2, 1],
      [1, 2],
      [1, 1],
    ]);
    expect(await sequences('?sequence=1')).toEqual([
      [1, 2],
      [1, 1],
    ]);
    expect(await sequences('?status=503')).toEqual([[2, 1]]);
    expect(await sequences('?status=failed')).toEqual([
      [2, 1],
      [1, 1],
    ]);
    expect(await sequences('?status=delivered&sequence=2')).toEqual([[2, 2]]);
    expect(await sequences('?status=timeout')).toEqual([]);
    expect(await sequences('?limit=1')).toEqual([[2, 2]]);
    for (const status of ['okay', '42', '']) {
      (await me.get(`/v1/subscriptions/listed/attempts?status=${status}`)).refused(400, null, 'status');
    }
    (await me.get('/v1/subscriptions/listed/attempts?sequence=x')).refused(400, null, 'sequence');
  });
});
