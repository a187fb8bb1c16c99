import { describe, expect, test } from 'vitest';
import { settled } from '../support/fake-clock.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { append, event, Harness, postedIn, read } from './harness.ts';

async function sequences(harness: Harness): Promise<number[]> {
  const page = await harness.log.read(read({ limit: 1000 }));
  if (page.outcome !== 'page') throw new Error(page.outcome);
  return page.events.map(({ sequence }) => sequence);
}

describe('appending', () => {
  test('P1 P2 events get the next sequences and are read as they were sent, with the hub’s attributes', async () => {
    const harness = new Harness();
    const sent = event({ key: 'k', data: { text: 'ä\n"' } });
    expect(await harness.log.append(append([sent, event()]))).toEqual({
      outcome: 'appended',
      first: 1,
      duplicates: [],
    });
    const found = await harness.log.event(1);
    if (found.outcome !== 'found') throw new Error(found.outcome);
    expect(JSON.parse(found.event.json)).toEqual({
      ...JSON.parse(sent.json),
      topic: 'orders',
      sequence: '0000000000000001',
      recordedtime: '2026-01-01T00:00:00.000Z',
    });
  });

  test('a topic that does not exist is made only if asked for', async () => {
    const harness = new Harness();
    expect(await harness.log.append(append([event()], { create: false }))).toEqual({ outcome: 'unknown-topic' });
    expect(await harness.log.describe()).toBeNull();
    expect(harness.storage.alarm).toBeNull();
    await harness.publish('a');
    expect(await harness.log.append(append([event()], { create: false }))).toMatchObject({ outcome: 'appended' });
  });

  test('P3 the same source and id is one record; other content is a conflict that changes nothing', async () => {
    const harness = new Harness();
    await harness.log.append(append([event({ id: 'x', data: 1 })]));
    expect(await harness.log.append(append([event({ id: 'x', data: 1 })]))).toEqual({
      outcome: 'appended',
      first: 2,
      duplicates: [{ index: 0, sequence: 1 }],
    });
    expect(await harness.log.append(append([event(), event({ id: 'x', data: 2 }), event()]))).toEqual({
      outcome: 'event-id-conflict',
      index: 1,
      sequence: 1,
    });
    expect(await harness.log.append(append([event({ id: 'x', source: '/other', data: 2 })]))).toMatchObject({
      first: 2,
      duplicates: [],
    });
    expect(await sequences(harness)).toEqual([1, 2]);
  });

  test('P3 the same pair twice in one request is a duplicate of the first, with other content a conflict', async () => {
    const harness = new Harness();
    expect(
      await harness.log.append(append([event({ id: 'x' }), event({ id: 'y' }), event({ id: 'x' })])),
    ).toMatchObject({ first: 1, duplicates: [{ index: 2, sequence: 1 }] });
    expect(await harness.log.append(append([event({ id: 'z', data: 1 }), event({ id: 'z', data: 2 })]))).toEqual({
      outcome: 'event-id-conflict',
      index: 1,
      sequence: null,
    });
    expect(await sequences(harness)).toEqual([1, 2]);
  });

  test('P3 the same pair twice in one request is one event though the window has no length', async () => {
    const harness = new Harness();
    await harness.log.configure({ description: '', deduplicationWindowMs: 0 }, null);
    const twice = () => harness.log.append(append([event({ id: 'x' }), event({ id: 'x' })]));
    expect(await twice()).toMatchObject({ first: 1, duplicates: [{ index: 1, sequence: 1 }] });
    expect(await twice()).toMatchObject({ first: 2, duplicates: [{ index: 1, sequence: 2 }] });
    expect(await harness.log.append(append([event({ id: 'x', data: 2 })]))).toMatchObject({ first: 3, duplicates: [] });
    expect(await sequences(harness)).toEqual([1, 2, 3]);
  });

  test('P3 an event that is sent again in other words is the same, and another one is not, wherever the first one is', async () => {
    const one = event({ id: 'x', data: { a: 1, b: [100, null] } });
    const words = (json: string) => ({ ...one, json });
    const traced = words(one.json.replace(',"data"', ',"traceparent":"t","data"'));
    const reordered = words(one.json.replace('{"a":1,"b":[100,null]}', '{"b":[1e2,null],"a":1.0}'));
    const other = words(one.json.replace('100', '101'));
    const again = [event({ id: 'y' }), traced, event({ id: 'y', data: null }), reordered];
    const inTurn = new Harness();
    inTurn.youngEventsMax = 3;
    inTurn.restart();
    const known = {
      outcome: 'appended',
      duplicates: [1, 2, 3].map((index) => ({ index, sequence: index === 2 ? 3 : 2 })),
    };
    await inTurn.publish('a');
    expect(await inTurn.log.append(append([one, ...again]))).toEqual({
      outcome: 'appended',
      first: 2,
      duplicates: [2, 3, 4].map((index) => ({ index, sequence: index === 3 ? 3 : 2 })),
    });
    for (const later of [() => {}, () => inTurn.restart(), () => inTurn.publish('b', 'b', 'b', 'b')]) {
      await later();
      expect(await inTurn.log.append(append([event(), ...again.slice(1)]))).toMatchObject(known);
      expect(await inTurn.log.append(append([event(), other]))).toMatchObject({ index: 1, sequence: 2 });
    }

    const atOnce = new Harness();
    await atOnce.publish('a');
    const requests = [
      [event()],
      [event(), one],
      [event({ id: 'z' }), other],
      [event(), traced, event(), reordered],
      [other],
    ];
    const results = Promise.all(requests.map((events) => atOnce.log.append(append(events))));
    await atOnce.clock.advance(5);
    expect(await results).toMatchObject([
      { first: 2 },
      { first: 3, duplicates: [] },
      { outcome: 'event-id-conflict', index: 1, sequence: 4 },
      { first: 5, duplicates: [1, 3].map((index) => ({ index, sequence: 4 })) },
      { outcome: 'event-id-conflict', index: 0, sequence: 4 },
    ]);
    // What was refused was taken back.
    expect(await atOnce.log.append(append([event({ id: 'z' })]))).toMatchObject({ first: 7, duplicates: [] });
  });

  test('P3 a restart forgets no identity', async () => {
    const harness = new Harness();
    await harness.log.append(append([event({ id: 'x' }), event({ id: 'y' })]));
    const log = harness.restart();
    expect(await log.append(append([event({ id: 'y' }), event({ id: 'z' })]))).toMatchObject({
      first: 3,
      duplicates: [{ index: 0, sequence: 2 }],
    });
  });

  test('an expectation is checked against the last sequence; duplicates get their receipts whatever it says', async () => {
    const harness = new Harness();
    const first = append([event({ id: 'x' })], { expectedLastSequence: 0 });
    expect(await harness.log.append(first)).toMatchObject({ outcome: 'appended' });
    expect(await harness.log.append(first)).toMatchObject({ duplicates: [{ index: 0, sequence: 1 }] });
    expect(await harness.log.append(append([event()], { expectedLastSequence: 0 }))).toEqual({
      outcome: 'wrong-expected-sequence',
      lastSequence: 1,
    });
    const conflict = append([event({ id: 'x', data: 'other' })], { expectedLastSequence: 0 });
    expect(await harness.log.append(conflict)).toMatchObject({ outcome: 'event-id-conflict' });
    expect(await harness.log.append(append([event()], { expectedLastSequence: 1 }))).toMatchObject({
      first: 2,
      duplicates: [],
    });
  });

  test('one of those that expect the same sequence wins, also inside one commit', async () => {
    const harness = new Harness();
    await harness.publish('a');
    const results = Promise.all(
      [1, 2, 3, 4].map(() => harness.log.append(append([event()], { expectedLastSequence: 1 }))),
    );
    await harness.clock.advance(5);
    expect((await results).map(({ outcome }) => outcome).sort()).toEqual([
      'appended',
      'wrong-expected-sequence',
      'wrong-expected-sequence',
      'wrong-expected-sequence',
    ]);
  });

  test('a full topic refuses new events and still knows its duplicates', async () => {
    const harness = new Harness();
    await harness.log.append(append([event({ id: 'x' })]));
    harness.fullBytes = 1;
    const log = harness.restart();
    expect(await log.append(append([event()]))).toEqual({ outcome: 'topic-full' });
    expect(await log.append(append([event({ id: 'x' })]))).toMatchObject({ duplicates: [{ index: 0, sequence: 1 }] });
  });

  test('large batches are cut into segments that fit into a row', async () => {
    const harness = new Harness();
    const text = 'ä'.repeat(10_000);
    const events = Array.from({ length: 40 }, (_, index) => event({ data: text + index, key: `k${index}` }));
    await harness.log.append(append(events));
    await harness.log.append(append([event({ data: 'x'.repeat(1024 * 1024) })]));
    const sizes = harness.storage.sql
      .exec<{ size: number; bytes: number }>('SELECT length(CAST(body AS BLOB)) AS size, bytes FROM segments')
      .toArray();
    // Three of them to a segment, and the large one alone.
    expect(sizes.length).toBe(15);
    expect(Math.max(...sizes.slice(0, -1).map(({ size }) => size))).toBeLessThanOrEqual(64 * 1024);
    const topic = await harness.log.describe();
    expect(topic).toMatchObject({ events: 41, firstSequence: 1, lastSequence: 41 });
    expect(topic?.bytes).toBe(sizes.reduce((sum, { bytes }) => sum + bytes, 0));
    const last = await harness.log.event(40);
    expect(last).toMatchObject({ outcome: 'found', event: { sequence: 40 } });
  });

  test('each key stands beside the sequence of its event, also where they take several statements', async () => {
    const harness = new Harness();
    harness.keysWaitingMax = 1_000;
    harness.restart();
    const keyOf = (sequence: number) => (sequence % 3 === 0 ? null : `${sequence}`.padStart(1_024, 'k'));
    const events = Array.from({ length: 999 }, (_, index) => event({ key: keyOf(index + 2) }));
    await harness.log.append(append([event({ key: keyOf(1) })]));
    await harness.log.append(append(events));
    await harness.publish('a');
    const rows = postedIn(harness.storage);
    expect(rows.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 1_000 }, (_, index) => index + 1).filter((sequence) => keyOf(sequence) !== null),
    );
    expect(rows.every(({ key, sequence }) => key === keyOf(sequence))).toBe(true);
  });

  test('recorded times never go back, whatever the clock does', async () => {
    const harness = new Harness();
    await harness.publish('a');
    harness.clock.jump(-3_600_000);
    await harness.publish('b');
    harness.restart();
    await harness.publish('c');
    const times = harness.storage.sql.exec<{ at: number }>('SELECT DISTINCT recorded_at AS at FROM segments').toArray();
    expect(times).toHaveLength(1);
  });
});

