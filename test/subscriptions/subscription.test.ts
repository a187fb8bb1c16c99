import { describe, expect, test } from 'vitest';
import { booked, Hub, REPLAY, typed } from './harness.ts';

describe('P4: every event that matches ends as exactly one of delivered, dead or pending', () => {
  test('events published before and after are delivered from where the subscription starts', async () => {
    const hub = new Hub();
    await hub.publish('orders', 3);
    await hub.subscribe('billing');
    await hub.subscribe('archive', { from: { kind: 'earliest' } });
    await hub.publish('orders', 2);
    const seen = new Map<string, number[]>();
    for (let message = hub.deliveries.shift(); message; message = hub.deliveries.shift()) {
      const claimed = await hub.claim(message);
      seen.set(message.subscription, [
        ...(seen.get(message.subscription) ?? []),
        ...claimed.events.map((event) => event.sequence),
      ]);
      const outcomes = claimed.events.map((event) => hub.delivered(event));
      await hub
        .subscription(message.subscription)
        .settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
      await hub.clock.advance(20);
    }
    expect(seen).toEqual(
      new Map([
        ['billing', [4, 5]],
        ['archive', [1, 2, 3, 4, 5]],
      ]),
    );
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, pending: 0, waiting: 0, lag: 0, cursor: 5 });
    expect(await hub.view('archive')).toMatchObject({ delivered: 5, pending: 0, waiting: 0, lag: 0, cursor: 5 });
  });

  test('what the filter does not match is filtered, also where the log passed it while the lane was parked', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 2, 'invoice.sent');
    expect(await hub.view('billing')).toMatchObject({ filtered: 2, waiting: 0, lag: 0, cursor: 2 });
    await hub.publish('orders', 1, 'order.created');
    expect(await hub.work('billing')).toEqual([3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ filtered: 2, delivered: 1, cursor: 3 });
    expect(booked(view)).toBe(3);
  });

  test('the cursor of a parked lane never moves back when the first event that matches comes', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 2, 'invoice.sent');
    expect(await hub.view('billing')).toMatchObject({ filtered: 2, cursor: 2, waiting: 0 });
    // A wake that never answers: the log owes, the lane still sleeps.
    hub.subscription('billing').wake = () => new Promise(() => undefined);
    await hub.publish('orders', 1);
    expect(await hub.view('billing')).toMatchObject({ filtered: 2, cursor: 2, waiting: 1 });
    hub.restart('billing');
    await hub.advance(30_000);
    expect(await hub.work('billing')).toEqual([3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ filtered: 2, delivered: 1, cursor: 3 });
    expect(booked(view)).toBe(3);
  });

  test('nor when a wake only makes the lane read by itself', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.subscription('billing').pause();
    await hub.publish('orders', 2, 'invoice.sent');
    await hub.publish('orders', 1);
    expect(await hub.view('billing')).toMatchObject({ filtered: 2, cursor: 2, waiting: 1 });
  });

  test('a failing event retries by its schedule and dies when its attempts are spent, whole in D1', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    const reject = (event: { topic: string; sequence: number }) =>
      event.sequence === 2 ? hub.failed(event) : hub.delivered(event);
    expect((await hub.work('billing', reject)).sort()).toEqual([1, 2, 3]);
    expect(await hub.view('billing')).toMatchObject({
      delivered: 2,
      retrying: 1,
      pending: 1,
      cursor: 1,
      lag: 2,
      failed: 1,
    });
    await hub.advance(1_000);
    expect(await hub.work('billing', reject)).toEqual([2]);
    await hub.advance(2_000);
    expect(await hub.work('billing', reject)).toEqual([2]);
    await hub.advance(100);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 2, dead: 1, retrying: 0, pending: 0, cursor: 3, lag: 0, failed: 3 });
    const { letters } = await hub.letters.page(
      { subscription: 'billing', topic: null, reason: null, since: null, until: null, state: 'open' },
      10,
      null,
    );
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ sequence: 2, reason: 'exhausted', attempts: 3, lastStatus: 500 });
    expect(JSON.parse(letters[0]?.event ?? '')).toMatchObject({
      id: 'e2',
      topic: 'orders',
      sequence: '0000000000000002',
    });
  });

  test('a redrive starts the schedule afresh, counts on, and resolves the letter once', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 2);
    await hub.work('billing', (event) => (event.sequence === 1 ? hub.failed(event) : hub.delivered(event)));
    await hub.advance(100);
    const all = { subscription: 'billing', topic: null, reason: null, since: null, until: null, state: null };
    const letter = (await hub.letters.page(all, 10, null)).letters[0];
    if (!letter) throw new Error('There is no letter.');
    await hub.clock.advance(1_000);
    await hub.subscription('billing').redrive(letter);
    await hub.subscription('billing').redrive(letter);
    expect(await hub.view('billing')).toMatchObject({ dead: 0, pending: 1, delivered: 1, cursor: 2 });
    const message = hub.take(hub.deliveries);
    const claimed = await hub.claim(message);
    expect(claimed.events).toMatchObject([{ sequence: 1, attempt: 2 }]);
    await hub.subscription('billing').settle({
      v: 1,
      lease: message.lease,
      token: claimed.token,
      outcomes: claimed.events.map((event) => hub.delivered(event)),
    });
    await hub.advance(100);
    await hub.subscription('billing').redrive(letter);
    expect(await hub.work('billing')).toEqual([]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ dead: 0, pending: 0, delivered: 2 });
    expect(booked(view)).toBe(2);
    expect((await hub.letters.get(letter.id))?.resolvedAt).not.toBeNull();
  });

  test('a discard counts as discarded', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(100);
    await hub.subscription('billing').discard({ topic: 'orders', sequence: 1 });
    await hub.advance(100);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ dead: 0, discarded: 1 });
    expect(booked(view)).toBe(1);
    expect(await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).toMatchObject({
      status: 'discarded',
    });
  });

  test('a pause keeps the place; a resume goes on from it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.subscription('billing').pause();
    await hub.publish('orders', 3);
    await hub.advance(60_000);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({ status: 'paused', waiting: 3, lag: 3, cursor: 0 });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
  });

  test('410 disables: that event is a dead letter, the others stay; a resume goes on', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    await hub.work('billing', (event) =>
      event.sequence === 1
        ? hub.failed(event, 410)
        : { kind: 'released', topic: event.topic, sequence: event.sequence },
    );
    expect(await hub.view('billing')).toMatchObject({ status: 'disabled', dead: 1, pending: 2 });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([2, 3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ status: 'active', dead: 1, delivered: 2 });
    expect(booked(view)).toBe(3);
  });
});

