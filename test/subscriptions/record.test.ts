import { describe, expect, test } from 'vitest';
import type { AttemptsQuery, AttemptView } from '../../src/subscriptions/protocol.ts';
import { Hub, typed } from './harness.ts';

const KEPT = 1_000;
const KEPT_MS = 3_600_000;
const ALL: AttemptsQuery = { status: null, sequence: null, limit: 1_000, cursor: null };

async function attempts(hub: Hub, query: Partial<AttemptsQuery> = {}): Promise<AttemptView[]> {
  return (await hub.subscription('billing').attempts({ ...ALL, ...query }))?.items ?? [];
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
        `INSERT INTO attempts (id, topic, first, last, at, total, body) VALUES (?, 'orders', 1, 1, ?, ?, '[]')`,
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
    for (let publish = 0; publish < 10; publish++) {
      await hub.publish('orders', 1);
      await hub.work('billing');
    }
    const [left] = hub.rows<{ oldest: number; newest: number }>(
      'billing',
      'SELECT min(total) AS oldest, max(total) AS newest FROM attempts',
    );
    expect((left?.newest ?? 0) - (left?.oldest ?? 0)).toBeLessThan(KEPT);
  });

  test('give the percentiles of latency', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    expect((await hub.view('billing')).latency).toEqual({ p50: null, p99: null });
    await hub.publish('orders', 100);
    await hub.work('billing', (event) => ({ ...hub.delivered(event), latencyMs: event.sequence }));
    expect((await hub.view('billing')).latency).toEqual({ p50: 51, p99: 100 });
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
