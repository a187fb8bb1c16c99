import { describe, expect, test } from 'vitest';
import { REDRIVEN_MAX } from '../../src/subscriptions/limits.ts';
import type { LetterJob } from '../../src/subscriptions/protocol.ts';
import { booked, Hub, REPLAY, typed } from './harness.ts';

const NO_RETRY = { retry: { scheduleMs: [], jitter: 0 } };
const JOB: LetterJob = { id: 'job_1', action: 'redrive', topic: null, reason: null, since: null, until: null };

/** A subscription of which every event died, all letters in D1. */
async function withLetters(count: number): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', NO_RETRY);
  for (let left = count; left > 0; left -= 100) {
    await hub.publish('orders', Math.min(100, left));
    await hub.work('billing', (event) => hub.failed(event));
    // A receiver that fails would be probed only now and then.
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.work('billing', (event) => hub.failed(event));
    await hub.awaiting(hub.subscription('billing').resume());
  }
  await hub.advance(1_000);
  expect(await hub.view('billing')).toMatchObject({ dead: count, waiting: 0 });
  await hub.clock.advance(1_000);
  return hub;
}

test('a dead letter keeps the beginning of an error, however long that is, so that it has room beside its event', async () => {
  const hub = new Hub();
  await hub.subscribe('billing');
  await hub.publishKeys('orders', [null], 'order.created', { data: 'x'.repeat(1_000_000) });
  await hub.work('billing', ({ topic, sequence }) => ({
    kind: 'invalid',
    topic,
    sequence,
    error: `transform.data failed: ${'no'.repeat(1_000_000)}`,
  }));
  await hub.advance(5_000);
  const [letter] = await hub.lettersOf('billing');
  expect(letter).toMatchObject({ reason: 'invalid', lastError: expect.stringMatching(/^transform\.data failed: no/) });
  expect(letter?.lastError?.length).toBe(1_000);
  expect((await hub.told('/subscriptions/billing')).at(-1)).toMatchObject({ type: 'millrace.delivery.dead' });
});

describe('P4: a letter from before a seek', () => {
  const statusOf = async (hub: Hub, type = 'order.created') =>
    (await hub.subscription('billing').delivery('orders', 1, typed(type))).status;
  const back = (hub: Hub) => hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));

  test.each(['open', 'discarded'])('%s, does not stand for what came of its event after it', async (state) => {
    const hub = await withLetters(1);
    const [letter = expect.fail()] = await hub.lettersOf('billing');
    if (state === 'discarded') await hub.subscription('billing').discard(letter);
    expect(await statusOf(hub)).toBe(state === 'open' ? 'dead' : 'discarded');
    await back(hub);
    expect(await statusOf(hub)).toBe('pending');
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 0, discarded: 0 });
    expect(await statusOf(hub)).toBe('delivered');
  });

  test('nor for what its filter lets pass by, or is held behind another of its key', async () => {
    const filtered = await withLetters(1);
    await filtered.subscribe('billing', { ...NO_RETRY, filter: { types: ['invoice.*'], cel: null } });
    await back(filtered);
    await filtered.advance(1_000);
    expect(await statusOf(filtered)).toBe('filtered');

    const held = new Hub();
    await held.subscribe('billing', { ...NO_RETRY, ordering: 'key' });
    await held.publishKeys('orders', ['a', 'a']);
    for (let turn = 0; turn < 4; turn += 1) {
      await held.work('billing', (event) => held.failed(event));
      await held.awaiting(held.subscription('billing').resume());
    }
    expect(await held.view('billing')).toMatchObject({ dead: 2 });
    await held.subscribe('billing', { ordering: 'key', retry: { scheduleMs: [3_600_000], jitter: 0 } });
    await back(held);
    await held.work('billing', (event) => {
      const { topic, sequence } = event;
      return sequence === 1 ? held.failed(event) : { kind: 'released', topic, sequence };
    });
    const status = async (sequence: number) => {
      const event = JSON.stringify({ type: 'order.created', partitionkey: 'a' });
      return (await held.subscription('billing').delivery('orders', sequence, event)).status;
    };
    expect([await status(1), await status(2)]).toEqual(['retrying', 'held']);
    expect(await held.view('billing')).toMatchObject({ retrying: 1, held: 1, dead: 0 });
  });

  test('stands for it as long as the books begin behind it', async () => {
    const hub = await withLetters(1);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    expect(await statusOf(hub)).toBe('dead');
  });
});

