import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkRates } from '../../history/rate-rules.ts';
import { type Arrival, eventually } from '../support/index.ts';
import { Stage } from '../support/stage.ts';

/** Rate limits and back-pressure over real HTTP. Exactness is judged by the sender's own times: a receiver's are the network's too. */

/** A slot that a busy machine comes too late for is lost, so that less is sent than might be. */
const WITHIN_MS = 120_000;

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});

afterAll(() => stage.stop());

const RETRY = { schedule: ['100ms'], jitter: 0 };
const delivered = (name: string, count: number) => stage.settled(name, { delivered: count, dead: 0 });

/** What the rule of rates says of all attempts of a subscription. */
async function rateBroken(name: string, count: number) {
  const starts = (await stage.hub.api.attempts(name)).map(({ at }) => ({ subscription: name, at: Date.parse(at) }));
  const limit = { count, spanMs: 1_000 };
  const violations: { rule: string; detail: string }[] = [];
  const changes = [{ subscription: name, limit, from: 0, madeAt: 0 }];
  checkRates(starts, changes, { graceMs: 0, breaks: [] }, violations);
  return violations;
}

describe.concurrent('P6: a rate limit', () => {
  it('is kept over live events, their retries and a replay at once, and spends no attempt', async () => {
    const failsOnce = (arrival: Arrival) =>
      arrival.sequence % 4 === 0 && arrival.attempt === 1 && arrival.replay === null ? 500 : 200;
    const { topic, name, receiver } = await stage.subscribed(
      failsOnce,
      { retry: RETRY },
      { rateLimit: { perSecond: 20 } },
    );
    await stage.publish(topic, 60);
    const { id } = await stage.hub.api.json<{ id: string }>('POST', `/v1/topics/${topic}/replays`, {
      json: { subscription: name, from: 'earliest', rateLimit: { perSecond: 5 } },
    });
    await eventually(
      'the replay is done',
      async () => {
        return (await stage.hub.api.json<{ status: string }>('GET', `/v1/replays/${id}`)).status === 'done';
      },
      WITHIN_MS,
    );
    expect(await delivered(name, 60)).toMatchObject({ failed: 15, dead: 0, health: { state: 'healthy' } });
    expect(receiver.book).toHaveLength(135);
    expect(await rateBroken(name, 20)).toEqual([]);
    const replayed = receiver.book.filter(({ replay }) => replay === id);
    // 59 distances at five a second.
    expect((replayed.at(-1)?.at ?? 0) - (replayed[0]?.at ?? 0)).toBeGreaterThan(11_000);
  });

  it('is kept while a slow receiver occupies the consumers, and when it is lowered in the middle', async () => {
    const { topic, name, receiver, document } = await stage.subscribed(
      () => ({ status: 200, afterMs: 400 }),
      { retry: RETRY },
      { rateLimit: { perSecond: 30 } },
    );
    await stage.publish(topic, 100);
    await eventually('half is sent', () => receiver.book.length >= 50);
    const limited = { url: receiver.url, rateLimit: { perSecond: 10 } };
    expect(await stage.hub.api.putSubscription(name, { ...document, delivery: limited })).toMatchObject({
      delivery: { rateLimit: { perSecond: 10 } },
    });
    expect(await delivered(name, 100)).toMatchObject({ failed: 0 });
    expect(await rateBroken(name, 30)).toEqual([]);
  });

  it('of one a minute lets the second event wait, in the log', async () => {
    const { topic, name, receiver } = await stage.subscribed(() => 200, {}, { rateLimit: { perMinute: 1 } });
    await stage.publish(topic, 3);
    await eventually('the first has come', async () => (await stage.hub.api.subscription(name)).delivered === 1);
    expect(await stage.hub.api.subscription(name)).toMatchObject({ delivered: 1, waiting: 2, retrying: 0, lag: 2 });
    expect(receiver.book).toHaveLength(1);
  });
});

describe.concurrent('P6: a receiver that pushes back', () => {
  it('with Retry-After gets nothing more before; the subscription says so, and goes on by itself', async () => {
    let until = 0;
    const { topic, name, receiver } = await stage.subscribed(
      () => {
        if (until > 0 && Date.now() >= until) return 200;
        until = until === 0 ? Date.now() + 4_000 : until;
        return { status: 429, headers: { 'retry-after': '4' } };
      },
      { retry: RETRY },
    );
    await stage.publish(topic, 1);
    const slowed = await eventually('it is slowed', async () => {
      const view = await stage.hub.api.subscription(name);
      return view.health.state === 'slowed' && view;
    });
    expect(slowed.health).toMatchObject({ concurrency: 32, nextProbeAt: null });
    expect(Date.parse(slowed.health.retryAfter ?? '')).toBeGreaterThan(Date.now());
    await stage.publish(topic, 30);
    await delivered(name, 31);
    const [, ...later] = receiver.book;
    expect(later.length).toBe(31);
    // By its own clock's milliseconds.
    expect(Math.min(...later.map(({ at }) => at))).toBeGreaterThanOrEqual(until - 5);
    expect(await stage.hub.api.subscription(name)).toMatchObject({ failed: 1, health: { retryAfter: null } });
  });

  it('and is down is probed, and back to health once it is up', async () => {
    const { topic, name, receiver } = await stage.subscribed(() => 503, {
      maxInFlight: 2,
      retry: { schedule: ['1h'], jitter: 0 },
    });
    await stage.publish(topic, 40);
    const failing = await eventually('it fails', async () => {
      const view = await stage.hub.api.subscription(name);
      return view.health.state === 'failing' && view;
    });
    expect(failing.health).toMatchObject({ concurrency: 1, retryAfter: null });
    expect(Date.parse(failing.health.nextProbeAt ?? '')).toBeLessThan(Date.now() + 6_000);
    expect(failing.waiting).toBeGreaterThan(30);
    receiver.answer = () => 200;
    const healthy = await eventually('it has recovered', async () => {
      const view = await stage.hub.api.subscription(name);
      return view.waiting + view.inFlight === 0 && view;
    });
    expect(healthy).toMatchObject({ delivered: 40 - failing.retrying, health: { state: 'healthy' } });
  });
});
