import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Dead letters: kept whole, listed, redriven, discarded, one or by a filter. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
const refusing = new Set<string>();

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver();
  receiver.answer = ({ topic }) => (refusing.has(topic) ? 500 : 200);
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** A topic and subscription of this name, with so many dead letters; the receiver goes on refusing. */
async function die(name: string, count: number) {
  refusing.add(name);
  const document = { topics: [name], retry: { schedule: ['100ms'], jitter: 0 }, delivery: { url: receiver.url } };
  (await me.put(`/v1/subscriptions/${name}`, document)).is(201);
  await me.publish(
    name,
    Array.from({ length: count }, (_, index) => ({ type: 'order.created', subject: `s${index}`, data: { index } })),
  );
  return letters(name, count);
}
const letters = (name: string, count: number, state = 'open') =>
  eventually(`${name} has ${count} letters, ${state}`, async () => {
    const found = await api.deadLetters({ subscription: name, state });
    return found.length === count && found;
  });
const view = (name: string) => api.subscription(name);
const ids = (list: { id: string }[]) => list.map(({ id }) => id).sort();
const listed = async (query: string) =>
  ids((await me.get(`/v1/dead-letters?${query}&limit=1000`)).is<{ items: { id: string }[] }>(200).items);
const delivered = (name: string, count: number) =>
  eventually('all delivered', async () => (await view(name)).delivered === count);

