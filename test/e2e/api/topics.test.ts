import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { all, type Stranger, startStranger } from './support/stranger.ts';

/** Topics: made, read, replaced, listed, deleted. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

const NO_RETENTION = { maxAge: null, maxEvents: null, maxBytes: null };
const fresh = {
  description: '',
  retention: NO_RETENTION,
  deduplicationWindow: '24h',
  validation: 'off',
  compaction: false,
  partitions: 1,
  firstSequence: 1,
  lastSequence: 0,
  events: 0,
  bytes: 0,
  subscriptions: 0,
  createdAt: expect.stringMatching(/Z$/),
};

describe('PUT and GET /v1/topics/{topic}', () => {
  it('all fields are optional; the answer has the configuration with its defaults and the counts', async () => {
    const made = (await me.put('/v1/topics/plain', {})).is(201);
    expect(made).toEqual({ name: 'plain', ...fresh });
    expect((await me.get('/v1/topics/plain')).is(200)).toEqual(made);
    expect((await me.ask('PUT', '/v1/topics/no-body')).is(201)).toEqual({ name: 'no-body', ...fresh });
  });

  it('replaces the whole document: what is left out has its default again', async () => {
    const config = { description: 'All orders ☃', deduplicationWindow: '7d' };
    expect((await me.put('/v1/topics/replaced', config)).is(201)).toMatchObject(config);
    expect((await me.put('/v1/topics/replaced', { description: 'Other' })).is(200)).toMatchObject({
      description: 'Other',
      deduplicationWindow: '24h',
    });
  });

  it.each(['0s', '500ms', '15s', '5m', '24h', '7d', '90d', '2160h'])(
    'takes the window %s',
    async (deduplicationWindow) => {
      (await me.put('/v1/topics/window', { deduplicationWindow })).as();
      expect((await me.put('/v1/topics/window', { deduplicationWindow })).status).toBe(200);
    },
  );

  it.each([
    ['deduplicationWindow', '91d'],
    ['deduplicationWindow', '24'],
    ['deduplicationWindow', '1.5h'],
    ['deduplicationWindow', '-1s'],
    ['deduplicationWindow', 'PT1H'],
    ['deduplicationWindow', ''],
    ['deduplicationWindow', 86_400],
    ['deduplicationWindow', null],
    ['description', 7],
    ['description', null],
    ['description', 'x'.repeat(100_000)],
  ])('refuses %s: %j', async (name, value) => {
    (await me.put('/v1/topics/refused', { [name]: value })).refused(400, null, name);
    (await me.get('/v1/topics/refused')).refused(404, 'unknown-topic');
  });

  it('counts events, bytes and subscriptions', async () => {
    await me.publish('counted', [{ type: 'a' }, { type: 'b', data: 'x'.repeat(1000) }]);
    (await me.put('/v1/subscriptions/counts', { topics: ['counted'], delivery: { url: receiver.url } })).is(201);
    const topic = (await me.get('/v1/topics/counted')).is<{ bytes: number }>(200);
    expect(topic).toMatchObject({ firstSequence: 1, lastSequence: 2, events: 2, subscriptions: 1 });
    expect(topic.bytes).toBeGreaterThan(1000);
    (await me.delete('/v1/subscriptions/counts')).isEmpty();
    await eventually('it is let go of', async () => (await api.topic('counted')).subscriptions === 0);
  });
});

describe('GET /v1/topics', () => {
  it('lists what PUT and publishing made within 5 s, each as its GET has it', async () => {
    (await me.put('/v1/topics/listed-1', {})).is(201);
    await me.publish('listed-2', { type: 'a' });
    const items = await eventually(
      'both are listed',
      async () => {
        const found = await all<{ name: string }>(me, '/v1/topics');
        return ['listed-1', 'listed-2'].every((name) => found.some((topic) => topic.name === name)) && found;
      },
      5_000,
    );
    for (const name of ['listed-1', 'listed-2']) {
      expect(items.find((topic) => topic.name === name)).toEqual((await me.get(`/v1/topics/${name}`)).is(200));
    }
  });
});

describe('DELETE /v1/topics/{topic}', () => {
  it('deletes the events; made again, the topic goes on counting from where it was', async () => {
    await me.publish('again', [{ type: 'a', id: 'one' }, { type: 'b' }]);
    (await me.delete('/v1/topics/again')).isEmpty();
    (await me.get('/v1/topics/again')).refused(404, 'unknown-topic');
    (await me.get('/v1/topics/again/events')).refused(404, 'unknown-topic');
    await eventually('it is listed no more', async () => {
      return !(await all<{ name: string }>(me, '/v1/topics')).some(({ name }) => name === 'again');
    });
    expect((await me.put('/v1/topics/again', {})).is(201)).toMatchObject({
      firstSequence: 3,
      lastSequence: 2,
      events: 0,
    });
    const [receipt] = await me.publish('again', { type: 'c' });
    expect(receipt?.sequence).toBe(3);
  });

  it('is refused where a subscription names it exactly, and not where a pattern matches it', async () => {
    await me.publish('named.one', { type: 'a' });
    (await me.put('/v1/subscriptions/by-pattern', { topics: ['named.*'], delivery: { url: receiver.url } })).is(201);
    (await me.put('/v1/subscriptions/by-name', { topics: ['named.one'], delivery: { url: receiver.url } })).is(201);
    (await me.delete('/v1/topics/named.one')).refused(409, 'topic-has-subscriptions');
    expect((await me.get('/v1/topics/named.one')).is(200)).toMatchObject({ lastSequence: 1 });
    (await me.delete('/v1/subscriptions/by-name')).isEmpty();
    await eventually('it can be deleted', async () => (await me.delete('/v1/topics/named.one')).status === 204);
    (await me.delete('/v1/subscriptions/by-pattern')).isEmpty();
  });

  it('with ?force=true makes dead letters (expired) of what is pending, and the sums hold', async () => {
    receiver.answer = ({ topic }) => (topic === 'forced' ? 503 : 200);
    const document = { topics: ['forced'], retry: { schedule: ['1h'] }, delivery: { url: receiver.url } };
    (await me.put('/v1/subscriptions/forced', document)).is(201);
    await me.publish(
      'forced',
      Array.from({ length: 3 }, (_, index) => ({ type: 'a', id: `f${index}` })),
    );
    await eventually('all wait for a retry', async () => (await api.subscription('forced')).retrying === 3);
    (await me.delete('/v1/topics/forced?force=true')).isEmpty();
    const letters = await eventually('they are dead letters', async () => {
      const found = await api.deadLetters({ subscription: 'forced' });
      return found.length === 3 && found;
    });
    expect(letters.map(({ reason, topic, event }) => [reason, topic, event.id]).sort()).toEqual([
      ['expired', 'forced', 'f0'],
      ['expired', 'forced', 'f1'],
      ['expired', 'forced', 'f2'],
    ]);
    expect(await api.subscription('forced')).toMatchObject({ pending: 0, dead: 3, waiting: 0 });
    receiver.answer = () => 200;
    await me.publish('forced', { type: 'after' });
    await eventually('the subscription goes on with the topic made again', () => receiver.taken('forced').includes(4));
  });

  it('takes true and false only, and 404 where there is nothing', async () => {
    (await me.delete('/v1/topics/plain?force=perhaps')).refused(400, null, 'force');
    (await me.delete('/v1/topics/nothing')).refused(404, 'unknown-topic');
    (await me.delete('/v1/topics/nothing?force=true')).refused(404, 'unknown-topic');
  });
});
