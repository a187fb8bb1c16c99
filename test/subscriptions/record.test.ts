import { describe, expect, test } from 'vitest';
import { TRIM_EVERY_ROWS } from '../../src/subscriptions/limits.ts';
import type { AttemptsQuery } from '../../src/subscriptions/protocol.ts';
import type { AttemptView, DeliveryView } from '../../src/subscriptions/protocol-views.ts';
import type { Totals } from '../../src/subscriptions/stats.ts';
import { Hub, typed, WEBHOOK } from './harness.ts';

const KEPT = 1_000;
const KEPT_MS = 3_600_000;
const ALL: AttemptsQuery = { topic: null, status: null, sequence: null, limit: 1_000, cursor: null };

async function attempts(hub: Hub, query: Partial<AttemptsQuery> = {}): Promise<AttemptView[]> {
  return (await hub.subscription('billing').attempts({ ...ALL, ...query }))?.items ?? [];
}

/** What was attempted since the making. */
async function totals(hub: Hub): Promise<Totals> {
  const metrics = await hub.subscription('billing').metrics();
  if (metrics === null) throw new Error('There is no such subscription.');
  return metrics.attempts;
}

describe('P8: attempts', () => {
  test('are listed newest first, in pages, by status, outcome and sequence', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [1_000], jitter: 0 } });
    await hub.publish('orders', 30);
    await hub.work('billing', (event) => (event.sequence % 10 === 0 ? hub.failed(event, 503) : hub.delivered(event)));
    await hub.advance(1_000);
    await hub.work('billing');
    const all = await attempts(hub);
    expect(all).toHaveLength(33);
    expect(all.slice(0, 3).every((attempt) => attempt.attempt === 2 && attempt.outcome === 'delivered')).toBe(true);
    const paged: AttemptView[] = [];
    for (let cursor: string | null = null; ; ) {
      const page = await hub.subscription('billing').attempts({ ...ALL, limit: 7, cursor });
      paged.push(...(page?.items ?? []));
      cursor = page?.next ?? null;
      if (cursor === null) break;
    }
    expect(paged).toEqual(all);
    expect(await attempts(hub, { status: 503 })).toHaveLength(3);
    expect(await attempts(hub, { status: 'failed' })).toHaveLength(3);
    expect(await attempts(hub, { status: 'delivered' })).toHaveLength(30);
    expect(await attempts(hub, { sequence: 20 })).toMatchObject([
      { attempt: 2, status: 200, outcome: 'delivered', error: null },
      { attempt: 1, status: 503, outcome: 'failed', error: 'The receiver answered 503.' },
    ]);
    expect(await attempts(hub, { sequence: 31 })).toEqual([]);
  });

  test('are kept as many and as long as the subscription says', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { attempts: { maxCount: KEPT, maxAgeMs: KEPT_MS } });
    const { sql } = hub.storage('subscription billing');
    const insert = (id: number, at: number, total: number) =>
      sql.exec(
        `INSERT INTO attempts (id, topic, first, last, at, total, body) VALUES (?, 'orders', 1, 1, ?, ?, '{"sequence":[]}')`,
        id,
        at,
        total,
      );
    const now = hub.clock.now();
    for (let id = 1; id <= 5; id++) insert(id, now - KEPT_MS - 1_000, id * 10);
    for (let id = 6; id <= 20; id++) insert(id, now, id * 10);
    for (let publish = 0; publish < 4; publish++) {
      await hub.publish('orders', 1);
      await hub.work('billing');
    }
    const [oldest] = hub.rows<{ id: number }>('billing', 'SELECT min(id) AS id FROM attempts');
    expect(oldest?.id).toBe(6);
    insert(1_000, now, KEPT + 100);
    hub.restart('billing');
    for (let publish = 0; publish < 10; publish++) {
      await hub.publish('orders', 1);
      await hub.work('billing');
    }
    const [left] = hub.rows<{ oldest: number; newest: number }>(
      'billing',
      'SELECT min(total) AS oldest, max(total) AS newest FROM attempts',
    );
    expect((left?.newest ?? 0) - (left?.oldest ?? 0)).toBeLessThan(KEPT + TRIM_EVERY_ROWS);
  });

  test('are listed by topic too, where there are several', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['orders', 'invoices'] });
    await hub.publish('orders', 3);
    await hub.publish('invoices', 2);
    await hub.work('billing');
    const topics = async (query: Partial<AttemptsQuery>) => (await attempts(hub, query)).map(({ topic }) => topic);
    expect(await topics({ topic: 'invoices' })).toEqual(['invoices', 'invoices']);
    expect(await topics({ topic: 'orders', sequence: 2 })).toEqual(['orders']);
    expect((await topics({ sequence: 2 })).sort()).toEqual(['invoices', 'orders']);
    expect(await topics({ topic: 'refunds' })).toEqual([]);
  });

  test('have no older or more of them than are kept, though nothing comes that would trim them', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { attempts: { maxCount: 100, maxAgeMs: KEPT_MS } });
    await hub.publish('orders', 130);
    await hub.work('billing');
    const kept = await attempts(hub);
    expect(kept).toHaveLength(100);
    const sequences = kept.map(({ sequence }) => sequence);
    await hub.put('billing', { attempts: { maxCount: 30, maxAgeMs: KEPT_MS } });
    expect((await attempts(hub)).map(({ sequence }) => sequence)).toEqual(sequences.slice(0, 30));
    await hub.advance(KEPT_MS + 1);
    expect(await attempts(hub)).toEqual([]);
  });

  test('that are kept no longer go with the next sweep', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { attempts: { maxCount: 1_000, maxAgeMs: KEPT_MS } });
    await hub.publish('orders', 130);
    await hub.work('billing');
    const rows = () => hub.rows<{ rows: number }>('billing', 'SELECT count(*) AS rows FROM attempts')[0]?.rows;
    const before = rows();
    await hub.awaiting(hub.subscription('billing').sweep());
    expect(rows()).toBe(before);
    await hub.put('billing', { attempts: { maxCount: 100, maxAgeMs: KEPT_MS } });
    await hub.awaiting(hub.subscription('billing').sweep());
    expect(rows()).toBeLessThan(before ?? 0);
    expect(await attempts(hub)).toHaveLength(100);
    await hub.advance(KEPT_MS + 1);
    await hub.awaiting(hub.subscription('billing').sweep());
    expect(rows()).toBe(0);
    expect(await hub.view('billing')).toMatchObject({ attempted: { hour: 0, day: 130 } });
    expect(await totals(hub)).toMatchObject({ delivered: 130 });
    await hub.publish('orders', 1);
    await hub.work('billing');
    expect(await totals(hub)).toMatchObject({ delivered: 131 });
  });

  test('tell what was sent then, whatever the configuration says since', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    const outcomes = events.map((event) => ({
      ...hub.delivered(event),
      ...(event.sequence === 2 ? { request: { headers: { 'x-own': 'a', 'millrace-topic': null } } } : {}),
      ...(event.sequence === 3 ? { request: null } : {}),
    }));
    const request = {
      url: 'https://receiver.example/then',
      headers: { 'user-agent': 'Millrace/0.0.1', 'millrace-topic': true, 'millrace-sequence': true } as const,
    };
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes, request });
    await hub.put('billing', { delivery: { ...WEBHOOK, url: 'https://receiver.example/now' } });
    expect((await attempts(hub)).map((attempt) => attempt.request)).toEqual([
      null,
      {
        url: 'https://receiver.example/then',
        headers: { 'user-agent': 'Millrace/0.0.1', 'millrace-sequence': '2', 'x-own': 'a' },
      },
      {
        url: 'https://receiver.example/then',
        headers: { 'user-agent': 'Millrace/0.0.1', 'millrace-topic': 'orders', 'millrace-sequence': '1' },
      },
    ]);
    await hub.publish('orders', 1);
    await hub.work('billing');
    expect((await attempts(hub))[0]).toMatchObject({ sequence: 4, request: null });
  });

  test('of another name or none are not mixed in: a deleted subscription has none', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').remove());
    expect(await hub.subscription('billing').attempts(ALL)).toBeNull();
    await hub.subscribe('billing');
    expect(await attempts(hub)).toEqual([]);
  });
});