describe('410 to several requests at once', () => {
  test('is an attempt of each, but the events of all but one stay, with all of their schedule', async () => {
    const hub = new Hub();
    const retry = { scheduleMs: [60_000], jitter: 0 };
    await hub.subscribe('billing', { retry });
    await hub.publish('orders', 3);
    await hub.work('billing', (event) => hub.failed(event, 410));
    const disabled = await hub.view('billing');
    expect(disabled).toMatchObject({ status: 'disabled', dead: 1, failed: 3, retrying: 2, pending: 2 });
    expect(booked(disabled)).toBe(3);
    const attempts = await hub
      .subscription('billing')
      .attempts({ topic: null, status: 410, sequence: null, limit: 10, cursor: null });
    expect(attempts?.items.map(({ sequence, attempt }) => [sequence, attempt])).toEqual([
      [3, 1],
      [2, 1],
      [1, 1],
    ]);
    await hub.advance(120_000);
    expect(hub.deliveries).toEqual([]);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing', (event) => hub.failed(event))).toEqual([2, 3]);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', dead: 1, failed: 5, retrying: 2 });
    await hub.advance(60_000);
    expect(await hub.work('billing')).toEqual([2, 3]);
    expect(await hub.view('billing')).toMatchObject({ dead: 1, delivered: 2, pending: 0 });
  });
});

