import { describe, expect, test } from 'vitest';
import type { RateLimit } from '../../src/subscriptions/document.ts';
import { SeededRandom } from '../simulation/random.ts';
import { Delivering } from './delivering.ts';
import { booked, Hub, WEBHOOK } from './harness.ts';

const perSecond = (count: number): RateLimit => ({ count, spanMs: 1_000 });
const perMinute = (count: number): RateLimit => ({ count, spanMs: 60_000 });

const limited = (rateLimit: RateLimit | null) => ({ delivery: { ...WEBHOOK, rateLimit } });

async function replay(hub: Hub, id: string, rateLimit: RateLimit | null = null): Promise<void> {
  const from = { kind: 'earliest' } as const;
  const request = { v: 1 as const, id, topic: 'orders', from, to: null, filter: { types: [], cel: null }, rateLimit };
  const result = await hub.awaiting(hub.subscription('billing').startReplay(request));
  expect(result.outcome).toBe('started');
}

describe('P6: a rate limit', () => {
  test('is kept over everything that is sent, and used', async () => {
    const hub = new Hub();
    const limit = perSecond(20);
    await hub.subscribe('billing', limited(limit));
    await hub.publish('orders', 200);
    const delivering = new Delivering(hub, () => hub.clock.sleep(30).then(() => new Response('ok')));
    await delivering.run(12_000);
    expect(delivering.started).toHaveLength(200);
    expect(delivering.most(limit)).toBeLessThanOrEqual(20);
    const [first, last] = [delivering.started[0], delivering.started.at(-1)];
    // 199 distances of 55 ms, and a little for what is lost between leases.
    expect((last?.at ?? 0) - (first?.at ?? 0)).toBeLessThan(11_400);
    expect(await hub.view('billing')).toMatchObject({ delivered: 200, failed: 0, lag: 0 });
  });

  test('is kept over live events, retries, redrives and two replays together, each of those by its own too', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { ...limited(null), retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 20);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    const limit = perSecond(10);
    await hub.subscribe('billing', { ...limited(limit), retry: { scheduleMs: [300, 300], jitter: 0 } });
    const dead = await hub.lettersOf('billing');
    expect(dead).toHaveLength(20);
    const delivering = new Delivering(hub, ({ sequence, attempt }) =>
      sequence % 3 === 0 && attempt < 3 ? new Response(null, { status: 500 }) : new Response('ok'),
    );
    await hub.publish('orders', 40);
    for (const letter of dead) await hub.subscription('billing').redrive(letter);
    await replay(hub, 'rpl_a', perSecond(4));
    await replay(hub, 'rpl_b');
    await delivering.run(60_000, 20);
    expect(delivering.most(limit)).toBeLessThanOrEqual(10);
    const ofReplay = (id: string) => delivering.started.filter((started) => started.replay === id);
    expect(delivering.most(perSecond(4), ofReplay('rpl_a'))).toBeLessThanOrEqual(4);
    for (const id of ['rpl_a', 'rpl_b']) {
      expect(await hub.subscription('billing').replay(id)).toMatchObject({ status: 'done', delivered: 60 });
    }
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 60, dead: 0, pending: 0, waiting: 0 });
    expect(booked(view)).toBe(60);
  });

  test('leaves to live events what a slower replay beside them does not use', async () => {
    const hub = new Hub();
    const limit = perSecond(20);
    await hub.subscribe('billing', limited(limit));
    await hub.publish('orders', 40);
    const delivering = new Delivering(hub);
    await delivering.run(5_000);
    await replay(hub, 'rpl_a', perSecond(2));
    await delivering.run(1_000);
    // The replay has its slots for the next two seconds already.
    const before = delivering.started.length;
    await hub.publish('orders', 15);
    await delivering.run(1_300);
    const live = delivering.started.slice(before).filter((started) => started.replay === null);
    expect(live).toHaveLength(15);
    await delivering.run(25_000, 20);
    expect(delivering.most(limit)).toBeLessThanOrEqual(20);
    const replayed = delivering.started.filter((started) => started.replay !== null);
    expect(replayed).toHaveLength(40);
    expect(delivering.most(perSecond(2), replayed)).toBeLessThanOrEqual(2);
  });

  test.each([
    [perSecond(10), 700],
    [perSecond(10), 3_000],
    [perSecond(100), 150],
    [perSecond(40), 1_000],
  ])('of %j is kept by a receiver that takes %i ms, though the consumers wait for its answers', async (limit, ms) => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(limit));
    await hub.publish('orders', 300);
    const random = new SeededRandom(ms);
    const delivering = new Delivering(hub);
    delivering.answer = () => delivering.after(random.between(ms / 2, ms * 1.5))(delivering.started[0] ?? never());
    await delivering.run(10_000);
    expect(delivering.most(limit)).toBeLessThanOrEqual(limit.count);
    // At least half of what is allowed, or of what 64 deliveries under way make possible.
    const possible = Math.min(limit.count * 10, (10_000 / ms) * 64, 300);
    expect(delivering.started.length).toBeGreaterThan(possible / 2);
    expect(await hub.view('billing')).toMatchObject({ failed: 0, dead: 0 });
  });

  test('counts a batch as one request', async () => {
    const hub = new Hub();
    const limit = perSecond(5);
    const delivery = { ...WEBHOOK, rateLimit: limit, format: 'batch' as const, maxBatch: 10 };
    await hub.subscribe('billing', { delivery });
    await hub.publish('orders', 100);
    const delivering = new Delivering(hub);
    await delivering.run(4_000);
    // Not each batch has to be full.
    expect(delivering.started.length).toBeLessThanOrEqual(12);
    expect(delivering.most(limit)).toBeLessThanOrEqual(5);
    expect(await hub.view('billing')).toMatchObject({ delivered: 100 });
  });

  test.each(['key', 'topic'] as const)('is kept with the order by %s, which goes on', async (ordering) => {
    const hub = new Hub();
    const limit = perSecond(10);
    await hub.subscribe('billing', { ...limited(limit), ordering });
    await hub.publish('orders', 40);
    const delivering = new Delivering(hub, () => hub.clock.sleep(30).then(() => new Response('ok')));
    await delivering.run(12_000, 10);
    expect(delivering.started.length).toBe(40);
    expect(delivering.most(limit)).toBeLessThanOrEqual(10);
    if (ordering === 'topic')
      expect(delivering.started.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
  });

  test('that the receiver has granted is kept, where it is the slower one', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(50)));
    hub.storage('subscription billing').sql.exec('UPDATE subscription SET granted_rate = 60');
    hub.restart('billing');
    await hub.publish('orders', 5);
    const delivering = new Delivering(hub);
    await delivering.run(4_000, 20);
    expect(delivering.started.length).toBeGreaterThan(2);
    expect(delivering.most(perSecond(1))).toBe(1);
  });

  test('of one a minute works with leases of one event, and wakes nobody in between', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perMinute(1)));
    await hub.publish('orders', 5);
    const delivering = new Delivering(hub);
    await delivering.run(300_000, 50);
    expect(delivering.started.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(delivering.most(perMinute(1))).toBe(1);
  });

  test('lets throttled events wait in the log: there are no rows of them, and they spend no attempt', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(5)));
    await hub.publish('orders', 500);
    const delivering = new Delivering(hub);
    for (let second = 0; second < 10; second++) {
      await delivering.run(1_000, 10);
      expect(hub.rows('billing', 'SELECT * FROM exceptions')).toEqual([]);
      const view = await hub.view('billing');
      expect(view.pending).toBeLessThanOrEqual(12);
      expect(booked(view)).toBe(500);
    }
    expect(delivering.started.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  test('of a thousand a second costs no row an event', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { ...limited(perSecond(1_000)), maxInFlight: 200 });
    await hub.publish('orders', 1_000);
    const changes = () =>
      hub.storage('subscription billing').sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
    const before = changes();
    const delivering = new Delivering(hub);
    await delivering.run(4_000, 1);
    expect(delivering.started).toHaveLength(1_000);
    expect(delivering.most(perSecond(1_000))).toBeLessThanOrEqual(1_000);
    expect((changes() - before) / 1_000).toBeLessThan(1);
  });

  test('sends what has to wait for its slot through the queue `retries`, where it keeps no other subscription waiting', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(2)));
    await hub.publish('orders', 10);
    expect(hub.deliveries).toHaveLength(1);
    await hub.claim(hub.take());
    await hub.advance(2_000);
    expect(hub.deliveries).toEqual([]);
    expect(hub.retries.length).toBeGreaterThan(0);
  });
});

