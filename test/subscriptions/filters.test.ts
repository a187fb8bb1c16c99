import { beforeEach, describe, expect, test } from 'vitest';
import { packEvents } from '../../src/events/new-event.ts';
import type { ClaimedEvent, DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';
import { settled } from '../support/fake-clock.ts';
import { booked, Hub, REPLAY } from './harness.ts';

let hub: Hub;
let made = 0;

beforeEach(() => {
  hub = new Hub();
});

/** Publishes an event for each, with this as its data. */
async function publish(...data: unknown[]): Promise<void> {
  const events = data.map((value) => {
    const id = `d${++made}`;
    const event = { specversion: '1.0', id, source: '/test', type: 'order.created', data: value };
    return { source: '/test', id, key: null, json: JSON.stringify(event) };
  });
  const request = { v: 1 as const, events: packEvents(events), expectedLastSequence: null, create: true };
  await hub.awaiting(hub.log('orders').append(request));
  await settled();
}

const filtering = (cel: string, types: string[] = []) => ({ filter: { types, cel } });
const amount = (value: unknown) => ({ amount: value });

async function statusOf(sequence: number): Promise<string> {
  const found = await hub.awaiting(hub.log('orders').event(sequence));
  if (found.outcome !== 'found') throw new Error(found.outcome);
  return (await hub.subscription('billing').delivery('orders', sequence, found.event.json)).status;
}

describe('A filter in CEL', () => {
  test('lets what matches through and counts the rest as filtered', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount(50), amount(150), {}, amount(101));
    expect(await hub.work('billing')).toEqual([2, 4]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 2, filtered: 2, dead: 0, lag: 0, cursor: 4 });
    expect(booked(view)).toBe(4);
    expect(await Promise.all([1, 2, 3, 4].map(statusOf))).toEqual(['filtered', 'delivered', 'filtered', 'delivered']);
  });

  test('and one by type have to match both', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100', ['order.created']));
    await hub.publish('orders', 2, 'mail.sent');
    await publish(amount(1), amount(200));
    expect(await hub.work('billing')).toEqual([4]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, filtered: 3 });
  });

  test('that fails on an event makes one dead letter of it, and the lane goes on (P4)', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount('many'), amount(150), amount('few'), amount(200));
    expect(await hub.work('billing')).toEqual([2, 4]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 2, dead: 2, filtered: 0, pending: 0, failed: 0, lag: 0 });
    expect(booked(view)).toBe(4);
    await hub.advance(5_000);
    const letters = await hub.lettersOf('billing');
    expect(letters.map(({ sequence }) => sequence).sort()).toEqual([1, 3]);
    expect(letters[0]).toMatchObject({
      reason: 'invalid',
      attempts: 0,
      lastStatus: null,
      lastError: expect.stringMatching(/^filter\.cel failed: .*'>'.* at line 1, column 13$/),
      firstAttemptAt: null,
    });
    expect(JSON.parse(letters[0]?.event ?? '')).toMatchObject({ type: 'order.created', topic: 'orders' });
    expect(await statusOf(1)).toBe('dead');
  });

  test('that fails behind a failed delivery in order by topic makes one dead letter still', async () => {
    await hub.subscribe('billing', { ...filtering('data.amount > 100'), ordering: 'topic' });
    await publish(amount(150), amount(160), amount('many'), amount(50), amount(200));
    let failed = false;
    const flaky = (event: ClaimedEvent): DeliveryOutcome => {
      const { topic, sequence, attempt } = event;
      if (sequence === 1) failed = attempt === 1;
      if (!failed) return hub.delivered(event);
      return sequence === 1 ? hub.failed(event) : { kind: 'released', topic, sequence };
    };
    await hub.work('billing', flaky);
    await hub.advance(5_000);
    await hub.work('billing', flaky);
    await hub.advance(5_000);
    await hub.work('billing', flaky);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 3, dead: 1, filtered: 1, pending: 0 });
    expect(booked(view)).toBe(5);
  });

  test('that fails on what wakes a parked lane dies there and then, and the lane parks again', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount(1));
    await hub.advance(1_000);
    await publish(amount('many'));
    await hub.advance(1_000);
    await publish(amount(500));
    expect(await hub.work('billing')).toEqual([3]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, filtered: 1, dead: 1, lag: 0 });
  });

  test('dies once however often its object restarts', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount('many'), amount(150));
    hub.restart('billing');
    await hub.advance(30_000);
    await hub.work('billing');
    hub.restart('billing');
    await hub.advance(30_000);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 1 });
    expect(await hub.lettersOf('billing')).toHaveLength(1);
  });

  test('does not stop what a person redrives: the letter is delivered, and resolved', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount('many'));
    await hub.advance(5_000);
    const [letter] = await hub.lettersOf('billing');
    await hub.subscription('billing').redrive({ topic: 'orders', sequence: 1, event: letter?.event ?? '' });
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 0 });
    expect(await statusOf(1)).toBe('delivered');
  });

  test('that changes counts from there on, and history knows which one decided', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount(50), amount(150));
    await hub.work('billing');
    await hub.subscribe('billing', filtering('data.amount < 100'));
    await publish(amount(50), amount(150));
    expect(await hub.work('billing')).toEqual([3]);
    expect(await Promise.all([1, 2, 3, 4].map(statusOf))).toEqual(['filtered', 'delivered', 'delivered', 'filtered']);
    await hub.put('billing', filtering('data.amount > 0'));
    await hub.subscription('billing').pause();
    await publish(amount(1), amount(-1), amount('x'));
    expect(await Promise.all([5, 6, 7].map(statusOf))).toEqual(['pending', 'filtered', 'pending']);
  });

  test('that is too costly for a page is gone on with, a part at a time, and no event is passed over', async () => {
    // Each event costs some 70,000 units, of the 1,000,000 that a page may.
    await hub.subscribe('billing', { ...filtering('data.all(x, x >= 0) && data.size() > 1'), maxInFlight: 1_000 });
    const numbers = Array.from({ length: 5_000 }, (_, index) => index);
    await hub.subscription('billing').pause();
    await publish(...Array(40).fill(numbers), [1]);
    await hub.subscription('billing').resume();
    const delivered: number[] = [];
    for (let turn = 0; turn < 20; turn++) {
      delivered.push(...(await hub.work('billing')));
      await hub.advance(1_000);
    }
    expect(delivered).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(await hub.view('billing')).toMatchObject({ delivered: 40, filtered: 1, dead: 0, lag: 0 });
  });

  test('that is no expression any more makes dead letters, not a stuck lane', async () => {
    await hub.subscribe('billing', filtering('data.amount >'));
    await publish(amount(1), amount(2));
    await hub.advance(5_000);
    expect(await hub.view('billing')).toMatchObject({ dead: 2, lag: 0 });
    expect((await hub.lettersOf('billing'))[0]).toMatchObject({
      reason: 'invalid',
      lastError: expect.stringContaining('line 1'),
    });
  });

  test('lets retention take only what matches, or may (P4)', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await hub.subscription('billing').pause();
    await publish(amount(50), amount(150), amount('many'));
    const events = await hub.awaiting(hub.log('orders').eventsAt([1, 2, 3]));
    const [{ attachment = '' } = {}] = hub.rows<{ attachment: string }>('billing', 'SELECT attachment FROM lanes');
    await hub
      .subscription('billing')
      .overtake({ v: 1, topic: 'orders', attachment, from: 1, to: 3, events: events.events });
    expect(await hub.view('billing')).toMatchObject({ filtered: 1, dead: 2, waiting: 0 });
  });
});

