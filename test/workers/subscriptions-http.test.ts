import { env, SELF } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** Subscriptions, replays and dead letters in workerd: HTTP, objects, queues and D1 together; only the receiver is faked. */

const URL = 'http://localhost:9999/hook';
const PATIENCE_MS = 20_000;

type Answer = Record<string, unknown>;

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }> {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
}

/** What comes of asking until it is there. */
async function eventually<T>(ask: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`It did not happen within ${PATIENCE_MS} ms.`);
    await scheduler.wait(25);
  }
}

/** Until a GET answers with all of `wanted`. */
const settled = (path: string, wanted: Answer) =>
  eventually(async () => {
    const { body } = await call('GET', path);
    return Object.entries(wanted).every(([name, value]) => body[name] === value) && body;
  });

const rows = (body: Answer): Answer[] => (Array.isArray(body.items) ? body.items : []);

/** The receiver: what it got, and with what it answers. */
const received: { headers: Headers; body: Answer }[] = [];
let answer = 200;

beforeEach(() => {
  received.length = 0;
  answer = 200;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    received.push({ headers: request.headers, body: await request.json() });
    return new Response('thanks', { status: answer });
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function subscribe(name: string, topic: string, changes: Answer = {}) {
  const body = { topics: [topic], retry: { schedule: [], jitter: 0 }, delivery: { url: URL }, ...changes };
  const made = await call('PUT', `/v1/subscriptions/${name}`, body);
  expect(made).toMatchObject({ status: 201, body: { delivery: { secret: expect.stringMatching(/^whsec_/) } } });
}

async function publish(topic: string, count = 1) {
  for (let index = 0; index < count; index += 1) {
    const published = await call('POST', `/v1/topics/${topic}/events`, { type: 'order.created', data: { index } });
    expect(published.status).toBe(201);
  }
}

describe('a subscription in workerd', () => {
  it('is made, read, put back unchanged, and delivers what comes after its 201', async () => {
    await subscribe('http-a', 'http-a-orders');
    const got = await call('GET', '/v1/subscriptions/http-a');
    const again = await call('PUT', '/v1/subscriptions/http-a', got.body);
    expect(again.status).toBe(200);
    await publish('http-a-orders', 3);
    const view = await settled('/v1/subscriptions/http-a', { delivered: 3 });
    expect(view).toMatchObject({ lag: 0, waiting: 0, pending: 0, dead: 0, cursor: 3, status: 'active' });
    expect(received).toHaveLength(3);
    expect(received[0]?.headers.get('millrace-topic')).toBe('http-a-orders');
    expect(received[0]?.body).toMatchObject({ type: 'order.created', topic: 'http-a-orders' });

    const deliveries = await call('GET', '/v1/topics/http-a-orders/events/2/deliveries');
    expect(deliveries.body).toMatchObject({
      items: [{ subscription: 'http-a', status: 'delivered', attempts: 1, lastStatus: 200, deadLetter: null }],
      next: null,
    });
    const attempts = await call('GET', '/v1/subscriptions/http-a/attempts?sequence=2');
    expect(attempts.body.items).toMatchObject([
      { sequence: 2, attempt: 1, status: 200, outcome: 'delivered', response: 'thanks' },
    ]);
    const standings = await call('GET', '/v1/subscriptions/http-a/topics');
    expect(standings.body.items).toMatchObject([{ topic: 'http-a-orders', cursor: 3, lastSequence: 3, lag: 0 }]);
    const list = await call('GET', '/v1/subscriptions?limit=1000');
    expect(rows(list.body).map(({ name }) => name)).toContain('http-a');
  });

  it('tests its receiver, shows and rotates its secret, pauses, resumes and is deleted', async () => {
    await subscribe('http-b', 'http-b-orders');
    const tested = await call('POST', '/v1/subscriptions/http-b/test');
    expect(tested).toMatchObject({ status: 200, body: { ok: true, status: 200, body: 'thanks' } });
    expect(received[0]?.body.type).toBe('millrace.test');
    const { body: before } = await call('GET', '/v1/subscriptions/http-b/secret');
    const { body: rotated } = await call('POST', '/v1/subscriptions/http-b/rotate-secret', { overlap: '1h' });
    const { body: after } = await call('GET', '/v1/subscriptions/http-b/secret');
    expect(after).toMatchObject({ secret: rotated.secret, previous: { secret: before.secret } });

    expect((await call('POST', '/v1/subscriptions/http-b/pause')).body.status).toBe('paused');
    await publish('http-b-orders');
    expect((await call('POST', '/v1/subscriptions/http-b/resume')).body.status).toBe('active');
    await settled('/v1/subscriptions/http-b', { delivered: 1 });
    const sought = await call('POST', '/v1/subscriptions/http-b/seek', { to: 'earliest' });
    expect(sought).toMatchObject({
      status: 200,
      body: { topics: [{ topic: 'http-b-orders', cursor: 0, skipped: 0 }] },
    });
    await eventually(async () => received.length === 3);
    expect((await call('POST', '/v1/subscriptions/http-b/seek', { to: 99 })).body.code).toBe('position-ahead');

    expect((await call('DELETE', '/v1/subscriptions/http-b')).status).toBe(204);
    expect((await call('GET', '/v1/subscriptions/http-b')).status).toBe(404);
    expect((await call('DELETE', '/v1/subscriptions/http-b')).status).toBe(404);
  });

  it('P4: a dead letter is listed, redriven and resolved; another is discarded', async () => {
    await subscribe('http-c', 'http-c-orders');
    answer = 500;
    await publish('http-c-orders', 2);
    const path = '/v1/dead-letters?subscription=http-c';
    const dead = await eventually(async () => {
      const found = rows((await call('GET', path)).body);
      return found.length === 2 && found;
    });
    expect(dead[0]).toMatchObject({ topic: 'http-c-orders', reason: 'exhausted', attempts: 1, lastStatus: 500 });
    const [first, second] = dead.map(({ id }) => String(id));
    const deliveries = await call('GET', `/v1/topics/http-c-orders/events/${dead[0]?.sequence}/deliveries`);
    expect(rows(deliveries.body)).toMatchObject([{ status: 'dead', deadLetter: first }]);

    answer = 200;
    const redriven = await call('POST', `/v1/dead-letters/${first}/redrive`);
    expect(redriven).toEqual({ status: 202, body: { id: first, status: 'pending' } });
    await eventually(async () => (await call('GET', `/v1/dead-letters/${first}`)).body.resolvedAt !== null);
    expect((await call('POST', `/v1/dead-letters/${first}/redrive`)).status).toBe(202);
    expect((await call('DELETE', `/v1/dead-letters/${second}`)).status).toBe(204);
    await eventually(async () => (await call('GET', `/v1/dead-letters/${second}`)).body.discardedAt !== null);
    expect(await call('GET', '/v1/subscriptions/http-c')).toMatchObject({
      body: { delivered: 1, discarded: 1, dead: 0, pending: 0 },
    });
  });

  it('P4: dead letters are redriven and discarded by filter; those of a deleted subscription stay, to be discarded', async () => {
    await subscribe('http-d', 'http-d-orders');
    answer = 500;
    await publish('http-d-orders', 3);
    const open = '/v1/dead-letters?subscription=http-d';
    await eventually(async () => rows((await call('GET', open)).body).length === 3);
    answer = 200;
    const job = await call('POST', '/v1/dead-letters/redrive', { subscription: 'http-d' });
    expect(job).toMatchObject({ status: 202, body: { job: expect.any(String), count: 3 } });
    await settled('/v1/subscriptions/http-d', { delivered: 3, dead: 0 });

    answer = 500;
    await publish('http-d-orders', 2);
    await eventually(async () => rows((await call('GET', open)).body).length === 2);
    await call('DELETE', '/v1/subscriptions/http-d');
    const [letter] = rows((await call('GET', open)).body);
    expect(await call('POST', `/v1/dead-letters/${letter?.id}/redrive`)).toMatchObject({
      status: 409,
      body: { code: 'unknown-subscription' },
    });
    expect((await call('DELETE', open)).body.count).toBe(2);
    expect(rows((await call('GET', open)).body)).toEqual([]);
    expect(rows((await call('GET', `${open}&state=discarded`)).body)).toHaveLength(2);
  });

  it('replays a range to a late subscription', async () => {
    await publish('http-e-orders', 4);
    await subscribe('http-e', 'http-e-orders');
    const made = await call('POST', '/v1/topics/http-e-orders/replays', { subscription: 'http-e', from: 2, to: 3 });
    expect(made).toMatchObject({ status: 202, body: { from: 2, to: 3, total: 2, topic: 'http-e-orders' } });
    const path = `/v1/replays/${made.body.id}`;
    const done = await settled(path, { status: 'done' });
    expect(done).toMatchObject({ delivered: 2, failed: 0, filtered: 0, remaining: 0, endedAt: expect.any(String) });
    expect(received.map(({ headers }) => headers.get('millrace-replay'))).toEqual([made.body.id, made.body.id]);
    expect(rows((await call('GET', '/v1/replays')).body).map(({ id }) => id)).toContain(made.body.id);

    const slow = { subscription: 'http-e', from: 'earliest', rateLimit: { perMinute: 1 } };
    const second = await call('POST', '/v1/topics/http-e-orders/replays', slow);
    expect(second.body).toMatchObject({ status: 'running', rateLimit: { perMinute: 1 } });
    const secondPath = `/v1/replays/${second.body.id}`;
    expect((await call('PUT', secondPath, { rateLimit: { perMinute: 2 } })).body.rateLimit).toEqual({ perMinute: 2 });
    expect((await call('DELETE', secondPath)).status).toBe(204);
    await settled(secondPath, { status: 'cancelled' });
    expect(await call('POST', '/v1/topics/http-e-orders/replays', { subscription: 'http-e', from: 9 })).toMatchObject({
      status: 400,
      body: { code: 'position-ahead' },
    });
  });
});