describe('P6: a rate limit is kept', () => {
  test('over restarts of the object', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(10)));
    await hub.publish('orders', 100);
    const delivering = new Delivering(hub);
    for (let life = 0; life < 30; life++) {
      await delivering.run(130);
      hub.restart('billing');
    }
    await delivering.run(30_000, 10);
    expect(delivering.most(perSecond(10))).toBeLessThanOrEqual(10);
    expect(await hub.view('billing')).toMatchObject({ delivered: 100 });
  });

  test('over consumers that die between claim and request: a slot given is spent', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(10)));
    await hub.publish('orders', 40);
    const slots: number[] = [];
    for (let turn = 0; turn < 40; turn++) {
      for (const message of [...hub.deliveries.splice(0), ...hub.retries.splice(0)]) {
        const claimed = await hub.subscription('billing').claim(message.lease);
        // Nothing more is ever heard of it.
        if (claimed.outcome === 'claimed') slots.push(...claimed.events.map(({ notBefore }) => notBefore ?? 0));
      }
      await hub.advance(500);
    }
    expect(slots.length).toBeGreaterThan(40);
    for (let index = 10; index < slots.length; index++)
      expect((slots[index] ?? 0) - (slots[index - 10] ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  test('over lost messages and consumers that were stopped for longer than a claim lives', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(5)));
    await hub.publish('orders', 20);
    const delivering = new Delivering(hub);
    await delivering.run(300);
    hub.loseMessages();
    await delivering.run(30_000, 10);
    expect(delivering.most(perSecond(5))).toBeLessThanOrEqual(5);
    expect(await hub.view('billing')).toMatchObject({ delivered: 20 });
  });

  test('over claims whose answer takes long: the next slots lie further ahead', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(5)));
    await hub.publish('orders', 20);
    const subscription = hub.subscription('billing');
    const claim = subscription.claim.bind(subscription);
    let claims = 0;
    subscription.claim = async (lease) => {
      claims += 1;
      const claimed = await claim(lease);
      await hub.clock.sleep(300);
      return claimed;
    };
    const delivering = new Delivering(hub);
    await delivering.run(20_000, 10);
    expect(delivering.started).toHaveLength(20);
    expect(delivering.most(perSecond(5))).toBeLessThanOrEqual(5);
    expect(claims).toBeLessThan(40);
  });

  test('over a time in which all slots were missed, and it is used again soon after', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perSecond(50)));
    await hub.publish('orders', 400);
    const subscription = hub.subscription('billing');
    const claim = subscription.claim.bind(subscription);
    let delay = 5_000;
    subscription.claim = async (lease) => {
      const claimed = await claim(lease);
      await hub.clock.sleep(delay);
      return claimed;
    };
    const delivering = new Delivering(hub);
    await delivering.run(20_000, 10);
    expect(delivering.started).toEqual([]);
    delay = 0;
    await delivering.run(15_000, 10);
    expect(delivering.started).toHaveLength(400);
    expect(delivering.most(perSecond(50))).toBeLessThanOrEqual(50);
  });

  test.each([
    ['forward', 3_600_000, perSecond(4)],
    ['back', -3_600_000, perSecond(4)],
    ['back', -3_600_000, perMinute(30)],
    ['back a little', -1_500, perSecond(4)],
    ['back somewhat', -30_000, perMinute(30)],
  ])('over a clock that jumps %s (%i ms, %j), and what waits goes on', async (_, ms, limit) => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(limit));
    await hub.publish('orders', 40);
    const delivering = new Delivering(hub);
    await delivering.run(2_000);
    const before = delivering.started.splice(0);
    const jumpedAt = hub.clock.now();
    // Leased, and claimed after the jump only.
    const messages = [...hub.deliveries, ...hub.retries];
    hub.clock.jump(ms);
    for (const { lease } of messages) await hub.subscription('billing').claim(lease);
    await hub.awaiting(hub.subscription('billing').sweep());
    await delivering.run(280_000, 50);
    expect(await hub.view('billing')).toMatchObject({ delivered: 40 });
    expect(delivering.most(limit)).toBeLessThanOrEqual(limit.count);
    if (ms > 0) return;
    // As time really went by, no span that has the jump in it saw more either.
    const real = before.map(({ at }) => at - jumpedAt);
    const after = delivering.started.map(({ at }) => at - jumpedAt - ms);
    const all = [...real, ...after].map((at) => ({ at, sequence: 0, attempt: 1, replay: null }));
    expect(delivering.most(limit, all)).toBeLessThanOrEqual(limit.count);
  });

  test('when it is changed in the middle of traffic, taken away and given back', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', limited(perMinute(1)));
    await hub.publish('orders', 2_000);
    const delivering = new Delivering(hub);
    await delivering.run(2_000);
    expect(delivering.started).toHaveLength(1);

    // Raised: not only once the minute is over.
    await hub.subscribe('billing', limited(perSecond(20)));
    await delivering.run(5_000);
    expect(delivering.started.length).toBeGreaterThan(80);
    expect(delivering.most(perSecond(20))).toBeLessThanOrEqual(20);

    // Lowered: what has a slot already is done within two seconds.
    await hub.subscribe('billing', limited(perSecond(2)));
    await delivering.run(2_100);
    delivering.started.length = 0;
    await delivering.run(5_000);
    expect(delivering.most(perSecond(2))).toBeLessThanOrEqual(2);
    expect(delivering.started.length).toBeGreaterThan(7);

    // Taken away.
    await hub.subscribe('billing', limited(null));
    delivering.answer = delivering.after(2_000);
    await delivering.run(5_000);
    expect(delivering.started.length).toBeGreaterThan(40);

    // Given back: what is claimed without slots goes on until its next renewal, and no further.
    await hub.subscribe('billing', limited(perSecond(2)));
    await delivering.run(5_000);
    delivering.started.length = 0;
    delivering.answer = () => new Response('ok');
    await delivering.run(10_000);
    expect(delivering.most(perSecond(2))).toBeLessThanOrEqual(2);
    expect(delivering.started.length).toBeGreaterThan(15);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ failed: 0, dead: 0 });
    expect(booked(view)).toBe(2_000);
  });

  test('by the probes of a receiver that is down', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', {
      ...limited(perMinute(2)),
      maxInFlight: 2,
      retry: { scheduleMs: Array(20).fill(1_000), jitter: 0 },
    });
    await hub.publish('orders', 20);
    const delivering = new Delivering(hub, () => new Response(null, { status: 500 }));
    await delivering.run(300_000, 50);
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'failing', concurrency: 1 } });
    expect(delivering.most(perMinute(2))).toBeLessThanOrEqual(2);
    expect(delivering.started.length).toBeGreaterThan(7);
  });
});

function never(): never {
  throw new Error('Nothing was started.');
}