describe('leases', () => {
  test('the first claim wins, a later one is void, a settle with another token is fenced', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    const claimed = await hub.claim(message);
    expect(await hub.subscription('billing').claim(message.lease)).toEqual({ outcome: 'void' });
    const outcomes = claimed.events.map((event) => hub.delivered(event));
    expect(
      await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: 'another', outcomes }),
    ).toEqual({ outcome: 'fenced' });
    expect(
      await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
    ).toMatchObject({ outcome: 'settled', remaining: 0 });
    expect(
      await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
    ).toEqual({ outcome: 'fenced' });
    expect(await hub.view('billing')).toMatchObject({ delivered: 1 });
  });

  test('a lost queue message is sent again after 5 s, then every 10 s', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    hub.take();
    await hub.advance(4_900);
    expect(hub.deliveries).toHaveLength(0);
    await hub.advance(200);
    expect(hub.deliveries).toHaveLength(1);
    await hub.advance(10_000);
    expect(hub.deliveries).toHaveLength(2);
    expect(await hub.work('billing')).toEqual([1]);
  });

  test('a claim nobody settles goes out again; its zombie is fenced', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 2);
    const message = hub.take();
    const zombie = await hub.claim(message);
    await hub.advance(15_100);
    const again = hub.take();
    expect(again.lease).toBe(message.lease);
    const claimed = await hub.claim(again);
    const late = zombie.events.map((event) => hub.delivered(event));
    expect(
      await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: zombie.token, outcomes: late }),
    ).toEqual({ outcome: 'fenced' });
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes: late });
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, pending: 0 });
  });

  test('three claims without a settle, and events go out singly; a single that does it three times is dead', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 2);
    for (let claim = 0; claim < 3; claim++) {
      await hub.claim(hub.take());
      hub.deliveries.length = 0;
      await hub.advance(15_100);
    }
    expect(hub.deliveries).toHaveLength(2);
    for (let claim = 0; claim < 3; claim++) {
      for (const message of hub.deliveries.splice(0)) {
        const claimed = await hub.subscription('billing').claim(message.lease);
        if (claimed.outcome !== 'claimed') continue;
        expect(claimed.events).toHaveLength(1);
        if (claimed.events[0]?.sequence === 2) {
          await hub.subscription('billing').settle({
            v: 1,
            lease: message.lease,
            token: claimed.token,
            outcomes: claimed.events.map((event) => hub.delivered(event)),
          });
        }
      }
      await hub.advance(15_100);
    }
    await hub.advance(100);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 1, dead: 1, pending: 0 });
    const filter = { subscription: 'billing', topic: null, reason: 'consumer', since: null, until: null, state: null };
    expect(await hub.letters.count(filter)).toBe(1);
  });

  test('a claim that was open when the object restarted is not counted', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    for (let claim = 0; claim < 6; claim++) {
      await hub.claim(hub.take());
      hub.restart('billing');
      await hub.awaiting(hub.subscription('billing').describe());
      hub.deliveries.length = 0;
      await hub.advance(15_100);
    }
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 0 });
  });

  test('no claim while paused; the lease goes out again on resume', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    await hub.awaiting(hub.subscription('billing').pause());
    expect(await hub.subscription('billing').claim(message.lease)).toEqual({ outcome: 'void' });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1]);
  });
});

describe('seek', () => {
  test('back to the start delivers everything again and begins new books', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    await hub.work('billing');
    expect(await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }))).toEqual({
      outcome: 'sought',
      topics: [{ topic: 'orders', cursor: 0, skipped: 0 }],
    });
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 3, cursor: 3 });
    expect(booked(view)).toBe(3);
  });

  test('forward skips what waits, and says so of each event', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 4);
    const result = await hub.awaiting(hub.subscription('billing').seek({ topic: 'orders', to: { kind: 'latest' } }));
    expect(result).toEqual({ outcome: 'sought', topics: [{ topic: 'orders', cursor: 4, skipped: 4 }] });
    expect(await hub.view('billing')).toMatchObject({ skipped: 4, waiting: 0, lag: 0, cursor: 4 });
    expect(await hub.subscription('billing').delivery('orders', 2, typed('order.created'))).toMatchObject({
      status: 'skipped',
    });
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([5]);
  });

  test('a lease from before is void', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    expect(await hub.subscription('billing').claim(message.lease)).toEqual({ outcome: 'void' });
    expect(await hub.work('billing')).toEqual([1]);
  });
});