describe('P8: statistics', () => {
  test('say how often and how fast the receiver took what it was sent of late, redrives and replays too', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    expect(await hub.view('billing')).toMatchObject({
      latency: { p50: null, p99: null },
      successRate: { hour: null, day: null },
      attempted: { hour: 0, day: 0 },
    });
    await hub.publish('orders', 100);
    await hub.work('billing', (event) => ({
      ...(event.sequence <= 25 ? hub.failed(event) : hub.delivered(event)),
      latencyMs: event.sequence,
    }));
    expect(await hub.view('billing')).toMatchObject({
      latency: { p50: 50, p99: 99 },
      successRate: { hour: 0.75, day: 0.75 },
      attempted: { hour: 100, day: 100 },
    });
    await hub.advance(2 * 3_600_000);
    await hub.subscription('billing').redrive({ topic: 'orders', sequence: 1, event: '{"type":"order.created"}' });
    await hub.work('billing');
    expect(await hub.view('billing')).toMatchObject({
      latency: { p50: 5, p99: 5 },
      successRate: { hour: 1, day: 76 / 101 },
      attempted: { hour: 1, day: 101 },
    });
    expect(await totals(hub)).toMatchObject({ delivered: 76, failed: 25, retried: 1 });
  });

  test('are the same after a restart, and after what they were counted from is gone', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { attempts: { maxCount: 100, maxAgeMs: KEPT_MS } });
    for (let publish = 1; publish <= 130; publish++) {
      await hub.publish('orders', publish % 10);
      await hub.work('billing', (event) =>
        event.sequence % 3 === 0 ? hub.failed(event) : { ...hub.delivered(event), latencyMs: event.sequence },
      );
      if (publish % 17 === 0) hub.restart('billing');
    }
    const { attempted } = await hub.view('billing');
    const counted = await totals(hub);
    const tried = counted.delivered + counted.failed;
    const last = hub.rows<{ total: number; rows: number }>(
      'billing',
      'SELECT max(total) AS total, count(*) AS rows FROM attempts',
    )[0];
    expect(tried).toBe(last?.total);
    expect(last?.rows).toBeLessThan(130);
    hub.restart('billing');
    expect(await hub.view('billing')).toMatchObject({ attempted });
    expect(await totals(hub)).toEqual(counted);
  });

  test('count a settle that is rolled back, and done again twice, once', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    const storage = hub.storage('subscription billing');
    const settle = () =>
      hub
        .subscription('billing')
        .settle({ v: 1, lease: message.lease, token, outcomes: events.map((event) => hub.delivered(event)) });
    storage.sql.exec(
      "CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT raise(ABORT, 'The disk is full.'); END",
    );
    await expect(settle()).rejects.toThrow('The disk is full.');
    storage.sql.exec('DROP TRIGGER full');
    await settle();
    await settle();
    expect(await totals(hub)).toMatchObject({ delivered: 1, failed: 0 });
  });

  test('of a subscription made again begin anew', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 300);
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').remove());
    await hub.subscribe('billing');
    expect(await hub.view('billing')).toMatchObject({ attempted: { day: 0 } });
    expect(await totals(hub)).toMatchObject({ delivered: 0 });
  });

  test('tell how long the oldest event has waited that is neither settled nor filtered', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', {
      topics: ['orders', 'invoices'],
      filter: { types: ['order.*'], cel: null },
      retry: { scheduleMs: [3_600_000], jitter: 0 },
    });
    const lag = async () => {
      const { lag, lagMs } = await hub.view('billing');
      return [lag, lagMs];
    };
    expect(await lag()).toEqual([0, 0]);
    await hub.publish('orders', 2);
    const recordedAt = hub.clock.now();
    await hub.work('billing', (event) => (event.sequence === 2 ? hub.failed(event) : hub.delivered(event)));
    await hub.advance(5_000);
    await hub.publish('orders', 3, 'invoice.sent');
    await hub.publish('invoices', 1, 'invoice.sent');
    await hub.advance(5_000);
    const [events, ms] = await lag();
    expect(events).toBeGreaterThan(0);
    expect(ms).toBe(hub.clock.now() - recordedAt);
    await hub.advance(3_600_000);
    await hub.work('billing');
    await hub.advance(1_000);
    expect(await lag()).toEqual([0, 0]);
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 1, 'invoice.sent');
    await hub.publish('orders', 1);
    const waitingSince = hub.clock.now();
    await hub.advance(7_000);
    expect((await lag())[1]).toBe(hub.clock.now() - waitingSince);
  });
});

