import { describe, expect, test } from 'vitest';
import { append, event, Harness, readOrPark } from './harness.ts';

const parkedAt = (next: number) => ({ state: 'parked', next, low: next }) as const;

describe('attaching', () => {
  test('positions become starts; on a topic that does not exist yet all are its first event', async () => {
    const harness = new Harness();
    const attach = (subscription: string, from: Parameters<typeof harness.log.attach>[0]['from']) =>
      harness.log.attach({ v: 1, subscription, attachment: 'a', exact: true, from });
    for (const from of [{ kind: 'earliest' }, { kind: 'latest' }, { kind: 'time', time: 5 }] as const) {
      expect(await attach(`early-${from.kind}`, from)).toEqual({ outcome: 'attached', next: 1, lastSequence: 0 });
    }
    await harness.publish('a', 'a', 'a');
    expect(await attach('earliest', { kind: 'earliest' })).toMatchObject({ next: 1 });
    expect(await attach('latest', { kind: 'latest' })).toMatchObject({ next: 4, lastSequence: 3 });
    expect(await attach('two', { kind: 'sequence', sequence: 2 })).toMatchObject({ next: 2 });
    expect(await attach('four', { kind: 'sequence', sequence: 4 })).toMatchObject({ next: 4 });
    expect(await attach('five', { kind: 'sequence', sequence: 5 })).toEqual({
      outcome: 'position-ahead',
      lastSequence: 3,
    });
    expect(await attach('time', { kind: 'time', time: harness.clock.now() })).toMatchObject({ next: 1 });
    expect(await attach('later', { kind: 'time', time: harness.clock.now() + 1 })).toMatchObject({
      outcome: 'position-ahead',
    });
    await harness.log.remove({ force: true });
    expect(await attach('gone', { kind: 'sequence', sequence: 2 })).toEqual({
      outcome: 'sequence-expired',
      firstSequence: 4,
    });
    expect(await attach('again', { kind: 'earliest' })).toMatchObject({ next: 4, lastSequence: 3 });
  });

  test('it is idempotent by attachment; another attachment starts anew', async () => {
    const harness = new Harness();
    expect(await harness.attach('billing', 'a1')).toBe(1);
    await harness.publish('a');
    expect(await harness.attach('billing', 'a1')).toBe(1);
    expect(await harness.attach('billing', 'a2')).toBe(2);
    await harness.log.detach('billing', 'a1');
    expect(await harness.log.subscribers('', 10)).toEqual(['billing']);
    await harness.log.detach('billing', 'a2');
    expect(await harness.log.subscribers('', 10)).toEqual([]);
    expect(await harness.log.readOrPark(readOrPark({ subscription: 'billing', attachment: 'a2', next: 2 }))).toEqual({
      outcome: 'not-attached',
    });
  });

  test('who only wears another attachment reads nothing', async () => {
    const harness = new Harness();
    await harness.attach('billing', 'a1');
    expect(await harness.log.readOrPark(readOrPark({ subscription: 'billing', attachment: 'a2', next: 1 }))).toEqual({
      outcome: 'not-attached',
    });
  });

  test('subscribers are listed by name, a page at a time', async () => {
    const harness = new Harness();
    for (const name of ['c', 'a', 'b', 'd']) await harness.attach(name);
    expect(await harness.log.subscribers('', 3)).toEqual(['a', 'b', 'c']);
    expect(await harness.log.subscribers('c', 3)).toEqual(['d']);
    await harness.publish('x');
    expect(await harness.log.describe()).toMatchObject({ subscriptions: 4 });
  });
});

