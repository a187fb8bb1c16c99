import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, type Subscription, type TestHub } from '../support/index.ts';
import { type Answers, byPath, startAnswering } from './support/answering.ts';
import { type Page, type Stranger, startStranger } from './support/stranger.ts';

/** What a subscription consumes and where it stands: patterns, filters, pause, seek, test, secrets, sums. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
let answers: Answers;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  ({ receiver, answers } = await startAnswering(byPath));
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

interface Made {
  delivery: { secret?: string };
}

/** Each subscription has a path of its own at the receiver. */
async function subscribe(name: string, topics: string[], change: object = {}): Promise<Made> {
  const url = `${receiver.url}/${name}`;
  return (
    await me.put(`/v1/subscriptions/${name}`, { topics, retry: { schedule: ['1h'] }, ...change, delivery: { url } })
  ).is(201);
}
const at = (name: string) => receiver.book.filter(({ path }) => path.endsWith(`/${name}`));
const view = (name: string) => api.subscription(name);
const sequences = (name: string) => at(name).map(({ sequence }) => sequence);
const post = (name: string, action: string, body?: object) => me.post(`/v1/subscriptions/${name}/${action}`, body);
const status = async (topic: string, sequence: number, name: string) =>
  (await me.get(`/v1/topics/${topic}/events/${sequence}/deliveries?limit=1000`))
    .is<Page<{ subscription: string; status: string }>>(200)
    .items.find(({ subscription }) => subscription === name)?.status;

/** `delivered + dead + pending + waiting + filtered + skipped + discarded`, and what else always holds. */
function sum(one: Subscription): number {
  expect(one.pending).toBe(one.inFlight + one.retrying + one.held);
  return one.delivered + one.dead + one.pending + one.waiting + one.filtered + one.skipped + one.discarded;
}

describe('topics and filters', () => {
  it('exact names, * for one token, a final > for one or more; each event once to each subscription', async () => {
    const patterns: Record<string, string[]> = {
      exact: ['shop.orders'],
      star: ['shop.*'],
      'star-first': ['*.orders'],
      rest: ['shop.>'],
      all: ['>'],
      both: ['shop.orders', 'shop.*', 'shop.>'],
    };
    for (const [name, topics] of Object.entries(patterns)) await subscribe(`p-${name}`, topics);
    const topics = ['shop.orders', 'shop.billing', 'shop.orders.eu', 'other.orders', 'shop'];
    for (const topic of topics) await me.publish(topic, { type: 'a' });
    const expected: Record<string, string[]> = {
      exact: ['shop.orders'],
      star: ['shop.billing', 'shop.orders'],
      'star-first': ['other.orders', 'shop.orders'],
      rest: ['shop.billing', 'shop.orders', 'shop.orders.eu'],
      all: [...topics].sort(),
      both: ['shop.billing', 'shop.orders', 'shop.orders.eu'],
    };
    await eventually('each has its own', async () => {
      for (const [name, wanted] of Object.entries(expected)) {
        const got = at(`p-${name}`)
          .map(({ topic }) => topic)
          .filter((topic) => topics.includes(topic));
        expect(got.sort(), name).toEqual(wanted);
      }
      return true;
    });
    const standing = (await me.get('/v1/subscriptions/p-both/topics')).is<Page<{ topic: string }>>(200);
    expect(standing.items.map(({ topic }) => topic).sort()).toEqual(expected.both);
    expect(standing.items[0]).toMatchObject({ status: 'active', cursor: 1, lastSequence: 1, lag: 0, pending: 0 });
    for (const name of Object.keys(patterns)) (await me.delete(`/v1/subscriptions/p-${name}`)).isEmpty();
  });

  it('filter.types: * is any run of characters; what does not match is filtered, and counted so', async () => {
    await subscribe('typed', ['typed'], { filter: { types: ['order.*', '*.urgent'] } });
    const types = ['order.created', 'order.line.added', 'order', 'payment.made', 'payment.urgent', 'xorder.y'];
    await me.publish(
      'typed',
      types.map((type) => ({ type })),
    );
    const done = await eventually('all is examined', async () => {
      const one = await view('typed');
      return one.waiting === 0 && one.delivered === 3 && one;
    });
    expect(done).toMatchObject({ delivered: 3, filtered: 3, lag: 0, cursor: 6 });
    expect(sequences('typed').sort()).toEqual([1, 2, 5]);
    expect(await status('typed', 3, 'typed')).toBe('filtered');
    expect(await status('typed', 1, 'typed')).toBe('delivered');
  });

  it('the 201 is a barrier: every event acknowledged after it is delivered, none from before with latest', async () => {
    await me.publish('barrier', [{ type: 'before' }, { type: 'before' }]);
    for (let n = 0; n < 5; n += 1) {
      await subscribe(`barrier-${n}`, ['barrier']);
      const [receipt] = await me.publish('barrier', { type: 'after' });
      await eventually('it has it', () => sequences(`barrier-${n}`).includes(receipt?.sequence ?? 0));
      expect(Math.min(...sequences(`barrier-${n}`))).toBe(receipt?.sequence);
    }
  });

  it('from: earliest, a sequence, a time', async () => {
    for (let n = 0; n < 6; n += 1) await me.publish('from', { type: 'a' });
    const { events } = (await me.get('/v1/topics/from/events')).is<{ events: { recordedtime: string }[] }>(200);
    const time = events[3]?.recordedtime ?? '';
    const first = events.findIndex(({ recordedtime }) => recordedtime >= time) + 1;
    await subscribe('from-earliest', ['from'], { from: 'earliest' });
    await subscribe('from-number', ['from'], { from: 5 });
    await subscribe('from-time', ['from'], { from: { time } });
    await eventually('all have theirs', () => {
      expect(sequences('from-earliest').sort()).toEqual([1, 2, 3, 4, 5, 6]);
      expect(sequences('from-number').sort()).toEqual([5, 6]);
      expect(sequences('from-time').sort()).toEqual([1, 2, 3, 4, 5, 6].slice(first - 1));
      return true;
    });
    expect(await status('from', 1, 'from-number')).toBe('not-subscribed');
  });
});

