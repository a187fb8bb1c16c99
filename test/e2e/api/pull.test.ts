import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Pull consumers: any program over HTTP, several of which share the work. */

interface Delivery {
  ackId: string;
  attempt: number;
  event: { id: string; sequence: string; topic: string; data: unknown };
}
interface AckedId {
  ackId: string;
  ok: boolean;
  code?: string;
}

let hub: TestHub;
let me: Stranger;
let api: ApiClient;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
});
afterAll(() => hub.stop());

async function subscribe(name: string, change: object = {}, delivery: object = {}): Promise<void> {
  const body = { topics: [name], from: 'earliest', ...change, delivery: { kind: 'pull', ...delivery } };
  (await me.put(`/v1/subscriptions/${name}`, body)).is(201);
}

const pull = async (name: string, body: object = {}) =>
  (await me.post(`/v1/subscriptions/${name}/pull`, body)).is<{ deliveries: Delivery[] }>(200).deliveries;
const settle = async (name: string, action: string, deliveries: Delivery[], more: object = {}) =>
  (await me.post(`/v1/subscriptions/${name}/${action}`, { ackIds: deliveries.map(({ ackId }) => ackId), ...more })).is<{
    results: AckedId[];
  }>(200).results;
const sequences = (deliveries: Delivery[]) => deliveries.map(({ event }) => Number(event.sequence));

interface View {
  status: string;
  lag: number;
  waiting: number;
  pending: number;
  inFlight: number;
  delivered: number;
  dead: number;
  filtered: number;
  skipped: number;
  discarded: number;
}

async function balanced(name: string, published: number): Promise<View> {
  const view = (await me.get(`/v1/subscriptions/${name}`)).is<View>(200);
  const { delivered, dead, pending, waiting, filtered, skipped, discarded } = view;
  expect(delivered + dead + pending + waiting + filtered + skipped + discarded).toBe(published);
  return view;
}

describe('a pull subscription', () => {
  it('is answered with its defaults, and makes no secret', async () => {
    const made = await me.put('/v1/subscriptions/plain', { topics: ['plain'], delivery: { kind: 'pull' } });
    expect(made.is(201)).toMatchObject({
      maxInFlight: 1_000,
      delivery: { kind: 'pull', ackDeadline: '30s', maxDeliveries: 10 },
    });
    const got = (await me.get('/v1/subscriptions/plain')).is<object>(200);
    expect((await me.put('/v1/subscriptions/plain', got)).is(200)).toMatchObject({ delivery: { kind: 'pull' } });
    for (const [method, path] of [
      ['GET', 'secret'],
      ['POST', 'rotate-secret'],
      ['POST', 'test'],
    ] as const) {
      expect((await api.request(method, `/v1/subscriptions/plain/${path}`)).status).toBe(409);
    }
  });

  it('hands out, takes back, holds for longer, rejects; and the sums come out', async () => {
    await subscribe('one');
    for (let n = 0; n < 4; n += 1) await me.publish('one', { type: 'order.created', data: { n } });
    const all = await pull('one', { max: 10 });
    expect(all).toMatchObject([0, 1, 2, 3].map((n) => ({ attempt: 1, event: { data: { n }, topic: 'one' } })));
    const [first, second, third, fourth] = all;
    if (!first || !second || !third || !fourth) throw new Error('Four were pulled.');
    expect(await settle('one', 'ack', [first])).toEqual([{ ackId: first.ackId, ok: true }]);
    expect(await settle('one', 'ack', [first])).toEqual([{ ackId: first.ackId, ok: true }]);
    expect(await settle('one', 'nack', [second], { reason: 'Not now.' })).toMatchObject([{ ok: true }]);
    expect(await settle('one', 'nack', [third], { reject: true, reason: 'No.' })).toMatchObject([{ ok: true }]);
    expect(await settle('one', 'extend', [fourth], { by: '10m' })).toMatchObject([{ ok: true }]);
    expect(await pull('one')).toMatchObject([{ attempt: 2, event: { data: { n: 1 } } }]);
    expect(await balanced('one', 4)).toMatchObject({ delivered: 1, dead: 1, inFlight: 2 });
    const letters = await eventually('the letter is there', async () => {
      const { items } = (await me.get('/v1/dead-letters?subscription=one')).is<{ items: object[] }>(200);
      return items.length > 0 && items;
    });
    expect(letters).toMatchObject([{ reason: 'rejected', lastError: 'No.' }]);
  });

  it('says of each id what is wrong with it, and nothing of another subscription', async () => {
    await subscribe('mine');
    await subscribe('theirs', { topics: ['mine'] });
    await me.publish('mine', { type: 't' });
    const mine = await pull('mine');
    const theirs = await pull('theirs');
    const [held] = mine;
    if (!held) throw new Error('One was pulled.');
    const results = await settle('mine', 'ack', [...theirs, { ...held, ackId: 'made-up' }, held]);
    expect(results.map(({ ok, code }) => code ?? ok)).toEqual(['stale-ack-id', 'invalid-ack-id', true]);
    expect(await settle('theirs', 'ack', theirs)).toMatchObject([{ ok: true }]);
  });

  it.each([
    ['pull', { max: 0 }],
    ['pull', { wait: '2m' }],
    ['ack', {}],
    ['nack', { ackIds: ['x'], delay: '1y' }],
    ['extend', { ackIds: ['x'], by: '7d' }],
  ])('refuses %s %j', async (action, body) => {
    expect((await me.post(`/v1/subscriptions/plain/${action}`, body)).status).toBe(400);
  });

  it('is not what a webhook is: 409', async () => {
    (await me.put('/v1/subscriptions/hook', { topics: ['x'], delivery: { url: 'http://localhost:9/hook' } })).is(201);
    for (const [action, body] of [
      ['pull', {}],
      ['ack', { ackIds: ['x'] }],
    ] as const) {
      (await me.post(`/v1/subscriptions/hook/${action}`, body)).refused(409, 'wrong-delivery-kind');
    }
  });

  it('answers a long poll as soon as there is something', async () => {
    await subscribe('patient');
    const asked = Date.now();
    const waiting = pull('patient', { wait: '60s' });
    await eventually('somebody waits', async () => (await balanced('patient', 0)).status === 'active');
    await me.publish('patient', { type: 'order.created', data: 1 });
    expect(await waiting).toMatchObject([{ event: { data: 1 } }]);
    expect(Date.now() - asked).toBeLessThan(20_000);
    expect(await pull('patient', { wait: '100ms' })).toEqual([]);
  });
});