describe('failing', () => {
  test('stops taking new events after maxInFlight failures in a row; one success ends it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 4, retry: { scheduleMs: [60_000, 60_000], jitter: 0 } });
    await hub.publish('orders', 50);
    const seen = await hub.work('billing', (event) => hub.failed(event));
    expect(seen).toHaveLength(4);
    expect(await hub.view('billing')).toMatchObject({
      health: { state: 'failing' },
      retrying: 4,
      waiting: 46,
      delivered: 0,
    });
    await hub.advance(60_000);
    const healed = await hub.work('billing');
    await hub.advance(1_000);
    healed.push(...(await hub.work('billing')));
    expect(new Set(healed).size).toBe(50);
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'healthy' }, delivered: 50 });
  });

  test('with no retry due soon the next event of the log is the probe, after 5 s and then doubling', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: [3_600_000], jitter: 0 } });
    await hub.publish('orders', 10);
    const probes: number[] = [];
    for (let minute = 0; minute < 20; minute++) {
      probes.push(...(await hub.work('billing', (event) => hub.failed(event))));
      await hub.advance(1_000);
    }
    expect(probes).toEqual([1, 2, 3]);
  });
});

describe('replays', () => {
  test('deliver a range again beside live, marked, and add up', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 3);
    await hub.publish('orders', 2, 'invoice.sent');
    await hub.work('billing');
    const started = await hub.awaiting(
      hub.subscription('billing').startReplay({ ...REPLAY, from: { kind: 'sequence', sequence: 2 } }),
    );
    expect(started).toMatchObject({ outcome: 'started', replay: { from: 2, to: 5, total: 4, remaining: 4 } });
    const replays: (string | null)[] = [];
    const seen = await hub.work('billing', (event) => {
      replays.push(event.replay);
      return event.sequence === 3 ? hub.failed(event) : hub.delivered(event);
    });
    expect(seen).toEqual([2, 3]);
    expect(replays).toEqual(['rpl_1', 'rpl_1']);
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'running',
      delivered: 1,
      filtered: 2,
      remaining: 1,
    });
    await hub.advance(1_000);
    await hub.work('billing');
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'done',
      delivered: 2,
      filtered: 2,
      failed: 0,
      remaining: 0,
    });
    expect(await hub.view('billing')).toMatchObject({ delivered: 3, filtered: 2, cursor: 5 });
  });

  test('keep their rate exactly', async () => {
    const hub = new Hub();
    await hub.publish('orders', 30);
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').startReplay({ ...REPLAY, rateLimit: { count: 5, spanMs: 1_000 } }));
    const slots: number[] = [];
    for (let turn = 0; turn < 100 && slots.length < 30; turn++) {
      await hub.work('billing', (event) => {
        slots.push(event.notBefore ?? 0);
        return hub.delivered(event);
      });
      await hub.advance(100);
    }
    expect(slots).toHaveLength(30);
    for (let index = 5; index < slots.length; index++)
      expect((slots[index] ?? 0) - (slots[index - 5] ?? 0)).toBeGreaterThanOrEqual(1_000);
    expect((slots[29] ?? 0) - (slots[0] ?? 0)).toBeLessThan(7_000);
  });

  test('a cancel drops what is not claimed and fences what is', async () => {
    const hub = new Hub();
    await hub.publish('orders', 30);
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').startReplay(REPLAY));
    await hub.clock.advance(20);
    const claimed = await hub.claim(hub.take());
    expect(await hub.subscription('billing').cancelReplay('rpl_1')).toBe(true);
    expect(await hub.subscription('billing').settle({ v: 1, lease: 1, token: claimed.token, outcomes: [] })).toEqual({
      outcome: 'fenced',
    });
    expect(await hub.work('billing')).toEqual([]);
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({ status: 'cancelled', delivered: 0 });
  });
});

describe('patterns', () => {
  test('a topic that appears later is attached from its first event', async () => {
    const hub = new Hub();
    await hub.subscribe('audit', { topics: ['orders.*'] });
    await hub.publish('orders.eu', 2);
    await hub.publish('orders.eu.vat', 1);
    await hub.advance(1_000);
    expect(await hub.work('audit')).toEqual([1, 2]);
    expect(await hub.awaiting(hub.subscription('audit').topics())).toMatchObject([
      { topic: 'orders.eu', cursor: 2, lag: 0 },
    ]);
  });
});

describe('a deleted subscription', () => {
  test('is gone, gets nothing, and can be made again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    expect(await hub.awaiting(hub.subscription('billing').remove())).toBe(true);
    expect(await hub.subscription('billing').describe()).toBeNull();
    expect(await hub.work('billing')).toEqual([]);
    await hub.publish('orders', 1);
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([3]);
  });
});
