import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, type TestHub } from '../support/index.ts';
import { type Answers, byPath, startAnswering } from './support/answering.ts';
import { all, type Page, type Stranger, startStranger } from './support/stranger.ts';

/** What became of one event, and what a changed document does to where a subscription stands. */

interface Row {
  subscription: string;
  status: string;
  attempts: number;
  lastStatus: number | null;
  nextAttemptAt: string | null;
  settledAt: string | null;
  deadLetter: string | null;
}

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

const put = async (name: string, topics: string[], change: object = {}, status = 201) =>
  (
    await me.put(`/v1/subscriptions/${name}`, {
      topics,
      retry: { schedule: ['1h'], jitter: 0 },
      ...change,
      delivery: { url: `${receiver.url}/${name}`, timeout: '30s' },
    })
  ).is(status);
const at = (name: string) => receiver.book.filter(({ path }) => path.endsWith(`/${name}`));
const rows = async (topic: string, sequence: number) =>
  all<Row>(me, `/v1/topics/${topic}/events/${sequence}/deliveries`);

describe('GET /v1/topics/{topic}/events/{sequence}/deliveries', () => {
  it('has a row for each subscription that has the topic, and says what became of the event', async () => {
    answers.set('d-hangs', () => 'hang');
    answers.set('d-fails', () => 503);
    answers.set('d-gone', () => 410);
    await me.publish('rows', { type: 'before' });
    await put('d-takes', ['rows']);
    await put('d-hangs', ['*']);
    await put('d-fails', ['rows']);
    await put('d-gone', ['rows']);
    await put('d-paused', ['rows']);
    await put('d-filters', ['rows'], { filter: { types: ['other'] } });
    await put('d-elsewhere', ['elsewhere']);
    (await me.post('/v1/subscriptions/d-paused/pause')).is(200);
    await me.publish('rows', { type: 'a' });
    await put('d-later', ['rows']);
    const open = { nextAttemptAt: null, settledAt: null, deadLetter: null };
    const expected = [
      {
        subscription: 'd-fails',
        status: 'retrying',
        attempts: 1,
        lastStatus: 503,
        nextAttemptAt: expect.stringMatching(/Z$/),
        settledAt: null,
        deadLetter: null,
      },
      { subscription: 'd-filters', status: 'filtered', attempts: 0, lastStatus: null, deadLetter: null },
      { subscription: 'd-gone', status: 'dead', attempts: 1, lastStatus: 410, deadLetter: expect.stringMatching(/./) },
      { subscription: 'd-hangs', status: 'delivering', ...open },
      { subscription: 'd-later', status: 'not-subscribed', attempts: 0, lastStatus: null, ...open },
      { subscription: 'd-paused', status: 'pending', attempts: 0, lastStatus: null, ...open },
      {
        subscription: 'd-takes',
        status: 'delivered',
        attempts: 1,
        lastStatus: 200,
        settledAt: expect.stringMatching(/Z$/),
      },
    ];
    await eventually('each is as it should be', async () => {
      const found = await rows('rows', 2);
      expect([...found].sort((a, b) => (a.subscription < b.subscription ? -1 : 1))).toMatchObject(expected);
      return true;
    });
    // A pattern may take events of the second before the subscription was made.
    const before = (await rows('rows', 1)).filter(({ subscription }) => subscription !== 'd-hangs');
    expect(before.map(({ status }) => status)).toEqual(before.map(() => 'not-subscribed'));
    expect((await all<Row>(me, '/v1/topics/rows/events/2/deliveries', 2)).length).toBe(expected.length);
  });

  it('is 404 for an event that is not there', async () => {
    (await me.get('/v1/topics/rows/events/99/deliveries')).refused(404, null);
    (await me.get('/v1/topics/nothing/events/1/deliveries')).refused(404, 'unknown-topic');
    (await me.get('/v1/topics/rows/events/x/deliveries')).refused(400, null, 'sequence');
  });
});