describe('reading or parking', () => {
  test('pages until the head, then parks there', async () => {
    const harness = new Harness();
    await harness.attach('billing');
    await harness.publish('a', 'b', 'a', 'b');
    const call = (next: number, limit = 50) =>
      harness.log.readOrPark(readOrPark({ subscription: 'billing', next, types: ['a'], ticket: 5, limit }));
    expect(await call(1, 1)).toMatchObject({
      outcome: 'events',
      events: [{ sequence: 1 }],
      scannedTo: 1,
      lastSequence: 4,
    });
    expect(await call(2)).toMatchObject({ outcome: 'events', events: [{ sequence: 3 }], scannedTo: 4 });
    expect(await call(5)).toEqual({ outcome: 'parked', next: 5, lastSequence: 4 });
    expect(await harness.log.standing('billing')).toEqual({
      firstSequence: 1,
      lastSequence: 4,
      parked: { ticket: 5, next: 5, owed: null },
      recordedAt: null,
    });
  });

  test('a standing tells when the first event was recorded that a subscription has not settled', async () => {
    const harness = new Harness();
    await harness.attach('billing');
    const start = harness.clock.now();
    await harness.publish('a');
    await harness.clock.advance(1_000);
    await harness.publish('b');
    const recordedAt = async (low?: number) => (await harness.log.standing('billing', low)).recordedAt;
    expect(await recordedAt(1)).toBe(start);
    expect(await recordedAt(2)).toBe(start + 1_000);
    expect([await recordedAt(3), await recordedAt(0), await recordedAt()]).toEqual([null, null, null]);
    await harness.park('billing', 5, ['a']);
    await harness.publish('b');
    expect(await recordedAt(3)).toBeNull();
    await harness.clock.advance(1_000);
    await harness.publish('b', 'a');
    expect(await recordedAt(3)).toBe(harness.clock.now());
  });

  test('what matches nothing is passed in bounded steps', async () => {
    const harness = new Harness();
    await harness.attach('billing');
    for (let n = 0; n < 6; n += 1) await harness.publish(...Array.from({ length: 1000 }, () => 'other'));
    const call = (next: number) => harness.log.readOrPark(readOrPark({ subscription: 'billing', next, types: ['a'] }));
    expect(await call(1)).toMatchObject({ outcome: 'events', events: [], scannedTo: 5000 });
    expect(await call(5001)).toMatchObject({ outcome: 'parked', next: 6001 });
  });

  test('a parked lane whose types don’t come advances without a write or a call', async () => {
    const harness = new Harness();
    await harness.park('billing', 5, ['a']);
    const before = harness.storage.sql.exec('SELECT * FROM subscribers').toArray();
    await harness.publish('b', 'b');
    expect(await harness.sent()).toHaveLength(0);
    expect(harness.storage.sql.exec('SELECT * FROM subscribers').toArray()).toEqual(before);
    expect(await harness.log.unpark('billing', 5)).toEqual({ next: 3 });
  });

  test('leaving a park goes on from the first event owed, once and with the right ticket', async () => {
    const harness = new Harness();
    await harness.park('billing', 5, ['a']);
    await harness.publish('b', 'a', 'b');
    expect(await harness.log.unpark('billing', 4)).toBeNull();
    expect(await harness.log.unpark('billing', 5)).toEqual({ next: 2 });
    expect(await harness.log.unpark('billing', 5)).toBeNull();
    expect((await harness.log.standing('billing')).parked).toBeNull();
  });
});

