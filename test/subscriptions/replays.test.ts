import { describe, expect, test } from 'vitest';
import type { StartReplayRequest, StartReplayResult } from '../../src/subscriptions/protocol.ts';
import { booked, Hub, REPLAY, typed } from './harness.ts';

function replay(hub: Hub, changes: Partial<StartReplayRequest> = {}): Promise<StartReplayResult> {
  return hub.awaiting(hub.subscription('billing').startReplay({ ...REPLAY, ...changes }));
}

async function delivered(events: number): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing');
  await hub.publish('orders', events);
  await hub.work('billing');
  return hub;
}

describe('P4: a replay', () => {
  test('goes on after a restart in the middle of it', async () => {
    const hub = await delivered(100);
    await replay(hub);
    await hub.clock.advance(20);
    const seen: number[] = [];
    for (let message = hub.deliveries.shift(); message; message = hub.deliveries.shift()) {
      const claimed = await hub.claim(message);
      seen.push(...claimed.events.map((event) => event.sequence));
      const outcomes = claimed.events.map((event) => hub.delivered(event));
      await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
      hub.loseMessages();
      hub.restart('billing');
      await hub.advance(15_000);
    }
    expect([...new Set(seen)]).toHaveLength(100);
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'done',
      delivered: 100,
      remaining: 0,
    });
    expect(await hub.view('billing')).toMatchObject({ delivered: 100, lag: 0 });
  });

  test('is started once, however often it is asked for, also when it has ended', async () => {
    const hub = await delivered(3);
    const started = await replay(hub);
    expect(await replay(hub)).toEqual(started);
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
    expect(await replay(hub)).toMatchObject({ outcome: 'started', replay: { status: 'done', delivered: 3 } });
    expect(await hub.work('billing')).toEqual([]);
  });

  test('of an empty topic is done at once', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    expect(await replay(hub)).toMatchObject({ outcome: 'started', replay: { status: 'done', total: 0, remaining: 0 } });
    expect(await replay(hub, { id: 'rpl_2', to: { kind: 'sequence', sequence: 1 } })).toMatchObject({
      outcome: 'position-ahead',
      end: 'to',
    });
    const from = { kind: 'time' as const, time: hub.clock.now() + 1_000 };
    expect(await replay(hub, { id: 'rpl_3', from, to: { kind: 'sequence', sequence: 1 } })).toMatchObject({
      outcome: 'position-ahead',
      end: 'from',
    });
  });

  test('that is cancelled drops what waits, also its retries, and stays cancelled', async () => {
    const hub = await delivered(10);
    await replay(hub);
    await hub.work('billing', (event) => (event.sequence > 5 ? hub.failed(event) : hub.delivered(event)));
    expect(await hub.subscription('billing').cancelReplay('rpl_1')).toBe(true);
    await hub.advance(60_000);
    expect(await hub.work('billing')).toEqual([]);
    const view = await hub.subscription('billing').replay('rpl_1');
    expect(view).toMatchObject({ status: 'cancelled', delivered: 5, remaining: 5 });
    expect(await hub.subscription('billing').cancelReplay('rpl_1')).toBe(true);
    expect(await hub.subscription('billing').cancelReplay('rpl_2')).toBe(false);
    expect(await hub.view('billing')).toMatchObject({ pending: 0, delivered: 10 });
  });

  test('waits while the subscription is paused', async () => {
    const hub = await delivered(5);
    await hub.awaiting(hub.subscription('billing').pause());
    await replay(hub);
    await hub.advance(60_000);
    expect(hub.deliveries).toEqual([]);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1, 2, 3, 4, 5]);
  });

  test('has a filter of its own beside that of its subscription', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 2, 'order.created');
    await hub.publish('orders', 2, 'order.paid');
    await hub.publish('orders', 2, 'invoice.sent');
    await hub.work('billing');
    await replay(hub, { filter: { types: ['*.paid', 'invoice.*'], cel: null } });
    expect(await hub.work('billing')).toEqual([3, 4]);
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'done',
      delivered: 2,
      filtered: 4,
    });
  });

  test('fails where the subscription gives up the topic', async () => {
    const hub = await delivered(5);
    await replay(hub);
    await hub.put('billing', { topics: ['invoices'] });
    const view = await hub.subscription('billing').replay('rpl_1');
    expect(view).toMatchObject({ status: 'failed', error: 'The subscription no longer has the topic.' });
    expect(await hub.work('billing')).toEqual([]);
    expect(await replay(hub, { id: 'rpl_2' })).toEqual({ outcome: 'topic-not-subscribed' });
  });

  test('counts what dies in it; the live books are not touched, and a redrive of it is delivered live', async () => {
    const hub = await delivered(0);
    await hub.put('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 3);
    await hub.work('billing');
    await replay(hub);
    await hub.work('billing', (event) => (event.sequence === 2 ? hub.failed(event) : hub.delivered(event)));
    await hub.advance(100);
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'done',
      delivered: 2,
      failed: 1,
    });
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 3, dead: 0 });
    expect(booked(view)).toBe(3);
    expect(await hub.subscription('billing').delivery('orders', 2, typed('order.created'))).toMatchObject({
      status: 'delivered',
    });
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.clock.advance(1_000);
    await hub.subscription('billing').redrive(letter);
    expect(await hub.work('billing')).toEqual([2]);
    await hub.advance(100);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
    expect(booked(await hub.view('billing'))).toBe(3);
  });

  test('of what is older than the subscription enters nothing into its books, redriven or not', async () => {
    const hub = new Hub();
    await hub.publish('orders', 2);
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await replay(hub);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    await hub.awaiting(hub.subscription('billing').resume());
    for (const letter of await hub.lettersOf('billing', 'open')) await hub.subscription('billing').redrive(letter);
    expect((await hub.work('billing')).sort()).toEqual([1, 2]);
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(2);
    expect(booked(await hub.view('billing'))).toBe(0);
  });

  test('that fails is not the live delivery: its row says what live delivery did, and names the open letter', async () => {
    const hub = await delivered(0);
    await hub.put('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing');
    const before = await hub.subscription('billing').delivery('orders', 1, typed('order.created'));
    expect(before).toMatchObject({ status: 'delivered', lastStatus: 200, deadLetter: null });
    await hub.advance(1_000);
    await replay(hub);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(100);
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    const died = await hub.subscription('billing').delivery('orders', 1, typed('order.created'));
    expect(died).toEqual({ ...before, deadLetter: letter.id });
    // A redrive of it that fails changes nothing of what was delivered.
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.subscription('billing').redrive(letter);
    const redriven = await hub.subscription('billing').delivery('orders', 1, typed('order.created'));
    expect(redriven).toMatchObject({ status: 'delivered', lastStatus: 200, deadLetter: null });
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(100);
    const again = await hub.subscription('billing').delivery('orders', 1, typed('order.created'));
    expect(again).toMatchObject({
      status: 'delivered',
      lastStatus: 200,
      lastError: null,
      settledAt: before.settledAt,
      deadLetter: letter.id,
    });
  });

  test('of what is older than the subscription names the open letter of an event it was not subscribed to', async () => {
    const hub = new Hub();
    await hub.publish('orders', 1);
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await replay(hub);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(100);
    const [letter] = await hub.lettersOf('billing', 'open');
    expect(await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).toEqual({
      status: 'not-subscribed',
      attempts: 0,
      lastStatus: null,
      lastError: null,
      nextAttemptAt: null,
      settledAt: null,
      deadLetter: letter?.id,
    });
  });

  test('ends where its last event dies with its consumer', async () => {
    const hub = await delivered(1);
    await replay(hub);
    await hub.clock.advance(20);
    for (let claim = 0; claim < 3; claim++) {
      const [message] = hub.deliveries.splice(0);
      if (message) await hub.claim(message);
      await hub.advance(15_100);
    }
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({
      status: 'done',
      failed: 1,
      remaining: 0,
    });
  });

  test('whose rate is lowered while events are leased keeps to it, and wakes nobody for nothing', async () => {
    const hub = await delivered(40);
    await replay(hub);
    await hub.clock.advance(20);
    await hub.subscription('billing').changeReplay('rpl_1', { count: 2, spanMs: 60_000 });
    const slots: number[] = [];
    let claims = 0;
    for (let turn = 0; turn < 200; turn++) {
      for (let message = hub.deliveries.shift(); message; message = hub.deliveries.shift()) {
        claims += 1;
        const claimed = await hub.subscription('billing').claim(message.lease);
        if (claimed.outcome !== 'claimed') continue;
        slots.push(...claimed.events.map((event) => event.notBefore ?? 0));
        const outcomes = claimed.events.map((event) => hub.delivered(event));
        await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
      }
      await hub.advance(3_000);
    }
    expect(slots.length).toBeGreaterThanOrEqual(19);
    expect(slots.length).toBeLessThanOrEqual(22);
    for (let index = 2; index < slots.length; index++)
      expect((slots[index] ?? 0) - (slots[index - 2] ?? 0)).toBeGreaterThanOrEqual(60_000);
    expect(claims).toBeLessThan(150);
    await hub.subscription('billing').changeReplay('rpl_1', null);
    for (let turn = 0; turn < 60; turn++) {
      await hub.work('billing');
      await hub.advance(60_000);
    }
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({ status: 'done', delivered: 40 });
  });

  test('with a rate goes on after the clock went back an hour', async () => {
    const hub = await delivered(10);
    await replay(hub, { rateLimit: { count: 1, spanMs: 1_000 } });
    await hub.clock.advance(20);
    await hub.work('billing');
    hub.clock.jump(-3_600_000);
    await hub.awaiting(hub.subscription('billing').sweep());
    for (let turn = 0; turn < 60; turn++) {
      await hub.work('billing');
      await hub.advance(1_000);
    }
    expect(await hub.subscription('billing').replay('rpl_1')).toMatchObject({ status: 'done', delivered: 10 });
  });

  test('takes at most half the slots', async () => {
    const hub = await delivered(100);
    await replay(hub);
    await hub.clock.advance(20);
    expect(hub.rows('billing', 'SELECT sum(count) AS leased FROM leases')).toEqual([{ leased: 32 }]);
  });
});