describe('pause and resume', () => {
  it('a second after a pause nothing is claimed; it keeps its place; a PUT leaves it paused; resume goes on', async () => {
    await subscribe('paused', ['paused']);
    await me.publish('paused', { type: 'a' });
    await eventually('the first is there', () => sequences('paused').length === 1);
    expect((await post('paused', 'pause')).is(200)).toMatchObject({ name: 'paused', status: 'paused' });
    expect((await post('paused', 'pause')).is(200)).toMatchObject({ status: 'paused' });
    const document = (await me.get('/v1/subscriptions/paused')).is(200);
    expect((await me.put('/v1/subscriptions/paused', document)).is(200)).toMatchObject({ status: 'paused' });
    await subscribe('witness', ['paused']);
    await me.publish('paused', [{ type: 'b' }, { type: 'c' }]);
    await eventually('another one has them', () => sequences('witness').length === 2);
    expect(sequences('paused')).toEqual([1]);
    const waiting = await view('paused');
    expect([waiting.waiting + waiting.pending, waiting.cursor, waiting.lag]).toEqual([2, 1, 2]);
    expect((await post('paused', 'resume')).is(200)).toMatchObject({ status: 'active' });
    await eventually('the rest is there', () => sequences('paused').length === 3);
  });
});

describe('seek', () => {
  it('to earliest sends everything again, and counting starts anew', async () => {
    await subscribe('seek', ['seek']);
    await me.publish('seek', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    await eventually('delivered', async () => (await view('seek')).delivered === 3);
    expect((await post('seek', 'seek', { to: 'earliest' })).is(200)).toEqual({
      topics: [{ topic: 'seek', cursor: 0, skipped: 0 }],
    });
    await eventually('delivered again', () => sequences('seek').length === 6);
    const one = await eventually('settled', async () => {
      const now = await view('seek');
      return now.pending + now.waiting === 0 && now;
    });
    expect(sum(one)).toBe(3);
    const ids = new Map(at('seek').map(({ sequence, webhookId }) => [`${sequence} ${webhookId}`, sequence]));
    expect(ids.size).toBe(3);
  });

  it('forwards skips what was waiting and pending, and says how many', async () => {
    answers.set('skip', () => 500);
    await subscribe('skip', ['skip']);
    await me.publish('skip', [{ type: 'a' }, { type: 'b' }]);
    await eventually('they fail', async () => (await view('skip')).retrying === 2);
    await post('skip', 'pause');
    await me.publish('skip', [{ type: 'c' }, { type: 'd' }]);
    const { topics } = (await post('skip', 'seek', { to: 'latest' })).is<{
      topics: { cursor: number; skipped: number }[];
    }>(200);
    expect(topics).toEqual([{ topic: 'skip', cursor: 4, skipped: 4 }]);
    answers.delete('skip');
    await post('skip', 'resume');
    await me.publish('skip', { type: 'e' });
    await eventually('it goes on after the end', async () => (await view('skip')).delivered === 1);
    expect(await view('skip')).toMatchObject({ pending: 0, waiting: 0, lag: 0, cursor: 5 });
    expect(await status('skip', 1, 'skip')).toBe('skipped');
  });

  it('to a sequence starts with that sequence, to a time with the first recorded at or after it', async () => {
    await subscribe('place', ['place']);
    for (let n = 0; n < 4; n += 1) await me.publish('place', { type: 'a' });
    await eventually('delivered', async () => (await view('place')).delivered === 4);
    expect((await post('place', 'seek', { to: 3 })).is(200)).toMatchObject({ topics: [{ topic: 'place', cursor: 2 }] });
    await eventually('3 and 4 again', () => sequences('place').length === 6);
    expect((await post('place', 'seek', { to: '2000-01-01T00:00:00Z' })).is(200)).toMatchObject({
      topics: [{ cursor: 0 }],
    });
    await eventually('all again', () => sequences('place').length === 10);
    expect((await post('place', 'seek', { topic: 'place', to: { sequence: 4 } })).is(200)).toMatchObject({
      topics: [{ cursor: 3 }],
    });
  });

  it('refuses what is ahead, expired, not subscribed, ambiguous or no position', async () => {
    await me.publish('s-one', [{ type: 'a' }]);
    await me.publish('s-two', [{ type: 'a' }]);
    await subscribe('several', ['s-one', 's-two']);
    (await post('several', 'seek', { to: 1 })).refused(400, null, 'topic');
    (await post('several', 'seek', { topic: 's-one', to: 9 })).refused(400, 'position-ahead');
    (await post('several', 'seek', { topic: 'place', to: 1 })).refused(409, 'topic-not-subscribed');
    (await post('several', 'seek', { to: 'somewhere' })).refused(400, null, 'to');
    (await post('several', 'seek', {})).refused(400, null, 'to');
    (await post('several', 'seek', { to: 'earliest', colour: 'red' })).refused(400, null, 'colour');
    const both = (await post('several', 'seek', { to: 'earliest' })).is<{ topics: { topic: string }[] }>(200);
    expect(both.topics.map(({ topic }) => topic).sort()).toEqual(['s-one', 's-two']);
    expect(await view('several')).toMatchObject({ cursor: null });
  });
});

describe('test', () => {
  it('sends one millrace.test event, not counted, and says what came back', async () => {
    await subscribe('tested', ['tested']);
    answers.set('tested', () => ({ status: 418, body: 'I am a teapot' }));
    expect((await post('tested', 'test')).is(200)).toEqual({
      ok: false,
      status: 418,
      latencyMs: expect.any(Number),
      body: 'I am a teapot',
      error: expect.stringMatching(/418/),
      request: {
        url: `${receiver.url}/tested`,
        headers: expect.objectContaining({ 'webhook-id': expect.any(String) }),
      },
    });
    answers.set('tested', () => 200);
    expect((await post('tested', 'test')).is(200)).toMatchObject({ ok: true, status: 200, error: null });
    answers.set('tested', () => 'reset');
    expect((await post('tested', 'test')).is(200)).toMatchObject({
      ok: false,
      status: null,
      error: expect.stringMatching(/./),
    });
    expect(JSON.parse(at('tested')[0]?.body ?? '{}')).toMatchObject({ type: 'millrace.test', specversion: '1.0' });
    expect(await view('tested')).toMatchObject({ delivered: 0, failed: 0, dead: 0 });
    expect((await me.get('/v1/subscriptions/tested/attempts')).is(200)).toMatchObject({ items: [] });
  });
});

describe('secrets', () => {
  it('rotate with an overlap, during which both sign', async () => {
    const first = (await subscribe('rotated', ['rotated'])).delivery.secret ?? '';
    const answer = (await post('rotated', 'rotate-secret', { overlap: '1h' })).is<{
      secret: string;
      previousExpiresAt: string;
    }>(200);
    expect(Object.keys(answer).sort()).toEqual(['previousExpiresAt', 'secret']);
    expect(answer.secret).toMatch(/^whsec_/);
    expect(answer.secret).not.toBe(first);
    expect((await me.get('/v1/subscriptions/rotated/secret')).is(200)).toEqual({
      secret: answer.secret,
      previous: { secret: first, expiresAt: answer.previousExpiresAt },
    });
    await me.publish('rotated', { type: 'a' });
    await eventually('delivered', () => at('rotated').length === 1);
    expect(at('rotated')[0]?.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    (await post('rotated', 'rotate-secret', { overlap: '1s' })).is(200);
    await eventually('the old one is gone', async () => {
      return !(await me.get('/v1/subscriptions/rotated/secret')).text.includes('previous');
    });
    await me.publish('rotated', { type: 'b' });
    await eventually('delivered', () => at('rotated').length === 2);
    expect(at('rotated')[1]?.headers['webhook-signature']).toMatch(/^v1,\S+$/);
  });

  it('overlap 24h by default; a bad one is refused', async () => {
    const { previousExpiresAt } = (await post('rotated', 'rotate-secret')).is<{ previousExpiresAt: string }>(200);
    expect(Date.parse(previousExpiresAt) - Date.now()).toBeGreaterThan(23.9 * 3_600_000);
    (await post('rotated', 'rotate-secret', { overlap: 'long' })).refused(400, null, 'overlap');
  });
});

describe('sums', () => {
  it('hold at every moment while events are published, fail, retry, die and are filtered', async () => {
    await subscribe('sums', ['sums'], {
      filter: { types: ['wanted', 'doomed'] },
      retry: { schedule: ['100ms', '100ms'], jitter: 0.5 },
      maxInFlight: 16,
    });
    answers.set('sums', ({ attempt, sequence, body }) =>
      body.includes('doomed') || (attempt === 1 && sequence % 5 === 0) ? 500 : 200,
    );
    let published = 0;
    const publish = async () => {
      for (let n = 0; n < 20; n += 1) {
        const types = ['wanted', 'other', n % 4 === 0 ? 'doomed' : 'wanted'];
        await me.publish(
          'sums',
          types.map((type) => ({ type })),
        );
        published += types.length;
      }
    };
    const judge = async () => {
      for (;;) {
        const before = published;
        const one = await view('sums');
        const last = (await api.topic('sums')).lastSequence;
        expect(sum(one)).toBeGreaterThanOrEqual(before);
        expect(sum(one)).toBeLessThanOrEqual(last);
        if (published === 60 && one.pending + one.waiting === 0) return one;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await me.put('/v1/topics/sums', {});
    const [done] = await Promise.all([judge(), publish()]);
    expect(sum(done)).toBe(60);
    expect(done).toMatchObject({ filtered: 20, dead: 5, delivered: 35, lag: 0, cursor: 60, skipped: 0, discarded: 0 });
    expect(done.failed).toBe(at('sums').filter(({ status: answered }) => answered === 500).length);
    const latency = (await me.get('/v1/subscriptions/sums')).is<{ latency: { p50: number; p99: number } }>(200).latency;
    expect(latency.p50).toBeGreaterThan(0);
    expect(latency.p99).toBeGreaterThanOrEqual(latency.p50);
  });
});
