import { describe, expect, test } from 'vitest';
import { Delivering } from './delivering.ts';
import { booked, DOCUMENT, Hub, WEBHOOK } from './harness.ts';

const RETRY = { scheduleMs: Array<number>(50).fill(2_000), jitter: 0 };
const DAY_MS = 24 * 3_600_000;

const busy = (retryAfter?: number) =>
  new Response(null, { status: 429, headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) } });

/** A receiver that takes 100 ms for each of so many requests at a time, and refuses those beyond with 503. */
function narrow(hub: Hub, width: number) {
  const books = { present: 0, most: 0, refused: 0 };
  const answer = async () => {
    if (books.present >= width) {
      books.refused += 1;
      return new Response(null, { status: 503 });
    }
    books.present += 1;
    books.most = Math.max(books.most, books.present);
    await hub.clock.sleep(100);
    books.present -= 1;
    return new Response('ok');
  };
  return { books, answer };
}

describe('P6: a receiver that pushes back', () => {
  test('is sent half as much at a time, and more again round by round', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    await hub.publish('orders', 600);
    let refuse = true;
    const delivering = new Delivering(hub);
    delivering.answer = async () => {
      await hub.clock.sleep(100);
      return refuse ? new Response(null, { status: 503 }) : new Response('ok');
    };
    await delivering.run(115);
    const { health, failed } = await hub.view('billing');
    // One round of three leases, six at a time.
    expect(failed).toBe(18);
    expect(health).toMatchObject({ state: 'slowed', concurrency: 32, retryAfter: null, nextProbeAt: null });
    expect(health.since).toBeGreaterThan(hub.clock.now() - 100);
    refuse = false;
    await delivering.run(1_000);
    const growing = await hub.view('billing');
    expect(growing.health.state).toBe('slowed');
    expect(growing.health.concurrency).toBeGreaterThan(16);
    expect(growing.inFlight).toBeLessThanOrEqual(growing.health.concurrency);
    await delivering.run(40_000, 20);
    await hub.publish('orders', 1_000);
    await delivering.run(30_000, 20);
    expect(await hub.view('billing')).toMatchObject({
      health: { state: 'healthy', concurrency: 64, since: null },
      delivered: 1_600,
    });
  });

  test('settles at about what it can take, and loses nothing', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    await hub.publish('orders', 1_000);
    const { books, answer } = narrow(hub, 4);
    const delivering = new Delivering(hub, answer);
    await delivering.run(60_000, 10);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 1_000, dead: 0, lag: 0 });
    expect(books.refused).toBeLessThan(300);
    expect(books.most).toBeLessThanOrEqual(4);
  });

  test('by a Retry-After gets nothing before it is over; the rest waits and spends no attempt', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    await hub.publish('orders', 100);
    const delivering = new Delivering(hub, () => busy(30));
    await delivering.run(50);
    const asked = delivering.started.length;
    expect(asked).toBeLessThanOrEqual(18);
    const until = hub.clock.now() + 30_000;
    const { health } = await hub.view('billing');
    expect(health).toMatchObject({ state: 'slowed', concurrency: 32 });
    expect(Math.abs((health.retryAfter ?? 0) - until)).toBeLessThan(100);
    await hub.publish('orders', 10);
    delivering.answer = () => new Response('ok');
    await delivering.run(29_000, 50);
    expect(delivering.started).toHaveLength(asked);
    // Not even by a new object, nor by the sweep.
    hub.restart('billing');
    await hub.awaiting(hub.subscription('billing').sweep());
    expect(delivering.started).toHaveLength(asked);
    await delivering.run(20_000, 50);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 110, failed: asked, dead: 0, health: { retryAfter: null } });
    expect(delivering.started.slice(asked).every(({ at }) => at >= until - 100)).toBe(true);
  });

  test('by a Retry-After of a day holds the rest up for five minutes only; its own event waits for the day', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    const delivering = new Delivering(hub, ({ sequence }) => (sequence === 1 ? busy(86_400) : new Response('ok')));
    await hub.publish('orders', 1);
    await delivering.run(50);
    await hub.publish('orders', 10);
    await delivering.run(299_000, 500);
    expect(await hub.view('billing')).toMatchObject({ delivered: 0, health: { state: 'slowed' } });
    await delivering.run(2_000, 50);
    expect(await hub.view('billing')).toMatchObject({ delivered: 10, retrying: 1 });
    const [waiting] = hub.rows<{ due: number }>('billing', 'SELECT due FROM exceptions');
    expect((waiting?.due ?? 0) - hub.clock.now()).toBeGreaterThan(DAY_MS - 310_000);
  });

  test('is not held up by a clock that jumped back an hour', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    const delivering = new Delivering(hub, () => busy(60));
    await hub.publish('orders', 5);
    await delivering.run(50);
    hub.clock.jump(-3_600_000);
    delivering.answer = () => new Response('ok');
    await hub.publish('orders', 5);
    await hub.awaiting(hub.subscription('billing').sweep());
    await delivering.run(1_000, 50);
    expect((await hub.view('billing')).delivered).toBeGreaterThanOrEqual(5);
  });

  describe('whose retries are due in hours', () => {
    const hours = { scheduleMs: [3_600_000, 3_600_000], jitter: 0 };
    const failed = async (count: number) => {
      const hub = new Hub();
      await hub.subscribe('billing', { retry: hours, maxInFlight: 4 });
      const delivering = new Delivering(hub, () => new Response('no', { status: 500 }));
      await hub.publish('orders', count);
      await delivering.run(50);
      delivering.answer = () => new Response('ok');
      return { hub, delivering };
    };

    test.each([
      ['failing', 4, async (hub: Hub) => void (await hub.awaiting(hub.subscription('billing').resume()))],
      [
        'given another url',
        2,
        async (hub: Hub) =>
          void (await hub.subscribe('billing', {
            retry: hours,
            delivery: { ...WEBHOOK, url: 'https://receiver.example/new' },
          })),
      ],
    ])('and that is resumed or given another url is asked at once: %s', async (_, count, mend) => {
      const { hub, delivering } = await failed(count);
      await delivering.run(1_000, 50);
      expect(await hub.view('billing')).toMatchObject({ retrying: count, delivered: 0 });
      await mend(hub);
      await delivering.run(1_000, 50);
      expect(await hub.view('billing')).toMatchObject({ delivered: count, failed: count, pending: 0 });
    });

    test('keeps their time over a pause', async () => {
      const { hub, delivering } = await failed(2);
      await hub.subscription('billing').pause();
      await hub.awaiting(hub.subscription('billing').resume());
      await delivering.run(1_000, 50);
      expect(await hub.view('billing')).toMatchObject({ retrying: 2, delivered: 0 });
    });
  });

  test('from a new url or after a resume is asked as if nothing had been', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: RETRY });
    const delivering = new Delivering(hub, () => busy(200));
    await hub.publish('orders', 5);
    await delivering.run(50);
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'slowed' } });
    delivering.answer = () => new Response('ok');
    await hub.subscribe('billing', { retry: RETRY, delivery: { ...WEBHOOK, url: 'https://other.example/hook' } });
    await hub.publish('orders', 1);
    await delivering.run(100);
    expect(await hub.view('billing')).toMatchObject({
      health: { state: 'healthy', concurrency: 64, since: null, retryAfter: null },
    });
    expect(delivering.started.map(({ sequence }) => sequence)).toContain(6);
    delivering.answer = () => busy(200);
    await hub.publish('orders', 1);
    await delivering.run(100);
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'slowed' } });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'healthy', retryAfter: null } });
  });

  test('and is down burns the attempts of few: one probe at a time, its moment told', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 16, retry: { scheduleMs: [3_600_000, 3_600_000], jitter: 0 } });
    await hub.publish('orders', 2_000);
    const delivering = new Delivering(hub, () => new Response(null, { status: 503 }));
    await delivering.run(600_000, 500);
    const view = await hub.view('billing');
    expect(view.health).toMatchObject({ state: 'failing', concurrency: 1 });
    expect(view.health.nextProbeAt).toBeGreaterThan(hub.clock.now());
    expect(view.health.nextProbeAt).toBeLessThanOrEqual(hub.clock.now() + 300_000);
    expect(view.health.since).toBeLessThan(hub.clock.now() - 590_000);
    expect(view.failed).toBeLessThan(50);
    expect(view.waiting).toBeGreaterThan(1_900);
    expect(booked(view)).toBe(2_000);
    delivering.answer = () => new Response('ok');
    await delivering.run(310_000, 500);
    expect((await hub.view('billing')).delivered).toBeGreaterThan(1_900);
  });
});