describe('P4: a job over dead letters', () => {
  test('redrives 250 in steps, each once, also with a crash between the steps', async () => {
    const hub = await withLetters(250);
    let steps = 0;
    const around = hub.d1.around;
    hub.d1.around = async (queries, work) => {
      if (queries.some((query) => query.includes('dead_letters') && query.includes('SELECT'))) {
        steps += 1;
        if (steps === 2) {
          hub.restart('billing');
          throw new Error('The object died.');
        }
      }
      return around(queries, work);
    };
    await hub.subscription('billing').startJob(JOB);
    const seen: number[] = [];
    for (let turn = 0; turn < 40; turn++) {
      seen.push(...(await hub.work('billing')));
      await hub.advance(1_000);
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 250, dead: 0, pending: 0 });
    expect(booked(view)).toBe(250);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(250);
    expect(hub.rows('billing', 'SELECT count(*) AS jobs FROM jobs')).toEqual([{ jobs: 0 }]);
  });

  test('discards by its filter and nothing else', async () => {
    const hub = await withLetters(150);
    const letters = await hub.lettersOf('billing');
    const since = letters[40]?.diedAt ?? 0;
    const meant = letters.filter((letter) => letter.diedAt >= since).length;
    await hub
      .subscription('billing')
      .startJob({ ...JOB, action: 'discard', reason: 'exhausted', topic: 'orders', since });
    await hub.advance(5_000);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ discarded: meant, dead: 150 - meant });
    expect(booked(view)).toBe(150);
    expect(await hub.lettersOf('billing', 'discarded')).toHaveLength(meant);
  });

  test('waits while as many letters are pending as may be', async () => {
    const hub = await withLetters(1);
    await hub.awaiting(hub.subscription('billing').pause());
    const { sql } = hub.storage('subscription billing');
    for (let sequence = 2; sequence <= REDRIVEN_MAX + 1; sequence++)
      sql.exec(
        'INSERT INTO exceptions (lane, sequence, attempts, tries, due, redriven) VALUES (1, ?, 0, 0, ?, 1)',
        sequence,
        hub.clock.now() + 9e9,
      );
    await hub.subscription('billing').startJob(JOB);
    await hub.advance(30_000);
    expect(hub.rows('billing', 'SELECT count(*) AS jobs FROM jobs')).toEqual([{ jobs: 1 }]);
    sql.exec('DELETE FROM exceptions WHERE sequence IN (2, 3)');
    await hub.advance(30_000);
    expect(hub.rows('billing', 'SELECT count(*) AS jobs FROM jobs')).toEqual([{ jobs: 0 }]);
  });
});