describe("A replay's own filter in CEL", () => {
  const replay = (cel: string) => ({ ...REPLAY, id: 'r1', filter: { types: [], cel } });

  test('applies beside that of the subscription', async () => {
    await hub.subscribe('billing', filtering('data.amount > 100'));
    await publish(amount(50), amount(150), amount(250));
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').startReplay(replay('data.amount < 200')));
    expect(await hub.work('billing')).toEqual([2]);
    expect(await hub.subscription('billing').replay('r1')).toMatchObject({
      status: 'done',
      filter: { types: [], cel: 'data.amount < 200' },
      total: 3,
      delivered: 1,
      filtered: 2,
      failed: 0,
    });
  });

  test('that fails on an event counts it as failed and ends', async () => {
    await hub.subscribe('billing');
    await publish(amount(50), amount('many'));
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').startReplay(replay('data.amount > 1')));
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.subscription('billing').replay('r1')).toMatchObject({
      status: 'done',
      delivered: 1,
      failed: 1,
      remaining: 0,
    });
    expect(await hub.lettersOf('billing')).toMatchObject([{ sequence: 2, reason: 'invalid' }]);
    // What died in the replay only was delivered live.
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, dead: 0 });
  });

  test.each([
    ['data.amount > 1', 'data.wanted'],
    ['data.wanted', 'data.amount > 1'],
  ])('makes no dead letter of what the other does not want: %s beside %s', async (own, ofReplay) => {
    await hub.subscribe('billing', filtering('true'));
    await publish({ amount: 'many', wanted: false }, { amount: 2, wanted: true });
    await hub.work('billing');
    await hub.subscribe('billing', filtering(own));
    await hub.awaiting(hub.subscription('billing').startReplay(replay(ofReplay)));
    expect(await hub.work('billing')).toEqual([2]);
    expect(await hub.subscription('billing').replay('r1')).toMatchObject({ filtered: 1, delivered: 1, failed: 0 });
    expect(await hub.lettersOf('billing')).toEqual([]);
  });
});

