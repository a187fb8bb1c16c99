import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  type ApiClient,
  type Arrival,
  eventually,
  type Receiver,
  startReceiver,
  type TestHub,
} from '../support/index.ts';
import { all, type Stranger, startStranger } from './support/stranger.ts';

/** Replays: a range once more, beside live delivery, with sums that always hold. */

interface Replay {
  id: string;
  topic: string;
  subscription: string;
  status: string;
  from: number;
  to: number;
  filter: { types: string[] } | null;
  rateLimit: object | null;
  total: number;
  delivered: number;
  failed: number;
  filtered: number;
  remaining: number;
  createdAt: string;
  endedAt: string | null;
  error: string | null;
}

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
let answer: (arrival: Arrival) => Answer = () => 200;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver();
  receiver.answer = (arrival) => answer(arrival);
  for (let n = 1; n <= 20; n += 1)
    await me.publish('history', { type: n % 4 === 0 ? 'order.created' : 'order.changed' });
  await subscribe('late', { retry: { schedule: ['100ms'], jitter: 0 } });
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

async function subscribe(name: string, change: object = {}): Promise<void> {
  (await me.put(`/v1/subscriptions/${name}`, { topics: ['history'], ...change, delivery: { url: receiver.url } })).is(
    201,
  );
}
const post = (body: object, topic = 'history') => me.post(`/v1/topics/${topic}/replays`, body);
const start = async (body: object) => (await post({ subscription: 'late', ...body })).is<Replay>(202);
const get = async (id: string) => (await me.get(`/v1/replays/${id}`)).is<Replay>(200);
const arrivals = (id: string) => receiver.book.filter(({ replay }) => replay === id);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function balanced(replay: Replay): Replay {
  expect(replay.delivered + replay.failed + replay.filtered + replay.remaining).toBe(replay.total);
  return replay;
}

const ended = (id: string) =>
  eventually(`${id} has ended`, async () => {
    const replay = balanced(await get(id));
    return replay.status !== 'running' && replay;
  });

describe('POST /v1/topics/{topic}/replays', () => {
  it('sends the range again, named by millrace-replay, to the last sequence at making by default', async () => {
    const made = await start({ from: 'earliest' });
    expect(made).toEqual({
      id: expect.stringMatching(/./),
      topic: 'history',
      subscription: 'late',
      status: expect.stringMatching(/^(running|done)$/),
      from: 1,
      to: 20,
      filter: null,
      rateLimit: null,
      total: 20,
      delivered: expect.any(Number),
      failed: 0,
      filtered: 0,
      remaining: expect.any(Number),
      createdAt: expect.stringMatching(/Z$/),
      endedAt: made.endedAt,
      error: null,
    });
    const done = await ended(made.id);
    expect(done).toMatchObject({
      status: 'done',
      delivered: 20,
      failed: 0,
      filtered: 0,
      remaining: 0,
      endedAt: expect.stringMatching(/Z$/),
    });
    expect(
      arrivals(made.id)
        .map(({ sequence }) => sequence)
        .sort((a, b) => a - b),
    ).toEqual(range(1, 20));
    const listed = await all<Replay>(me, '/v1/replays');
    expect(listed.find(({ id }) => id === made.id)).toEqual(done);
    const made2 = (await me.get('/v1/subscriptions/late/attempts?limit=1')).is<{ items: { replay: string }[] }>(200);
    expect(made2.items[0]?.replay).toBe(made.id);
  });

  it.each([
    ['sequences', { from: 5, to: 8 }, 5, 8],
    ['sequences as objects', { from: { sequence: 5 }, to: { sequence: 8 } }, 5, 8],
    ['text', { from: '5', to: '8' }, 5, 8],
    ['one event', { from: 7, to: 7 }, 7, 7],
    ['a time before all', { from: '2000-01-01T00:00:00Z', to: 3 }, 1, 3],
    ['latest as its end', { from: 19, to: 'latest' }, 19, 20],
  ])('from and to: %s', async (_, body, from, to) => {
    const made = await start(body);
    expect(made).toMatchObject({ from, to, total: to - from + 1 });
    await ended(made.id);
    expect(
      arrivals(made.id)
        .map(({ sequence }) => sequence)
        .sort((a, b) => a - b),
    ).toEqual(range(from, to));
  });

  it('has the webhook-ids of the first deliveries', async () => {
    await subscribe('live', { from: 'earliest' });
    const live = await eventually('live has all', () => {
      const found = receiver.book.filter(({ replay }) => replay === null);
      return found.length === 20 && found;
    });
    const { id } = await start({ subscription: 'live', from: 1, to: 20 });
    await ended(id);
    const ids = (list: Arrival[]) => new Map(list.map(({ sequence, webhookId }) => [sequence, webhookId]));
    expect(ids(arrivals(id))).toEqual(ids(live));
    expect((await api.subscription('live')).delivered).toBe(20);
  });

  it('its own filter counts, and the subscription’s too', async () => {
    const { id } = await start({ from: 1, filter: { types: ['*.created'] } });
    expect(await ended(id)).toMatchObject({ total: 20, delivered: 5, filtered: 15, filter: { types: ['*.created'] } });
    await subscribe('changed', { filter: { types: ['order.changed'] } });
    const other = await start({ subscription: 'changed', from: 1, to: 8 });
    expect(await ended(other.id)).toMatchObject({ total: 8, delivered: 6, filtered: 2 });
    const none = await start({ subscription: 'changed', from: 1, filter: { types: ['order.created'] } });
    expect(await ended(none.id)).toMatchObject({ total: 20, delivered: 0, filtered: 20 });
  });

  it('failed counts the events that died, and they are dead letters', async () => {
    answer = ({ sequence, replay }) => (replay !== null && sequence === 2 ? 500 : 200);
    const { id } = await start({ from: 1, to: 3 });
    expect(await ended(id)).toMatchObject({ status: 'done', delivered: 2, failed: 1 });
    const [letter] = await eventually('the letter is there', async () => {
      const found = await api.deadLetters({ subscription: 'late' });
      return found.length === 1 && found;
    });
    expect(letter).toMatchObject({ topic: 'history', sequence: 2, reason: 'exhausted' });
    answer = () => 200;
  });

  it('of a paused subscription waits', async () => {
    (await me.post('/v1/subscriptions/late/pause')).is(200);
    const { id } = await start({ from: 1, to: 3 });
    await subscribe('witness', { from: 'earliest' });
    await eventually('another has all', async () => (await api.subscription('witness')).delivered === 20);
    expect(balanced(await get(id))).toMatchObject({ status: 'running', delivered: 0, remaining: 3 });
    (await me.post('/v1/subscriptions/late/resume')).is(200);
    expect(await ended(id)).toMatchObject({ status: 'done', delivered: 3 });
  });

  it('rateLimit is a ceiling, which PUT changes', async () => {
    const { id } = await start({ from: 1, rateLimit: { perMinute: 2 } });
    await eventually('the first is there', () => arrivals(id).length > 0);
    expect(balanced(await get(id))).toMatchObject({ status: 'running', rateLimit: { perMinute: 2 } });
    expect(arrivals(id).length).toBeLessThanOrEqual(2);
    const changed = (await me.put(`/v1/replays/${id}`, { rateLimit: { perSecond: 1000 } })).is<Replay>(200);
    expect(balanced(changed)).toMatchObject({ id, rateLimit: { perSecond: 1000 } });
    expect(await ended(id)).toMatchObject({ status: 'done', delivered: 20 });
  });

  it('a GET can be PUT back', async () => {
    const { id } = await start({ from: 1, rateLimit: { perMinute: 1 } });
    const replay = await get(id);
    expect((await me.put(`/v1/replays/${id}`, replay)).is(200)).toMatchObject({ id, rateLimit: { perMinute: 1 } });
    (await me.delete(`/v1/replays/${id}`)).isEmpty();
  });

  it('DELETE cancels within a second; the sums hold', async () => {
    const { id } = await start({ from: 1, rateLimit: { perMinute: 3 } });
    await eventually('the first is there', () => arrivals(id).length > 0);
    (await me.delete(`/v1/replays/${id}`)).isEmpty();
    const cancelled = await ended(id);
    expect(cancelled).toMatchObject({ status: 'cancelled', endedAt: expect.stringMatching(/Z$/) });
    expect(cancelled.delivered).toBeLessThan(20);
    const came = arrivals(id).length;
    await me.publish('history', { type: 'order.changed' });
    await eventually('live goes on', () =>
      receiver.book.some(({ sequence, replay }) => sequence === 21 && replay === null),
    );
    expect(arrivals(id).length).toBe(came);
  });
});

