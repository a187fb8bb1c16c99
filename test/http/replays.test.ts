import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { ReplayView } from '../../src/subscriptions/protocol-views.ts';
import { FakeHub } from './fake-hub.ts';
import { configurationOf, subscriptionView, topicDescription } from './views.ts';

function replay(changes: Partial<ReplayView> = {}): ReplayView {
  return {
    id: 'rpl_a',
    topic: 'orders',
    subscription: 'billing',
    status: 'running',
    from: 1,
    to: 9,
    filter: { types: [], cel: null },
    rateLimit: null,
    total: 9,
    delivered: 4,
    failed: 1,
    filtered: 1,
    remaining: 3,
    createdAt: Date.UTC(2026, 10, 23),
    endedAt: null,
    error: null,
    ...changes,
  };
}

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  hub.topic('orders').describe.mockResolvedValue(topicDescription('orders'));
  const view = subscriptionView('billing', ['orders', 'refunds']);
  hub.subscription('billing').configuration.mockResolvedValue(configurationOf(view));
  hub.subscription('billing').startReplay.mockImplementation(async ({ id, filter, rateLimit }) => ({
    outcome: 'started',
    replay: replay({ id, filter, rateLimit }),
  }));
});

const BODY = { subscription: 'billing', from: 'earliest' };
const post = (body: unknown = BODY, key?: string) =>
  hub.call('POST', '/v1/topics/orders/replays', body, key === undefined ? {} : { key });
const asked = () => hub.subscription('billing').startReplay.mock.lastCall?.[0];

describe('POST /v1/topics/{topic}/replays', () => {
  it('takes back what a GET gave, as a replay like that one', async () => {
    const { body: first } = await post({ ...BODY, filter: { types: ['order.*'] }, rateLimit: { perSecond: 5 } });
    expect((await post(first)).status).toBe(202);
    expect(asked()).toMatchObject({
      from: { kind: 'sequence', sequence: 1 },
      to: { kind: 'sequence', sequence: 9 },
      filter: { types: ['order.*'], cel: null },
      rateLimit: { count: 5, spanMs: 1_000 },
    });
    expect(await post({ ...BODY, topic: 'refunds' })).toMatchObject({
      status: 400,
      body: { code: 'invalid-request', errors: [{ path: 'topic' }] },
    });
  });

  it('starts a replay and says how far it is', async () => {
    const made = await post();
    expect(made).toMatchObject({
      status: 202,
      body: {
        id: expect.stringMatching(/^rpl_[a-z2-7]{26}$/),
        topic: 'orders',
        subscription: 'billing',
        status: 'running',
        from: 1,
        to: 9,
        filter: null,
        rateLimit: null,
        total: 9,
        remaining: 3,
        createdAt: '2026-11-23T00:00:00.000Z',
        endedAt: null,
        error: null,
      },
    });
    expect(asked()).toMatchObject({
      v: 1,
      topic: 'orders',
      from: { kind: 'earliest' },
      to: null,
      filter: { types: [], cel: null },
    });
  });

  it('takes a range, a filter and a rate', async () => {
    const body = {
      ...BODY,
      from: 3,
      to: { sequence: 7 },
      filter: { types: ['order.*'] },
      rateLimit: { perMinute: 30 },
    };
    expect((await post(body)).body).toMatchObject({
      filter: { types: ['order.*'], cel: null },
      rateLimit: { perMinute: 30 },
    });
    expect(asked()).toMatchObject({
      from: { kind: 'sequence', sequence: 3 },
      to: { kind: 'sequence', sequence: 7 },
      filter: { types: ['order.*'], cel: null },
      rateLimit: { count: 30, spanMs: 60_000 },
    });
    await post({ ...BODY, rateLimit: { perSecond: 5 } });
    expect(asked()?.rateLimit).toEqual({ count: 5, spanMs: 1_000 });
  });

  it.each([
    ['no subscription', { from: 'earliest' }, 'subscription'],
    ['no start', { subscription: 'billing' }, 'from'],
    ['a bad end', { ...BODY, to: 'yesterday' }, 'to'],
    ['an unknown field', { ...BODY, until: 4 }, 'until'],
    ['a rate of nothing', { ...BODY, rateLimit: { perSecond: 0 } }, 'rateLimit.perSecond'],
    ['a rate in two spans', { ...BODY, rateLimit: { perSecond: 1, perMinute: 2 } }, 'rateLimit'],
  ])('refuses %s', async (_, body, path) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { errors: [{ path }] } });
    expect(hub.subscription('billing').startReplay).not.toHaveBeenCalled();
  });

  it('takes an expression that has no mistake in it', async () => {
    const filter = { types: [], cel: 'data.amount > 100' };
    expect(await post({ ...BODY, filter })).toMatchObject({ status: 202, body: { filter } });
    expect(asked()).toMatchObject({ filter });
    expect(await post({ ...BODY, filter: { cel: 'data.amount >' } })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'filter.cel', message: 'unexpected > at line 1, column 13' }] },
    });
  });

  it('needs replays, and read on the topic and on all that the subscription names', async () => {
    expect((await post(BODY, hub.keyWith('read:>', 'subscriptions:*'))).status).toBe(403);
    expect((await post(BODY, hub.keyWith('replays', 'read:refunds'))).status).toBe(403);
    expect((await post(BODY, hub.keyWith('replays', 'read:orders'))).status).toBe(403);
    expect((await post(BODY, hub.keyWith('replays', 'read:orders', 'read:refunds'))).status).toBe(202);
  });

  it('turns every refusal into its problem', async () => {
    const { startReplay } = hub.subscription('billing');
    expect(await hub.call('POST', '/v1/topics/nothing/replays', BODY)).toMatchObject({
      status: 404,
      body: { code: 'unknown-topic' },
    });
    expect(await post({ ...BODY, subscription: 'nobody' })).toMatchObject({
      status: 404,
      body: { code: 'unknown-subscription' },
    });
    startReplay.mockResolvedValueOnce({ outcome: 'topic-not-subscribed' });
    expect(await post()).toMatchObject({ status: 409, body: { code: 'topic-not-subscribed' } });
    startReplay.mockResolvedValueOnce({ outcome: 'invalid-range' });
    expect(await post()).toMatchObject({ status: 400, body: { code: 'invalid-range', errors: [{ path: 'to' }] } });
    startReplay.mockResolvedValueOnce({ outcome: 'sequence-expired', firstSequence: 5 });
    expect(await post()).toMatchObject({ status: 410, body: { code: 'sequence-expired', firstSequence: 5 } });
    startReplay.mockResolvedValueOnce({ outcome: 'position-ahead', end: 'to', lastSequence: 5 });
    expect(await post({ ...BODY, to: 6 })).toMatchObject({
      status: 400,
      body: { code: 'position-ahead', lastSequence: 5, errors: [{ path: 'to' }] },
    });
  });
});