describe('group commit', () => {
  test('a lone producer waits for nobody', async () => {
    const harness = new Harness();
    await harness.publish('a');
    await harness.publish('b');
    expect(harness.clock.sleeping).toBe(0);
  });

  test('P1 P2 those that come while one commits share a transaction, in the order they came, each with its own receipts', async () => {
    const harness = new Harness();
    let finish = () => {};
    harness.storage.onSync = () => new Promise<void>((resolve) => (finish = resolve));
    const first = harness.log.append(append([event()]));
    let answered = false;
    first.then(() => {
      answered = true;
    });
    const rest = [
      harness.log.append(append([event({ id: 'x', data: 1 })])),
      harness.log.append(append([event({ id: 'x', data: 1 }), event()])),
      harness.log.append(append([event({ id: 'x', data: 2 })])),
      harness.log.append(append([event()], { expectedLastSequence: 99 })),
      harness.log.append(append([event()])),
    ];
    await settled();
    expect(answered).toBe(false);
    finish();
    await settled();
    expect(answered).toBe(true);
    harness.storage.onSync = async () => {};
    await harness.clock.advance(1);
    expect(await Promise.all(rest)).toEqual([
      { outcome: 'appended', first: 2, duplicates: [] },
      { outcome: 'appended', first: 3, duplicates: [{ index: 0, sequence: 2 }] },
      { outcome: 'event-id-conflict', index: 0, sequence: 2 },
      { outcome: 'wrong-expected-sequence', lastSequence: 3 },
      { outcome: 'appended', first: 4, duplicates: [] },
    ]);
    expect(harness.storage.sql.exec('SELECT first, count FROM segments').toArray()).toEqual([
      { first: 1, count: 1 },
      { first: 2, count: 3 },
    ]);
  });

  test('whoever makes a shared transaction fail fails alone', async () => {
    const harness = new Harness();
    const poison = append([event()]);
    const results = Promise.allSettled([
      harness.log.append(append([event()])),
      harness.log.append(append([event()])),
      harness.log.append({ ...poison, events: { ...poison.events, hashes: new Uint8Array(31) } }),
      harness.log.append({ ...poison, events: { ...poison.events, keys: 'k' } }),
      harness.log.append(append([{ ...event(), json: '{"torn":\n1}' }])),
      harness.log.append(append([{ ...event(), json: `{${'x'.repeat(3_000_000)}` }])),
      harness.log.append(append([event()])),
    ]);
    await harness.clock.advance(5);
    expect((await results).map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(await sequences(harness)).toEqual([1, 2, 3]);
  });

  test('a transaction that fails leaves nothing behind, in the tables or in memory', async () => {
    const harness = new Harness();
    await harness.park('billing', 7);
    await harness.publish('a');
    await (await harness.sent())[0]?.answer({ state: 'parked', next: 2, low: 2 });
    const setAlarm = harness.storage.setAlarm.bind(harness.storage);
    harness.storage.setAlarm = () => {
      throw new Error('disk full');
    };
    await harness.clock.advance(10_000);
    await harness.storage.deleteAlarm();
    await harness.log.alarm().catch(() => {});
    await expect(harness.log.append(append([event({ id: 'x' })]))).rejects.toThrow('disk full');
    harness.storage.setAlarm = setAlarm;
    expect(await sequences(harness)).toEqual([1]);
    expect(await harness.log.standing('billing')).toMatchObject({ lastSequence: 1, parked: { owed: null } });
    expect(await harness.log.append(append([event({ id: 'x' })]))).toMatchObject({
      first: 2,
      duplicates: [],
    });
    expect(await harness.sent()).toHaveLength(1);
  });

  test('P1 an append that may not be durable is not acknowledged, and memory agrees with the disk afterwards', async () => {
    const storage = new NodeStorage({ durability: 'on-flush' });
    const harness = new Harness(storage);
    await harness.publish('a');
    storage.onSync = async () => {
      storage.crash();
      throw new Error('The disk is gone.');
    };
    await expect(harness.log.append(append([event()]))).rejects.toThrow('The disk is gone.');
    storage.onSync = async () => storage.flush();
    expect(await harness.publish('b')).toEqual([2]);
    expect(await sequences(harness)).toEqual([1, 2]);
  });

  test('a thousand requests at once are cut into commits of bounded size and all keep their order', async () => {
    const harness = new Harness();
    const results = Promise.all(
      Array.from({ length: 1000 }, () => harness.log.append(append([event(), event(), event()]))),
    );
    await harness.clock.advance(5);
    expect((await results).map((result) => (result.outcome === 'appended' ? result.first : null))).toEqual(
      Array.from({ length: 1000 }, (_, index) => 3 * index + 1),
    );
    const counts = harness.storage.sql.exec<{ count: number }>('SELECT count FROM segments').toArray();
    expect(Math.max(...counts.map(({ count }) => count))).toBeLessThanOrEqual(1000);
    expect(counts.length).toBeLessThanOrEqual(8);
  });
});