describe('GET /v1/dead-letters', () => {
  it('has each letter whole: the event, why, after what', async () => {
    const [letter] = await die('whole', 1);
    expect((await me.get(`/v1/dead-letters/${letter?.id}`)).is(200)).toEqual(letter);
    expect(letter).toEqual({
      id: expect.stringMatching(/^\S+$/),
      subscription: 'whole',
      topic: 'whole',
      sequence: 1,
      event: (await me.get('/v1/topics/whole/events/1')).is(200),
      reason: 'exhausted',
      attempts: 2,
      lastStatus: 500,
      lastError: letter?.lastError,
      firstAttemptAt: expect.stringMatching(/Z$/),
      diedAt: expect.stringMatching(/Z$/),
      redrivenAt: null,
      resolvedAt: null,
      discardedAt: null,
    });
    expect(await view('whole')).toMatchObject({ dead: 1, pending: 0, lag: 0 });
  });

  it('takes subscription, topic, reason, since, until and state; newest first', async () => {
    const found = await die('filtered', 3);
    const mine = ids(found);
    expect(await listed('subscription=filtered')).toEqual(mine);
    expect(await listed('topic=filtered')).toEqual(mine);
    expect(await listed('subscription=filtered&topic=whole')).toEqual([]);
    expect(await listed('subscription=filtered&reason=exhausted')).toEqual(mine);
    expect(await listed('subscription=filtered&reason=gone')).toEqual([]);
    expect(await listed('subscription=filtered&state=open')).toEqual(mine);
    expect(await listed('subscription=filtered&state=all')).toEqual(mine);
    for (const state of ['redriven', 'resolved', 'discarded']) {
      expect(await listed(`subscription=filtered&state=${state}`)).toEqual([]);
    }
    const times = found.map(({ diedAt }) => diedAt);
    expect(times).toEqual([...times].sort().reverse());
    const newest = times[0] ?? '';
    expect(await listed(`subscription=filtered&until=${newest}`)).toEqual(mine);
    expect(await listed(`subscription=filtered&since=${newest}`)).toEqual(
      ids(found.filter(({ diedAt }) => diedAt >= newest)),
    );
    expect(await listed('subscription=filtered&since=2099-01-01T00:00:00Z')).toEqual([]);
    expect(await listed('subscription=filtered&until=2020-01-01T00:00:00Z')).toEqual([]);
    const paged = [];
    let cursor = '';
    do {
      const page = (await me.get(`/v1/dead-letters?subscription=filtered&limit=1${cursor}`)).is<{
        items: { id: string }[];
        next: string | null;
      }>(200);
      paged.push(...page.items);
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(paged.map(({ id }) => id)).toEqual(found.map(({ id }) => id));
  });

  it.each([
    ['state', 'lost'],
    ['reason', 'bored'],
    ['since', 'yesterday'],
    ['until', '12'],
    ['subscription', 'A B'],
    ['topic', '*'],
  ])('refuses %s=%s', async (name, value) => {
    (await me.get(`/v1/dead-letters?${name}=${encodeURIComponent(value)}`)).refused(400, null, name);
  });

  it('404 where there is none', async () => {
    (await me.get('/v1/dead-letters/nothing')).refused(404, 'unknown-dead-letter');
    (await me.post('/v1/dead-letters/nothing/redrive')).refused(404, 'unknown-dead-letter');
    (await me.delete('/v1/dead-letters/nothing')).refused(404, 'unknown-dead-letter');
  });
});

describe('redrive', () => {
  it('of one: 202 pending; delivered, it is resolved and open no more; again it is 202 and nothing is sent twice', async () => {
    const [letter] = await die('redriven', 1);
    const id = letter?.id ?? '';
    refusing.delete('redriven');
    expect((await me.post(`/v1/dead-letters/${id}/redrive`)).is(202)).toEqual({ id, status: 'pending' });
    await delivered('redriven', 1);
    const [resolved] = await letters('redriven', 1, 'resolved');
    expect(resolved).toMatchObject({
      id,
      redrivenAt: expect.stringMatching(/Z$/),
      resolvedAt: expect.stringMatching(/Z$/),
    });
    expect(await listed('subscription=redriven')).toEqual([]);
    expect(await view('redriven')).toMatchObject({ dead: 0, delivered: 1, pending: 0 });
    const tries = receiver.book.filter(({ topic }) => topic === 'redriven');
    expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(tries.map(({ webhookId }) => webhookId)).size).toBe(1);
    expect((await me.post(`/v1/dead-letters/${id}/redrive`)).is(202)).toMatchObject({ id });
    await me.publish('redriven', { type: 'next' });
    await delivered('redriven', 2);
    expect(receiver.book.filter(({ topic }) => topic === 'redriven')).toHaveLength(4);
  });

  it('that fails again: the schedule starts afresh, attempts counts on, the letter is open again under its id', async () => {
    const [letter] = await die('twice', 1);
    (await me.post(`/v1/dead-letters/${letter?.id}/redrive`)).is(202);
    const again = await eventually('it died again', async () => {
      const [one] = await api.deadLetters({ subscription: 'twice' });
      return one?.attempts === 4 && one;
    });
    expect(again).toMatchObject({ id: letter?.id, resolvedAt: null });
    expect(await view('twice')).toMatchObject({ dead: 1, pending: 0 });
  });

  it('by a filter: 202 with a job and how many', async () => {
    await die('many', 7);
    await die('spared', 2);
    refusing.delete('many');
    const answer = (await me.post('/v1/dead-letters/redrive', { subscription: 'many', reason: 'exhausted' })).is(202);
    expect(answer).toEqual({ job: expect.stringMatching(/./), count: 7 });
    await delivered('many', 7);
    await letters('many', 7, 'resolved');
    expect(await view('spared')).toMatchObject({ dead: 2, pending: 0 });
    const none = { subscription: 'spared', until: '2020-01-01T00:00:00Z' };
    expect((await me.post('/v1/dead-letters/redrive', none)).is(202)).toMatchObject({ count: 0 });
  });

  it('without a filter is 400 filter-required', async () => {
    (await me.post('/v1/dead-letters/redrive', {})).refused(400, 'filter-required');
    (await me.post('/v1/dead-letters/redrive')).refused(400, 'filter-required');
    (await me.delete('/v1/dead-letters')).refused(400, 'filter-required');
    (await me.post('/v1/dead-letters/redrive', { reason: 'bored' })).refused(400, null, 'reason');
    (await me.post('/v1/dead-letters/redrive', { since: 7 })).refused(400, null, 'since');
  });

  it('where the subscription is gone is 409 unknown-subscription; the letter stays and can be discarded', async () => {
    const [letter] = await die('orphan', 1);
    (await me.delete('/v1/subscriptions/orphan')).isEmpty();
    (await me.post(`/v1/dead-letters/${letter?.id}/redrive`)).refused(409, 'unknown-subscription');
    expect((await me.get(`/v1/dead-letters/${letter?.id}`)).is(200)).toMatchObject({
      resolvedAt: null,
      discardedAt: null,
    });
    (await me.delete(`/v1/dead-letters/${letter?.id}`)).isEmpty();
    await letters('orphan', 1, 'discarded');
  });
});

describe('DELETE', () => {
  it('of one: 204, it is discarded and counted so', async () => {
    const [letter] = await die('discarded', 2);
    (await me.delete(`/v1/dead-letters/${letter?.id}`)).isEmpty();
    const [gone] = await letters('discarded', 1, 'discarded');
    expect(gone).toMatchObject({ id: letter?.id, discardedAt: expect.stringMatching(/Z$/), resolvedAt: null });
    expect(await view('discarded')).toMatchObject({ dead: 1, discarded: 1, pending: 0, delivered: 0 });
    const rows = (await me.get(`/v1/topics/discarded/events/${letter?.sequence}/deliveries`)).is<{ items: object[] }>(
      200,
    );
    expect(rows.items).toMatchObject([{ subscription: 'discarded', status: 'discarded' }]);
  });

  it('by a filter in the query: 202', async () => {
    await die('swept', 4);
    const answer = await me.delete('/v1/dead-letters?subscription=swept&topic=swept');
    expect(answer.is(202)).toMatchObject({ count: 4 });
    await letters('swept', 4, 'discarded');
    await eventually('counted', async () => (await view('swept')).discarded === 4);
    expect(await view('swept')).toMatchObject({ dead: 0, discarded: 4 });
    (await me.delete('/v1/dead-letters?colour=red')).refused(400, null, 'colour');
  });
});