describe('a replay', () => {
  beforeEach(async () => {
    const catalog = new Catalog(hub.d1);
    for (const [index, id] of ['rpl_a', 'rpl_b', 'rpl_c', 'rpl_d'].entries()) {
      const topic = id === 'rpl_c' ? 'refunds' : 'orders';
      await catalog.putReplay({ id, subscription: 'billing', topic, createdAt: index });
    }
    // One whose subscription is gone is not listed.
    hub.subscription('billing').replay.mockImplementation(async (id) => (id === 'rpl_b' ? null : replay({ id })));
  });

  it('is listed newest first, where its topic may be read', async () => {
    const list = async (query: string, key: string) =>
      (await hub.call('GET', `/v1/replays${query}`, undefined, { key })).body;
    const reader = hub.keyWith('replays', 'read:orders');
    const first = await list('?limit=1', reader);
    expect(first).toMatchObject({ items: [{ id: 'rpl_d' }], next: expect.any(String) });
    expect(await list(`?cursor=${first.next}`, reader)).toMatchObject({ items: [{ id: 'rpl_a' }], next: null });
    expect((await list('', hub.keyWith('replays', 'read:>'))).items).toHaveLength(3);
    expect(await list('', hub.keyWith('replays'))).toEqual({ items: [], next: null });
    expect((await hub.call('GET', '/v1/replays', undefined, { key: hub.keyWith('read:>') })).status).toBe(403);
    expect((await hub.call('GET', '/v1/replays?cursor=!')).status).toBe(400);
  });

  it('of a deleted subscription makes no empty page', async () => {
    const page = z.object({ items: z.array(z.object({ id: z.string() })), next: z.string().nullable() });
    const pages: string[][] = [];
    let cursor = '';
    do {
      const { body } = await hub.call('GET', `/v1/replays?limit=1${cursor}`);
      const { items, next } = page.parse(body);
      pages.push(items.map(({ id }) => id));
      cursor = next === null ? '' : `&cursor=${next}`;
    } while (cursor !== '');
    expect(pages).toEqual([['rpl_d'], ['rpl_c'], ['rpl_a']]);
  });

  it('is read by its id', async () => {
    expect((await hub.call('GET', '/v1/replays/rpl_a')).body).toMatchObject({ id: 'rpl_a', delivered: 4 });
    for (const id of ['rpl_b', 'rpl_z']) {
      expect(await hub.call('GET', `/v1/replays/${id}`)).toMatchObject({
        status: 404,
        body: { code: 'unknown-replay' },
      });
    }
    const blind = await hub.call('GET', '/v1/replays/rpl_a', undefined, {
      key: hub.keyWith('replays', 'read:refunds'),
    });
    expect(blind.status).toBe(403);
  });

  it('gets another rate by a PUT, also of all that a GET gave', async () => {
    const { changeReplay } = hub.subscription('billing');
    changeReplay.mockImplementation(async (id, rateLimit) => replay({ id, rateLimit }));
    const got = await hub.call('GET', '/v1/replays/rpl_a');
    const changed = await hub.call('PUT', '/v1/replays/rpl_a', { ...got.body, rateLimit: { perSecond: 2 } });
    expect(changed).toMatchObject({ status: 200, body: { rateLimit: { perSecond: 2 } } });
    expect((await hub.call('PUT', '/v1/replays/rpl_a', { rateLimit: null })).body.rateLimit).toBeNull();
    expect((await hub.call('PUT', '/v1/replays/rpl_a', {})).status).toBe(400);
    expect((await hub.call('PUT', '/v1/replays/rpl_a', { rateLimit: null, rate: 1 })).status).toBe(400);
  });

  it('has no rate to change once it has ended', async () => {
    const billing = hub.subscription('billing');
    billing.replay.mockResolvedValue(replay({ id: 'rpl_a', status: 'done' }));
    expect(await hub.call('PUT', '/v1/replays/rpl_a', { rateLimit: { perSecond: 2 } })).toMatchObject({
      status: 409,
      body: { code: 'replay-ended' },
    });
    expect(billing.changeReplay).not.toHaveBeenCalled();
  });

  it('is cancelled once or twice with the same answer', async () => {
    const { cancelReplay } = hub.subscription('billing');
    cancelReplay.mockResolvedValueOnce(true);
    expect((await hub.call('DELETE', '/v1/replays/rpl_a')).status).toBe(204);
    expect((await hub.call('DELETE', '/v1/replays/rpl_a')).status).toBe(204);
    expect((await hub.call('DELETE', '/v1/replays/rpl_b')).status).toBe(404);
  });
});