describe('what a replay refuses', () => {
  it.each<[string, object, number, string | null, string?]>([
    ['no subscription', { from: 1 }, 400, null, 'subscription'],
    ['no from', { subscription: 'late' }, 400, null, 'from'],
    ['a bad from', { subscription: 'late', from: 'soon' }, 400, null, 'from'],
    ['a bad to', { subscription: 'late', from: 1, to: 1.5 }, 400, null, 'to'],
    ['an unknown field', { subscription: 'late', from: 1, colour: 'red' }, 400, null, 'colour'],
    ['a reversed range', { subscription: 'late', from: 9, to: 3 }, 400, 'invalid-range'],
    ['a from ahead', { subscription: 'late', from: 1000 }, 400, 'position-ahead'],
    ['a to ahead', { subscription: 'late', from: 1, to: 1000 }, 400, 'position-ahead'],
    ['a mistaken filter', { subscription: 'late', from: 1, filter: { cel: 'true &&' } }, 400, null, 'filter.cel'],
    ['a rate of 0', { subscription: 'late', from: 1, rateLimit: { perSecond: 0 } }, 400, null, 'rateLimit.perSecond'],
    ['two rates', { subscription: 'late', from: 1, rateLimit: { perSecond: 1, perMinute: 1 } }, 400, null, 'rateLimit'],
    ['an unknown subscription', { subscription: 'nobody', from: 1 }, 404, 'unknown-subscription'],
  ])('%s', async (_, body, status, code, path) => {
    (await post(body)).refused(status, code, ...(path === undefined ? [] : [path]));
  });

  it('a topic that is not there, and one the subscription does not name', async () => {
    (await post({ subscription: 'late', from: 1 }, 'nothing')).refused(404, 'unknown-topic');
    await me.publish('other', { type: 'a' });
    (await post({ subscription: 'late', from: 1 }, 'other')).refused(409, 'topic-not-subscribed');
  });

  it('what is not there, and a change of what has ended', async () => {
    (await me.get('/v1/replays/nothing')).refused(404, 'unknown-replay');
    (await me.delete('/v1/replays/nothing')).refused(404, 'unknown-replay');
    (await me.put('/v1/replays/nothing', { rateLimit: null })).refused(404, 'unknown-replay');
    const { id } = await start({ from: 1, to: 1 });
    (await me.put(`/v1/replays/${id}`, { from: 2 })).refused(400, null);
    (await me.put(`/v1/replays/${id}`, { rateLimit: { perSecond: 5 }, colour: 'red' })).refused(400, null, 'colour');
    await ended(id);
  });
});