describe('waking', () => {
  test('P4 the first event that matches wakes a parked lane and comes with the wake', async () => {
    const harness = new Harness();
    await harness.park('billing', 5, ['a']);
    await harness.publish('b', 'a', 'b');
    const [wake, ...others] = await harness.sent();
    expect(others).toEqual([]);
    expect(wake?.name).toBe('billing');
    expect(wake?.request).toMatchObject({
      v: 1,
      topic: 'orders',
      attachment: 'a1',
      ticket: 5,
      from: 1,
      events: [{ sequence: 2 }],
      scannedTo: 3,
      lastSequence: 3,
    });
    expect(await harness.log.standing('billing')).toMatchObject({ parked: { next: 1, owed: expect.any(Number) } });
    await wake?.answer(parkedAt(4));
    expect(await harness.log.standing('billing')).toMatchObject({ parked: { ticket: 5, next: 4, owed: null } });
    await harness.publish('a');
    expect((await harness.sent())[0]?.request).toMatchObject({ from: 4, events: [{ sequence: 4 }] });
  });

  test('what comes while a wake is under way is woken for after its answer, never beside it', async () => {
    const harness = new Harness();
    await harness.park('billing', 5, ['a']);
    await harness.publish('a');
    const [first] = await harness.sent();
    await harness.publish('b');
    await harness.publish('a');
    expect(await harness.sent()).toEqual([]);
    await first?.answer(parkedAt(2));
    const [second] = await harness.sent();
    expect(second?.request).toMatchObject({ from: 2, events: [{ sequence: 3 }], scannedTo: 3 });
    await second?.answer(parkedAt(4));
    await harness.publish('b');
    expect(await harness.sent()).toEqual([]);
  });

  test('a lane that took only part is woken for the rest', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a', 'a', 'a', 'a');
    const [first] = await harness.sent();
    await first?.answer(parkedAt(3));
    const [second] = await harness.sent();
    expect(second?.request).toMatchObject({ from: 3, events: [{ sequence: 3 }, { sequence: 4 }] });
  });

  test('a lane that reads by itself is parked no more', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    await (await harness.sent())[0]?.answer({ state: 'reading' });
    expect((await harness.log.standing('billing')).parked).toBeNull();
    await harness.publish('a');
    expect(await harness.sent()).toEqual([]);
    expect(await harness.log.readOrPark(readOrPark({ subscription: 'billing', next: 1 }))).toMatchObject({
      outcome: 'events',
      scannedTo: 2,
    });
  });

  test('a subscription that is gone is forgotten, unless it has attached anew', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.park('mail', 6);
    await harness.publish('a');
    const wakes = await harness.sent();
    await harness.attach('mail', 'a2');
    for (const wake of wakes) await wake.answer({ state: 'gone' });
    expect(await harness.log.subscribers('', 10)).toEqual(['mail']);
  });

  test('events too large for a wake are not carried', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.log.append(append([event({ data: 'x'.repeat(70_000) })]));
    expect((await harness.sent())[0]?.request).toMatchObject({ events: null, lastSequence: 1 });
  });

  test('at most 32 wakes are under way; the others follow', async () => {
    const harness = new Harness();
    for (let n = 0; n < 80; n += 1) await harness.park(`s${n}`, n);
    await harness.publish('a');
    let woken = 0;
    for (let wakes = await harness.sent(); wakes.length > 0; wakes = await harness.sent()) {
      expect(wakes.length).toBeLessThanOrEqual(32);
      woken += wakes.length;
      for (const wake of wakes) await wake.answer(parkedAt(2));
    }
    expect(woken).toBe(80);
  });

  test('under load nobody is parked, and a publish makes no call and writes no row for anyone', async () => {
    const harness = new Harness();
    for (let n = 0; n < 20; n += 1) await harness.attach(`s${n}`);
    await harness.publish('a');
    const before = harness.storage.rowsChanged;
    await harness.publish('a');
    expect(harness.storage.rowsChanged - before).toBe(1);
    expect(await harness.sent()).toEqual([]);
  });
});

describe('tickets', () => {
  test('P4 an answer to an earlier park changes nothing of a later one', async () => {
    for (const stale of [parkedAt(2), { state: 'reading' } as const]) {
      const harness = new Harness();
      await harness.park('billing', 5);
      await harness.publish('a');
      const [first] = await harness.sent();
      // The lane read by itself, and parked again, before its answer arrived.
      expect(await harness.log.readOrPark(readOrPark({ subscription: 'billing', ticket: 6, next: 2 }))).toMatchObject({
        outcome: 'parked',
        next: 2,
      });
      await harness.publish('a');
      await first?.answer(stale);
      expect(await harness.log.standing('billing')).toMatchObject({
        parked: { ticket: 6, next: 2, owed: expect.any(Number) },
      });
      const [second] = await harness.sent();
      expect(second?.request).toMatchObject({ ticket: 6, from: 2, events: [{ sequence: 2 }] });
      await second?.answer(parkedAt(3));
      expect(await harness.log.standing('billing')).toMatchObject({ parked: { ticket: 6, next: 3, owed: null } });
    }
  });

  test('P4 a wake may overtake the answer that says parked: the park it names is the one answered', async () => {
    const harness = new Harness();
    await harness.attach('billing');
    const parking = harness.log.readOrPark(readOrPark({ subscription: 'billing', ticket: 9, next: 1 }));
    const publishing = harness.publish('a');
    const [wake] = await harness.sent();
    expect(wake?.request).toMatchObject({ ticket: 9, events: [{ sequence: 1 }] });
    await wake?.answer({ state: 'reading' });
    expect(await parking).toEqual({ outcome: 'parked', next: 1, lastSequence: 0 });
    await publishing;
    expect((await harness.log.standing('billing')).parked).toBeNull();
  });

  test('reading alone ends no park: a wake still comes if the answer was lost', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    const [first] = await harness.sent();
    await harness.log.readOrPark(readOrPark({ subscription: 'billing', ticket: 6, next: 1 }));
    await first?.fail();
    await harness.pass(2);
    expect((await harness.sent())[0]?.request).toMatchObject({ ticket: 5 });
  });

  test('an answer after the time for it counts for nothing', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    const [first] = await harness.sent();
    await harness.pass(12);
    const [second] = await harness.sent();
    expect(second?.request).toMatchObject({ ticket: 5 });
    await first?.answer({ state: 'reading' });
    expect((await harness.log.standing('billing')).parked).not.toBeNull();
    await second?.answer(parkedAt(2));
    expect(await harness.log.standing('billing')).toMatchObject({ parked: { next: 2, owed: null } });
  });
});