describe('a receiver that fails for as long as `disableAfter`', () => {
  const HOUR_MS = 3_600_000;

  test('is disabled at that moment, though no attempt falls on it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: HOUR_MS, retry: { scheduleMs: [DAY_MS], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(HOUR_MS - 1_000);
    expect(await hub.view('billing')).toMatchObject({ status: 'active' });
    await hub.advance(2_000);
    expect(await hub.view('billing')).toMatchObject({
      status: 'disabled',
      reason: 'The receiver has failed for 1h without one success.',
      retrying: 1,
    });
  });

  test('is not disabled by time alone where nothing waits for it: the next failure does that', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: HOUR_MS, retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(2 * HOUR_MS);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', dead: 1 });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    expect(await hub.view('billing')).toMatchObject({ status: 'disabled' });
  });

  test('is asked before it is disabled, where what waits for it has come since and has to be read', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: HOUR_MS, retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(2 * HOUR_MS);
    hub.unreachable.add('orders');
    // Too large for a wake to bring it.
    await hub.publishKeys('orders', [null], 'order.created', { data: 'x'.repeat(100_000) });
    await hub.advance(5_000);
    hub.unreachable.clear();
    await hub.advance(5_000);
    expect(await hub.work('billing')).toEqual([2]);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', delivered: 1 });
  });

  test('is not disabled by time in which the hub could ask nothing of it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: HOUR_MS, retry: { scheduleMs: [DAY_MS], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.publish('orders', 1);
    await hub.work('billing', ({ topic, sequence }) => ({
      kind: 'released',
      topic,
      sequence,
      obstacle: 'The resolver is down.',
    }));
    await hub.advance(2 * HOUR_MS);
    expect(await hub.view('billing')).toMatchObject({ status: 'error', reason: 'The resolver is down.' });
    await hub.work('billing');
    expect(await hub.view('billing')).toMatchObject({ status: 'active', delivered: 1, retrying: 1 });
  });

  test('and is paused meanwhile is not: who resumes it begins anew', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { disableAfterMs: HOUR_MS, retry: { scheduleMs: [DAY_MS], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.advance(2 * HOUR_MS);
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.advance(HOUR_MS);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', health: { state: 'healthy' } });
  });

  test('is enabled again by a resume or another url, and has lost nothing', async () => {
    const hub = new Hub();
    const document = { ...DOCUMENT, disableAfterMs: HOUR_MS, retry: { scheduleMs: [DAY_MS], jitter: 0 } };
    await hub.subscribe('billing', document);
    await hub.publish('orders', 3);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(HOUR_MS + 1_000);
    expect(await hub.view('billing')).toMatchObject({ status: 'disabled' });
    await hub.subscribe('billing', { ...document, delivery: { ...WEBHOOK, url: 'https://other.example/hook' } });
    expect(await hub.view('billing')).toMatchObject({ status: 'active', reason: null, pending: 3 });
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
  });
});
