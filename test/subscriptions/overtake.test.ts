import { describe, expect, test } from 'vitest';
import { booked, Hub, REPLAY } from './harness.ts';

async function removeTopic(hub: Hub): Promise<void> {
  expect(await hub.awaiting(hub.log('orders').remove({ force: true }))).toEqual({ outcome: 'removed' });
  await hub.advance(60_000);
}

async function expectAllWhole(hub: Hub, sequences: number[]): Promise<void> {
  const letters = await hub.lettersOf('billing');
  expect(letters.map((letter) => letter.sequence).sort((a, b) => a - b)).toEqual(sequences);
  for (const letter of letters) expect(JSON.parse(letter.event)).toMatchObject({ id: `e${letter.sequence}` });
}

describe('P4: a topic that is deleted by force leaves dead letters of what was owed, whole', () => {
  test.each(['at once', 'after a restart'])('waiting, unclaimed, claimed and retrying events, %s', async (when) => {
    const hub = new Hub();
    await hub.subscribe('billing', {
      maxInFlight: 3,
      filter: { types: ['order.*'], cel: null },
      retry: { scheduleMs: [3_600_000], jitter: 0 },
    });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.publish('orders', 1);
    const claimed = await hub.claim(hub.take());
    await hub.publish('orders', 3);
    await hub.publish('orders', 2, 'invoice.sent');
    await hub.publish('orders', 2);
    await hub.advance(100);
    expect(await hub.view('billing')).toMatchObject({ retrying: 1, pending: 4, inFlight: 3 });
    if (when === 'after a restart') {
      hub.restart('billing');
      hub.restartTopic('orders');
    }
    await removeTopic(hub);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ dead: 7, filtered: 2, pending: 0, waiting: 0, lag: 0 });
    expect(booked(view)).toBe(9);
    await expectAllWhole(hub, [1, 2, 3, 4, 5, 8, 9]);
    expect((await hub.lettersOf('billing')).every((letter) => letter.reason === 'expired')).toBe(true);
    expect((await hub.lettersOf('billing')).find((letter) => letter.sequence === 1)).toMatchObject({ attempts: 1 });
    // Whoever still holds the lease is too late.
    const outcomes = claimed.events.map((event) => hub.delivered(event));
    expect(await hub.subscription('billing').settle({ v: 1, lease: 1, token: claimed.token, outcomes })).toEqual({
      outcome: 'fenced',
    });
    // Made again, the topic goes on where it was.
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([10]);
  });

  test('a letter that D1 does not have yet keeps its event', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    hub.d1.failure = 'before';
    await hub.work('billing', (event) => hub.failed(event));
    await hub.publish('orders', 2);
    await hub.work('billing');
    await removeTopic(hub);
    hub.d1.failure = null;
    await hub.advance(60_000);
    await expectAllWhole(hub, [1]);
  });

  test('one of a replay, too', async () => {
    const hub = new Hub();
    await hub.publish('orders', 2);
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    hub.d1.failure = 'before';
    await hub.awaiting(hub.subscription('billing').startReplay(REPLAY));
    await hub.work('billing', (event) => (event.sequence === 1 ? hub.failed(event) : hub.delivered(event)));
    await hub.clock.advance(20);
    await removeTopic(hub);
    hub.d1.failure = null;
    await hub.advance(60_000);
    await expectAllWhole(hub, [1]);
  });

  test('a redriven letter carries its event itself and is still delivered', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { retry: { scheduleMs: [], jitter: 0 } });
    await hub.publish('orders', 1);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(100);
    const [letter] = await hub.lettersOf('billing');
    if (!letter) throw new Error('There is no letter.');
    hub.clock.jump(1_000);
    await hub.subscription('billing').pause();
    await hub.subscription('billing').redrive(letter);
    await removeTopic(hub);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1]);
    await hub.advance(100);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
  });

  test('a replay of the topic fails with an error', async () => {
    const hub = new Hub();
    await hub.publish('orders', 30);
    await hub.subscribe('billing', { maxInFlight: 20 });
    await hub.awaiting(hub.subscription('billing').startReplay(REPLAY));
    await hub.clock.advance(20);
    await removeTopic(hub);
    // What was leased is gone from memory, too.
    hub.restart('billing');
    await hub.advance(60_000);
    expect(await hub.work('billing')).toEqual([]);
    const replay = await hub.subscription('billing').replay('rpl_1');
    expect(replay).toMatchObject({ status: 'failed', delivered: 0, remaining: 30 });
    expect(replay?.error).not.toBeNull();
    expect(await hub.view('billing')).toMatchObject({ pending: 0, dead: 0 });
  });
});