describe('What a transform fails on', () => {
  const invalid = (event: { topic: string; sequence: number }): DeliveryOutcome => ({
    kind: 'invalid',
    topic: event.topic,
    sequence: event.sequence,
    error: 'transform.data failed: no at line 1, column 1',
  });

  test('is a dead letter at once, with no attempt spent, and its receiver is none the worse', async () => {
    await hub.subscribe('billing', { maxInFlight: 2 });
    await hub.publish('orders', 5);
    await hub.work('billing', (event) => (event.sequence % 2 === 0 ? invalid(event) : hub.delivered(event)));
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 3, dead: 2, failed: 0, pending: 0, status: 'active' });
    expect(view.health.state).toBe('healthy');
    expect(booked(view)).toBe(5);
    await hub.advance(5_000);
    const letters = await hub.lettersOf('billing');
    expect(letters).toHaveLength(2);
    expect(letters[0]).toMatchObject({
      reason: 'invalid',
      attempts: 0,
      lastError: expect.stringContaining('transform'),
    });
    const attempts = await hub
      .subscription('billing')
      .attempts({ topic: null, status: null, sequence: 2, limit: 10, cursor: null });
    expect(attempts?.items).toEqual([]);
  });

  test('after failed attempts keeps their number', async () => {
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_500);
    await hub.work('billing', invalid);
    await hub.advance(5_000);
    expect(await hub.lettersOf('billing')).toMatchObject([{ reason: 'invalid', attempts: 1, lastStatus: 500 }]);
    expect(await hub.view('billing')).toMatchObject({ dead: 1, failed: 1, retrying: 0, pending: 0 });
  });

  test('settled again, or by a claim that is not the present one, changes nothing', async () => {
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    const claimed = await hub.claim(message);
    const settle = (token: string) =>
      hub.subscription('billing').settle({
        v: 1,
        lease: message.lease,
        token,
        outcomes: claimed.events.map(invalid),
      });
    expect(await settle('another')).toEqual({ outcome: 'fenced' });
    expect(await settle(claimed.token)).toMatchObject({ outcome: 'settled', remaining: 0 });
    expect(await settle(claimed.token)).toEqual({ outcome: 'fenced' });
    expect(await hub.view('billing')).toMatchObject({ dead: 1, inFlight: 0 });
  });
});