describe('P8: what became of an event', () => {
  test('is pending, delivering, retrying, delivered, dead, discarded, filtered, skipped or not subscribed', async () => {
    const hub = new Hub();
    await hub.publish('orders', 1);
    await hub.subscribe('billing', {
      maxInFlight: 2,
      filter: { types: ['order.*'], cel: null },
      retry: { scheduleMs: [60_000], jitter: 0 },
    });
    const of = async (sequence: number, type = 'order.created') =>
      hub.subscription('billing').delivery('orders', sequence, typed(type));
    expect(await of(1)).toMatchObject({ status: 'not-subscribed', attempts: 0 });
    expect(await hub.subscription('billing').delivery('invoices', 1, typed('order.created'))).toMatchObject({
      status: 'not-subscribed',
    });
    await hub.publish('orders', 1);
    expect(await of(2)).toMatchObject({ status: 'pending', attempts: 0, settledAt: null });
    const message = hub.take();
    const claimed = await hub.claim(message);
    expect(await of(2)).toMatchObject({ status: 'delivering' });
    await hub.publish('orders', 1);
    await hub.publish('orders', 1, 'invoice.sent');
    await hub.publish('orders', 1);
    expect(await of(5)).toMatchObject({ status: 'pending' });
    const settle = (outcome: ReturnType<Hub['failed']>) =>
      hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes: [outcome] });
    const [event] = claimed.events;
    if (!event) throw new Error('There is no event.');
    await settle(hub.failed(event, 503));
    expect(await of(2)).toMatchObject({
      status: 'retrying',
      attempts: 1,
      lastStatus: 503,
      lastError: 'The receiver answered 503.',
      nextAttemptAt: hub.clock.now() + 60_000,
    });
    await hub.work('billing');
    expect(await of(3)).toMatchObject({ status: 'delivered', attempts: 1, lastStatus: 200, deadLetter: null });
    expect((await of(3)).settledAt).not.toBeNull();
    expect(await of(4, 'invoice.sent')).toMatchObject({ status: 'filtered', attempts: 0 });
    await hub.advance(60_000);
    await hub.work('billing', (retried) => hub.failed(retried, 500));
    const dead = await of(2);
    expect(dead).toMatchObject({ status: 'dead', attempts: 2, lastStatus: 500, nextAttemptAt: null });
    await hub.advance(1_000);
    expect(await hub.letters.get(dead.deadLetter ?? '')).toMatchObject({ sequence: 2 });
    await hub.subscription('billing').discard({ topic: 'orders', sequence: 2 });
    expect(await of(2)).toMatchObject({ status: 'discarded' });
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.publish('orders', 2);
    expect(await of(6)).toMatchObject({ status: 'pending' });
    expect(await of(7, 'invoice.sent')).toMatchObject({ status: 'filtered' });
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    expect(await of(6)).toMatchObject({ status: 'skipped' });
    expect(await of(5)).toMatchObject({ status: 'delivered' });
    await hub.awaiting(hub.subscription('billing').remove());
    expect(await of(5)).toMatchObject({ status: 'not-subscribed' });
  });

  test('a leased retry that nobody has claimed is retrying still', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    const status = async () => (await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).status;
    expect(await status()).toBe('retrying');
    await hub.claim(hub.take());
    expect(await status()).toBe('delivering');
  });
});