describe('lost wakes', () => {
  test('P4 a wake that fails is tried again within 30 s, for ever', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    let failed = 0;
    for (let tries = 0; tries < 20; tries += 1) {
      const [wake] = await harness.sent();
      if (wake === undefined) throw new Error(`No wake after ${tries} failures.`);
      await wake.fail();
      failed += 1;
      for (let second = 0; second < 30 && harness.wakes.length === 0; second += 1) await harness.pass(1);
    }
    expect(failed).toBe(20);
    await (await harness.sent())[0]?.answer(parkedAt(2));
    await harness.pass(40);
    expect(await harness.sent()).toEqual([]);
    expect(harness.storage.alarm).toBeNull();
  });

  test('P4 an object that dies after the commit and before the wake wakes when it is back', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    await harness.sent();
    harness.restart();
    await harness.pass(5);
    const [wake] = await harness.sent();
    expect(wake?.request).toMatchObject({ ticket: 5, from: 1, events: [{ sequence: 1 }] });
    await wake?.answer(parkedAt(2));
    await harness.pass(10);
    expect(harness.storage.alarm).toBeNull();
  });

  test('P4 an object that dies while a lane has taken events wakes again from where it knows it to be', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    await harness.sent();
    await harness.publish('a');
    harness.restart();
    await harness.publish('a');
    const [late] = await harness.sent();
    expect(late?.request).toMatchObject({ from: 1, events: [{ sequence: 1 }, { sequence: 2 }, { sequence: 3 }] });
    await late?.answer(parkedAt(4));
    expect(await harness.log.standing('billing')).toMatchObject({ parked: { next: 4, owed: null } });
  });

  test('P4 a wake that cannot even be made is tried again, at a distance', async () => {
    const harness = new Harness();
    await harness.park('billing', 5, ['a']);
    await harness.publish('a');
    await harness.sent();
    harness.storage.sql.exec('ALTER TABLE segments RENAME TO away');
    harness.restart();
    await harness.pass(6);
    expect(await harness.sent()).toEqual([]);
    // Alarm after alarm at once would cost a row and a call each.
    expect(harness.storage.alarm).toBeGreaterThan(harness.clock.now() + 100);
    expect(harness.logged.filter((line) => line.includes('could not be woken')).length).toBeLessThan(6);
    harness.storage.sql.exec('ALTER TABLE away RENAME TO segments');
    await harness.pass(30);
    expect((await harness.sent())[0]).toMatchObject({ name: 'billing', request: { first: 1 } });
  });

  test('P6 a subscription that never answers holds up nobody else', async () => {
    const harness = new Harness();
    for (let n = 0; n < 40; n += 1) await harness.park(`dead${n}`, n);
    await harness.park('alive', 99);
    harness.onWake = (name) => (name === 'alive' ? Promise.resolve(parkedAt(2)) : new Promise(() => {}));
    await harness.publish('a');
    await harness.pass(25);
    expect(await harness.log.standing('alive')).toMatchObject({ parked: { next: 2, owed: null } });
  });

  test('a sweep wakes what an alarm that was lost did not', async () => {
    const harness = new Harness();
    await harness.park('billing', 5);
    await harness.publish('a');
    await harness.sent();
    await harness.storage.deleteAlarm();
    harness.restart();
    await harness.log.sweep();
    const [wake] = await harness.sent();
    expect(harness.storage.alarm).not.toBeNull();
    const healed = () => harness.storage.sql.exec("SELECT value FROM counters WHERE name = 'healed'").toArray();
    expect(healed()).toEqual([{ value: 1 }]);
    await wake?.answer(parkedAt(2));
    await harness.pass(1);
    await harness.log.sweep();
    expect(healed()).toEqual([{ value: 1 }]);
  });
});