describe('a PUT of a subscription that is there', () => {
  it('from is for topics new to it only: it keeps its place', async () => {
    await me.publish('kept', [{ type: 'a' }, { type: 'b' }]);
    await put('kept', ['kept']);
    await put('kept', ['kept'], { from: 'earliest' }, 200);
    await me.publish('kept', { type: 'c' });
    await eventually('the new one is there', () => at('kept').length > 0);
    expect(at('kept').map(({ sequence }) => sequence)).toEqual([3]);
    await me.publish('added', [{ type: 'a' }, { type: 'b' }]);
    await put('kept', ['kept', 'added'], { from: 'earliest' }, 200);
    await eventually('the topic that is new is sent from the start', () => receiver.taken('added').length === 2);
    expect(
      at('kept')
        .map(({ topic, sequence }) => `${topic} ${sequence}`)
        .sort(),
    ).toEqual(['added 1', 'added 2', 'kept 3']);
  });

  it('a topic left out is left: what was pending of it is skipped', async () => {
    answers.set('left', () => 500);
    await put('left', ['left-a', 'left-b']);
    await me.publish('left-a', { type: 'a' });
    await me.publish('left-b', { type: 'b' });
    await eventually('both wait', async () => (await api.subscription('left')).retrying === 2);
    await put('left', ['left-a'], {}, 200);
    await eventually('one waits', async () => (await api.subscription('left')).retrying === 1);
    expect(await api.subscription('left')).toMatchObject({ pending: 1, waiting: 0 });
    const { items } = (await me.get('/v1/subscriptions/left/topics')).is<Page<{ topic: string }>>(200);
    expect(items).toEqual([expect.objectContaining({ topic: 'left-a', pending: 1 })]);
    answers.delete('left');
    await me.publish('left-b', { type: 'c' });
    await me.publish('left-a', { type: 'd' });
    await eventually('the other goes on', async () => (await api.subscription('left')).delivered === 1);
    expect(at('left').filter(({ topic, sequence }) => topic === 'left-b' && sequence === 2)).toEqual([]);
  });

  it('a new filter, url and header are for what comes after it', async () => {
    await put('changing', ['changing']);
    await me.publish('changing', { type: 'a' });
    await eventually('the first', () => at('changing').length === 1);
    const url = `${receiver.url}/changed`;
    const document = { topics: ['changing'], filter: { types: ['b'] }, delivery: { url, headers: { 'x-new': '1' } } };
    (await me.put('/v1/subscriptions/changing', document)).is(200);
    await me.publish('changing', [{ type: 'a' }, { type: 'b' }]);
    await eventually('the second', () => at('changed').length === 1);
    expect(at('changed')[0]).toMatchObject({ sequence: 3, headers: { 'x-new': '1' } });
    expect(await api.subscription('changing')).toMatchObject({ filtered: 1 });
  });
});

describe('maxInFlight', () => {
  it('is how many may be on their way at once', async () => {
    let open = 0;
    let most = 0;
    const others = receiver.answer;
    receiver.answer = async (arrival) => {
      if (byPath(arrival) !== 'narrow') return others(arrival);
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setTimeout(resolve, 50));
      open -= 1;
      return 200;
    };
    await put('narrow', ['narrow'], { maxInFlight: 2 });
    await me.publish(
      'narrow',
      Array.from({ length: 20 }, () => ({ type: 'a' })),
    );
    await eventually('all delivered', async () => (await api.subscription('narrow')).delivered === 20);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2);
  });
});

describe('isolation (P6)', () => {
  it('a receiver that hangs delays no other and not the producer', async () => {
    answers.set('stuck', () => 'hang');
    await put('stuck', ['busy']);
    await put('quick', ['busy']);
    for (let n = 0; n < 20; n += 1) await me.publish('busy', { type: 'a' });
    await eventually('the quick one has all', () => at('quick').length === 20);
    // Nothing that hangs has come to its end yet.
    expect(await api.subscription('stuck')).toMatchObject({ delivered: 0, failed: 0 });
  });
});

describe('positions at the edges', () => {
  it('one past the last is where the next event will be; an empty topic has firstSequence lastSequence + 1', async () => {
    await me.publish('edge', [{ type: 'a' }, { type: 'b' }]);
    await put('edge', ['edge'], { from: 3 });
    expect((await me.get('/v1/topics/edge/events?after=2&until=latest')).is(200)).toEqual({
      events: [],
      next: null,
      lastSequence: 2,
    });
    await me.publish('edge', { type: 'c' });
    await eventually('it starts there', () => at('edge').length === 1);
    expect(at('edge')[0]?.sequence).toBe(3);
    expect((await me.put('/v1/topics/edge-empty', {})).is(201)).toMatchObject({ firstSequence: 1, lastSequence: 0 });
    for (const query of [
      '',
      '?from=1',
      '?from=latest',
      '?until=latest',
      '?after=0',
      '?order=desc',
      '?from=2026-01-01T00:00:00Z',
    ]) {
      expect((await me.get(`/v1/topics/edge-empty/events${query}`)).is(200)).toEqual({
        events: [],
        next: null,
        lastSequence: 0,
      });
    }
  });

  it('a replay from earliest never fails, also of an empty topic', async () => {
    (await me.put('/v1/topics/edge-replay', {})).is(201);
    await put('edge-replay', ['edge-replay']);
    const replay = await me.post('/v1/topics/edge-replay/replays', { subscription: 'edge-replay', from: 'earliest' });
    expect(replay.is(202)).toMatchObject({ status: 'done', total: 0, remaining: 0 });
  });
});