describe('P8: waiting for what becomes of an event', () => {
  const wait = (hub: Hub, known: DeliveryView, waitMs: number) =>
    hub.subscription('billing').deliveryOtherThan({
      v: 1,
      topic: 'orders',
      sequence: 1,
      json: typed('order.created'),
      known,
      waitMs,
    });
  const delivery = (hub: Hub) => hub.subscription('billing').delivery('orders', 1, typed('order.created'));

  test('is answered at once where it differs from what is known, and else as soon as it does', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const pending = await delivery(hub);
    expect(await wait(hub, { ...pending, status: 'not-subscribed' }, 20_000)).toEqual(pending);
    const waiting = wait(hub, pending, 20_000);
    const began = hub.clock.now();
    const message = hub.take();
    const { token, events } = await hub.claim(message);
    await hub.clock.advance(100);
    const delivering = await waiting;
    expect(delivering.status).toBe('delivering');
    const tick = wait(hub, delivering, 20_000);
    const outcomes = events.map((event) => hub.delivered(event));
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token, outcomes });
    await hub.clock.advance(100);
    expect(await tick).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(hub.clock.now() - began).toBeLessThan(1_000);
  });

  test('ends unchanged when the time is up, which is 20 s at most', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const pending = await delivery(hub);
    for (const [waitMs, atMost] of [
      [500, 500],
      [3_600_000, 20_000],
    ] as const) {
      const began = hub.clock.now();
      const waiting = wait(hub, pending, waitMs).then((view) => ({ view, took: hub.clock.now() - began }));
      await hub.clock.advance(25_000);
      expect(await waiting).toEqual({ view: pending, took: atMost });
    }
  });

  test('is not possible for more than 200 at a time: others are answered at once', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const pending = await delivery(hub);
    const all = Array.from({ length: 200 }, () => wait(hub, pending, 20_000));
    expect(await wait(hub, pending, 20_000)).toEqual(pending);
    await hub.claim(hub.take());
    await hub.clock.advance(100);
    expect(new Set((await Promise.all(all)).map(({ status }) => status))).toEqual(new Set(['delivering']));
    // Nobody is left behind to be looked for.
    await hub.clock.advance(60_000);
    expect(hub.clock.sleeping).toBe(0);
  });
});