describe('P4: a dead letter', () => {
  test('that was resolved can die again, and D1 knows', async () => {
    const hub = await withLetters(1);
    const [letter] = await hub.lettersOf('billing');
    if (!letter) throw new Error('There is no letter.');
    await hub.subscription('billing').redrive(letter);
    await hub.work('billing');
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing', 'resolved')).toMatchObject([{ attempts: 2 }]);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    expect(await hub.view('billing')).toMatchObject({ dead: 1 });
    expect(await hub.lettersOf('billing', 'open')).toMatchObject([{ id: letter.id, attempts: 1 }]);
  });

  test('from before a seek is redriven beside the new books', async () => {
    const hub = await withLetters(2);
    await hub.publish('orders', 1);
    await hub.work('billing');
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    expect(await hub.view('billing')).toMatchObject({ dead: 0, delivered: 0, cursor: 3 });
    expect((await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).status).toBe('dead');
    for (const letter of await hub.lettersOf('billing', 'open')) await hub.subscription('billing').redrive(letter);
    expect((await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).status).toBe('retrying');
    expect(await hub.view('billing')).toMatchObject({ pending: 0, cursor: 3 });
    expect((await hub.work('billing')).sort()).toEqual([1, 2]);
    await hub.advance(1_000);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 0, dead: 0, pending: 0 });
    expect(booked(view)).toBe(0);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(2);
  });

  test('that nothing counts dies and comes back as often as it likes beside the books', async () => {
    const hub = await withLetters(2);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    await hub.publish('orders', 1);
    await hub.work('billing');
    const letters = await hub.lettersOf('billing', 'open');
    for (let turn = 0; turn < 2; turn++) {
      await hub.clock.advance(1_000);
      for (const letter of letters) await hub.subscription('billing').redrive(letter);
      // A receiver that fails is sent one at a time.
      for (const _ of letters) {
        await hub.awaiting(hub.subscription('billing').resume());
        await hub.work('billing', (event) => hub.failed(event));
      }
      await hub.advance(1_000);
      expect(await hub.lettersOf('billing', 'open')).toHaveLength(2);
      expect(booked(await hub.view('billing'))).toBe(1);
    }
    const [first, second] = letters;
    if (!first || !second) throw new Error('There are no letters.');
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.subscription('billing').redrive(first);
    await hub.subscription('billing').discard(first);
    await hub.subscription('billing').discard(second);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 1, dead: 0, discarded: 0 });
    expect(booked(view)).toBe(1);
    expect((await hub.subscription('billing').delivery('orders', 1, typed('order.created'))).status).toBe('discarded');
  });

  test('that is redriven beside the books stays so where a seek brings its event again', async () => {
    const hub = await withLetters(1);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    await hub.awaiting(hub.subscription('billing').pause());
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.subscription('billing').redrive(letter);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1, 1]);
    await hub.advance(1_000);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 1, dead: 0, pending: 0 });
    expect(booked(view)).toBe(1);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
  });

  describe('that dies in the new books while it is on its way beside them', () => {
    async function dyingTwice() {
      const hub = await withLetters(1);
      await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
      await hub.put('billing', { retry: { scheduleMs: [60_000], jitter: 0 } });
      const [letter] = await hub.lettersOf('billing', 'open');
      if (!letter) throw new Error('There is no letter.');
      await hub.subscription('billing').redrive(letter);
      await hub.work('billing', (event) => hub.failed(event));
      await hub.put('billing', NO_RETRY);
      await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
      await hub.work('billing', (event) => hub.failed(event));
      await hub.advance(1_000);
      expect(await hub.view('billing')).toMatchObject({ dead: 1, pending: 0 });
      return { hub, letter };
    }

    test('is resolved where it arrives after all, and counted as delivered', async () => {
      const { hub } = await dyingTwice();
      await hub.advance(60_000);
      expect(await hub.work('billing')).toEqual([1]);
      await hub.advance(1_000);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 1, dead: 0, pending: 0 });
      expect(booked(view)).toBe(1);
      expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
    });

    test('stays open where it does not, and can be redriven', async () => {
      const { hub, letter } = await dyingTwice();
      await hub.advance(60_000);
      await hub.work('billing', (event) => hub.failed(event));
      await hub.advance(1_000);
      expect(await hub.view('billing')).toMatchObject({ delivered: 0, dead: 1, pending: 0 });
      await hub.subscription('billing').redrive(letter);
      expect(await hub.work('billing')).toEqual([1]);
      await hub.advance(1_000);
      expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 0, pending: 0 });
      expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
    });

    test('is sent once where it is redriven again meanwhile', async () => {
      const { hub, letter } = await dyingTwice();
      await hub.subscription('billing').redrive(letter);
      const sent = await hub.work('billing');
      await hub.advance(60_000);
      expect([...sent, ...(await hub.work('billing'))]).toEqual([1]);
      await hub.advance(1_000);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 1, dead: 0, pending: 0 });
      expect(booked(view)).toBe(1);
      expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
    });

    test('does not come any more where it is discarded', async () => {
      const { hub, letter } = await dyingTwice();
      await hub.subscription('billing').discard(letter);
      await hub.advance(60_000);
      expect(await hub.work('billing')).toEqual([]);
      const view = await hub.view('billing');
      expect(view).toMatchObject({ discarded: 1, dead: 0, pending: 0 });
      expect(booked(view)).toBe(1);
    });
  });

  test('whose event is about to be delivered again anyway is not sent twice, and is resolved by that', async () => {
    const hub = await withLetters(1);
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.subscription('billing').redrive(letter);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1]);
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
    expect(booked(await hub.view('billing'))).toBe(1);
  });

  test('that is redriven and then sought past is open again', async () => {
    const hub = await withLetters(1);
    await hub.awaiting(hub.subscription('billing').pause());
    const [letter] = await hub.lettersOf('billing');
    if (!letter) throw new Error('There is no letter.');
    await hub.subscription('billing').redrive(letter);
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing', 'redriven')).toHaveLength(1);
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'latest' } }));
    await hub.advance(1_000);
    expect(await hub.lettersOf('billing', 'open')).toHaveLength(1);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([]);
  });

  test('that is redriven and discarded is taken back, retrying or leased', async () => {
    const hub = await withLetters(2);
    const letters = await hub.lettersOf('billing');
    for (const letter of letters) await hub.subscription('billing').redrive(letter);
    const message = hub.take(hub.deliveries.length > 0 ? hub.deliveries : hub.retries);
    const claimed = await hub.claim(message);
    for (const letter of letters) await hub.subscription('billing').discard(letter);
    const outcomes = claimed.events.map((event) => hub.delivered(event));
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
    expect(await hub.work('billing')).toEqual([]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ discarded: 2, dead: 0, pending: 0, delivered: 0 });
    expect(booked(view)).toBe(2);
  });

  test('of a deleted subscription is redriven by one of the same name made later', async () => {
    const hub = await withLetters(2);
    const letters = await hub.lettersOf('billing', 'open');
    const [first, second] = letters;
    if (!first || !second) throw new Error('There are no letters.');
    await hub.subscription('billing').redrive(first);
    await hub.awaiting(hub.subscription('billing').remove());
    await hub.advance(1_000);
    expect(await hub.subscription('billing').redrive(first)).toBe(false);
    expect(await hub.subscription('billing').startJob(JOB)).toBe(false);
    expect(await hub.lettersOf('billing', 'open')).toHaveLength(2);
    await hub.subscribe('billing', NO_RETRY);
    for (const letter of letters) expect(await hub.subscription('billing').redrive(letter)).toBe(true);
    expect((await hub.work('billing')).sort()).toEqual([1, 2]);
    await hub.advance(1_000);
    expect(booked(await hub.view('billing'))).toBe(0);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(2);
  });

  test('of a topic that was given up and is subscribed anew is resolved where its event is delivered', async () => {
    const hub = await withLetters(1);
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['invoices'] });
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['orders'], from: { kind: 'earliest' } });
    expect(await hub.work('billing')).toEqual([1]);
    await hub.advance(1_000);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, dead: 0 });
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
  });

  test('that was discarded is open and counted again where its event dies in a replay', async () => {
    const hub = await withLetters(1);
    await hub.subscription('billing').discard({ topic: 'orders', sequence: 1 });
    await hub.awaiting(hub.subscription('billing').startReplay(REPLAY));
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ dead: 1, discarded: 0 });
    expect(booked(view)).toBe(1);
    expect(await hub.lettersOf('billing', 'open')).toHaveLength(1);
  });

  test('of a topic that is not subscribed any more can still be redriven, and is counted once', async () => {
    const hub = await withLetters(1);
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['invoices'] });
    expect(await hub.view('billing')).toMatchObject({ dead: 1 });
    const [letter] = await hub.lettersOf('billing', 'open');
    if (!letter) throw new Error('There is no letter.');
    await hub.subscription('billing').redrive(letter);
    expect(await hub.work('billing', (event) => hub.failed(event))).toEqual([1]);
    expect(await hub.view('billing')).toMatchObject({ dead: 1, pending: 0 });
    await hub.advance(1_000);
    // Subscribed anew, the topic has new books.
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['invoices', 'orders'] });
    await hub.clock.advance(1_000);
    await hub.subscription('billing').redrive(letter);
    expect(await hub.work('billing')).toEqual([1]);
    await hub.advance(1_000);
    expect(booked(await hub.view('billing'))).toBe(0);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(1);
  });

  test('that is redriven while its topic is subscribed anew from the start is counted by the new lane alone', async () => {
    const hub = await withLetters(2);
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['invoices'] });
    await hub.awaiting(hub.subscription('billing').pause());
    for (const letter of await hub.lettersOf('billing', 'open')) await hub.subscription('billing').redrive(letter);
    await hub.subscribe('billing', { ...NO_RETRY, topics: ['orders'], from: { kind: 'earliest' } });
    await hub.awaiting(hub.subscription('billing').resume());
    expect((await hub.work('billing')).sort()).toEqual([1, 1, 2, 2]);
    await hub.advance(1_000);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 2, dead: 0, pending: 0 });
    expect(booked(view)).toBe(2);
    expect(await hub.lettersOf('billing', 'resolved')).toHaveLength(2);
  });
});