describe('who hangs up while he waits', () => {
  it('takes nothing with him for longer than its deadline', async () => {
    await subscribe('left', {}, { ackDeadline: '1s' });
    const hangUp = new AbortController();
    const gone = fetch(`${hub.url}/v1/subscriptions/left/pull`, {
      method: 'POST',
      headers: { authorization: `Bearer ${hub.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ wait: '60s' }),
      signal: hangUp.signal,
    });
    gone.catch(() => undefined);
    // By the time that this is answered the hub has heard of him.
    expect(await pull('left', { wait: '1s' })).toEqual([]);
    hangUp.abort();
    await expect(gone).rejects.toThrow();
    await me.publish('left', { type: 'order.created' });
    // `wrangler dev` does not tell a Worker that its caller is gone; Cloudflare does, and the attempt is the first then.
    expect(await pull('left', { wait: '30s' })).toHaveLength(1);
  });
});

describe('P4, P5: several workers share the work, and everything is killed meanwhile', () => {
  it('each event is done at least once, in order by key, and the books balance', async () => {
    const events = 600;
    await subscribe('shared', { ordering: 'key' }, { ackDeadline: '2s', maxDeliveries: 1_000 });
    await api.publish(
      'shared',
      Array.from({ length: events }, (_, n) => ({
        id: `n${n}`,
        type: 'order.created',
        subject: `k${n % 20}`,
        data: { n },
      })),
    );
    const arrivals: number[] = [];
    const done = new Set<number>();
    let over = false;
    const work = async (dies: boolean): Promise<void> => {
      while (!over) {
        try {
          const deliveries = await pull('shared', { max: 10, wait: '1s' });
          arrivals.push(...sequences(deliveries));
          // A worker that dies with what it holds: others get it once its time is over.
          if (dies && Math.random() < 0.1) continue;
          const results = await settle('shared', 'ack', deliveries);
          results.forEach(({ ok }, index) => {
            const sequence = Number(deliveries[index]?.event.sequence);
            if (ok) done.add(sequence);
          });
        } catch {
          // The hub is down: it asks again.
        }
      }
    };
    const workers = [work(false), work(false), work(true)];
    await eventually('a third is done', () => done.size > events / 3, 60_000);
    await hub.kill9();
    await hub.start();
    await eventually('all is done', async () => (await balanced('shared', events)).delivered === events, 120_000);
    over = true;
    await Promise.all(workers);
    expect(new Set(arrivals).size).toBe(events);
    expect(await balanced('shared', events)).toMatchObject({ delivered: events, pending: 0, waiting: 0, lag: 0 });
    // Of each key the first arrivals come in order.
    for (let key = 0; key < 20; key += 1) {
      const own = [...new Set(arrivals)].filter((sequence) => (sequence - 1) % 20 === key);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
  });

  it('what was held when everything was killed is held still', async () => {
    await subscribe('kept', {}, { ackDeadline: '10m' });
    await me.publish('kept', { type: 'order.created' });
    const held = await pull('kept');
    expect(held).toHaveLength(1);
    await hub.kill9();
    await hub.start();
    expect(await pull('kept')).toEqual([]);
    expect(await settle('kept', 'ack', held)).toMatchObject([{ ok: true }]);
    expect(await balanced('kept', 1)).toMatchObject({ delivered: 1 });
  });
});
