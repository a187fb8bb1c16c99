import { describe, expect, test } from 'vitest';
import { settled } from '../support/fake-clock.ts';
import { append, event, Harness, read, readOrPark } from './harness.ts';

const CONFIG = { description: 'Orders', deduplicationWindowMs: 60_000 };

describe('configuration', () => {
  test('a topic is made once, then replaced; its etag changes with its configuration only', async () => {
    const harness = new Harness();
    const made = await harness.log.configure(CONFIG, null);
    expect(made).toMatchObject({
      outcome: 'created',
      topic: {
        name: 'orders',
        config: CONFIG,
        firstSequence: 1,
        lastSequence: 0,
        events: 0,
        bytes: 0,
        subscriptions: 0,
      },
    });
    if (made.outcome === 'precondition-failed') throw new Error(made.outcome);
    expect(await harness.log.configure(CONFIG, made.topic.etag)).toEqual({ outcome: 'replaced', topic: made.topic });
    await harness.publish('a');
    expect((await harness.log.describe())?.etag).toBe(made.topic.etag);
    const changed = await harness.log.configure({ ...CONFIG, description: 'New' }, made.topic.etag);
    expect(changed).toMatchObject({ outcome: 'replaced', topic: { config: { description: 'New' } } });
    expect(await harness.log.configure(CONFIG, made.topic.etag)).toEqual({ outcome: 'precondition-failed' });
    expect(await new Harness().log.configure(CONFIG, made.topic.etag)).toEqual({ outcome: 'precondition-failed' });
    const log = harness.restart();
    expect(await log.describe()).toMatchObject({ config: { description: 'New' } });
  });
});

describe('announcing', () => {
  test('a new topic is in the catalogue before the patterns are read, and each subscription is told once', async () => {
    const harness = new Harness();
    harness.catalog.patterns = [
      { subscription: 'a', pattern: '*' },
      { subscription: 'a', pattern: 'ord*' },
      { subscription: 'a', pattern: 'orders' },
      { subscription: 'b', pattern: 'billing.*' },
      { subscription: 'c', pattern: '>' },
    ];
    await harness.publish('x');
    expect(harness.storage.alarm).toBe(harness.clock.now() + 1);
    await harness.pass(1);
    expect(harness.catalog.calls.slice(0, 2)).toEqual(['announce orders', 'patterns']);
    expect(harness.appeared).toEqual(['a', 'c']);
    expect(harness.storage.alarm).toBeNull();
    await harness.publish('x');
    expect(harness.storage.alarm).toBeNull();
  });

  test('without D1 publishing goes on, and the topic is announced when D1 is back', async () => {
    const harness = new Harness();
    harness.catalog.failing = true;
    await harness.publish('x');
    await harness.pass(300);
    expect(harness.catalog.calls.length).toBeLessThan(15);
    expect(await harness.publish('x')).toEqual([2]);
    harness.restart();
    harness.catalog.failing = false;
    await harness.pass(61);
    expect(harness.catalog.topics.has('orders')).toBe(true);
    expect(harness.storage.alarm).toBeNull();
  });

  test('a subscription that can’t be told is told again; a hanging one too', async () => {
    const harness = new Harness();
    harness.catalog.patterns = [{ subscription: 'a', pattern: '>' }];
    let answers = 0;
    harness.onAppeared = async () => {
      answers += 1;
      if (answers === 1) throw new Error('Network connection lost.');
      if (answers === 2) await new Promise(() => {});
    };
    await harness.publish('x');
    await harness.pass(60);
    expect(answers).toBe(3);
    expect(harness.storage.alarm).toBeNull();
  });

  test('a topic deleted while it is being announced ends up out of the catalogue', async () => {
    const harness = new Harness();
    harness.catalog.patterns = [{ subscription: 'a', pattern: '>' }];
    let go = () => {};
    harness.onAppeared = () => new Promise<void>((resolve) => (go = resolve));
    await harness.publish('x');
    const firing = harness.fireAlarm();
    await settled();
    await harness.log.remove({ force: false });
    go();
    await firing;
    await harness.pass(20);
    expect(harness.catalog.topics.size).toBe(0);
  });

  test('a making that arrives after the deletion is taken back by the sweep', async () => {
    const harness = new Harness();
    await harness.publish('x');
    await harness.pass(1);
    await harness.log.remove({ force: false });
    await harness.pass(1);
    await harness.catalog.announceTopic('orders', 1, 1);
    expect(harness.catalog.topics.has('orders')).toBe(true);
    await harness.log.sweep();
    await harness.pass(1);
    expect(harness.catalog.topics.has('orders')).toBe(false);
    expect(harness.storage.alarm).toBeNull();
  });
});

describe('deleting', () => {
  test('a topic that a subscription names is deleted only by force', async () => {
    const harness = new Harness();
    expect(await harness.log.remove({ force: true })).toEqual({ outcome: 'unknown-topic' });
    await harness.publish('a');
    await harness.attach('by-pattern', 'a1', false);
    await harness.attach('billing', 'a1', true);
    expect(await harness.log.remove({ force: false })).toEqual({
      outcome: 'topic-has-subscriptions',
      subscriptions: ['billing'],
    });
    expect(await harness.log.remove({ force: true })).toEqual({ outcome: 'removed' });
    expect(await harness.log.remove({ force: true })).toEqual({ outcome: 'unknown-topic' });
    expect(await harness.log.describe()).toBeNull();
    expect(await harness.log.read(read())).toEqual({ outcome: 'unknown-topic' });
    expect(await harness.log.append(append([event()], { create: false }))).toEqual({ outcome: 'unknown-topic' });
    await harness.pass(2);
    expect(harness.catalog.topics.size).toBe(0);
  });

  test('P4 whoever may still need its events is given them before they go', async () => {
    const harness = new Harness();
    await harness.attach('reading');
    await harness.park('idle', 1, ['never']);
    for (let n = 0; n < 5; n += 1) await harness.publish('a', 'b');
    await harness.park('at-the-head', 2);
    await harness.log.remove({ force: true });
    const told = harness.overtaken.map(({ name, request }) => [name, request.from, request.to]);
    expect(told).toEqual([['reading', 1, 10]]);
    expect(harness.overtaken[0]?.request.events.map(({ sequence }) => sequence)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
    for (const table of ['segments', 'postings', 'runs', 'run_pages']) {
      expect(harness.storage.sql.exec(`SELECT * FROM ${table}`).toArray()).toEqual([]);
    }
  });

  test('P4 a lane that is owed a wake is given what it was owed', async () => {
    const harness = new Harness();
    await harness.park('billing', 1);
    await harness.publish('a', 'a');
    await (await harness.sent())[0]?.fail();
    await harness.log.remove({ force: true });
    expect(harness.overtaken.map(({ request }) => [request.from, request.to])).toEqual([[1, 2]]);
    await harness.pass(5);
    expect(await harness.log.standing('billing')).toMatchObject({ parked: { owed: null } });
    expect(await harness.sent()).toEqual([]);
  });

  test('it goes on after a crash and after subscriptions fail, in bounded steps, and loses nothing on the way', async () => {
    const harness = new Harness();
    await harness.attach('billing');
    for (let n = 0; n < 5; n += 1) {
      await harness.publish(...Array.from({ length: 700 }, () => 'a'));
    }
    let calls = 0;
    harness.onOvertake = async () => {
      calls += 1;
      if (calls % 2 === 0) throw new Error('Network connection lost.');
    };
    const removing = harness.log.remove({ force: true });
    await settled();
    harness.restart();
    await harness.pass(120);
    await removing;
    const covered = new Set(harness.overtaken.flatMap(({ request }) => request.events.map(({ sequence }) => sequence)));
    expect(covered.size).toBe(3500);
    expect(Math.max(...harness.overtaken.map(({ request }) => request.events.length))).toBeLessThanOrEqual(1000);
    expect(harness.storage.sql.exec('SELECT * FROM segments').toArray()).toEqual([]);
    expect(harness.storage.alarm).toBeNull();
  });

  test('P2 P3 made again, it goes on counting, knows no old event and has forgotten no subscription', async () => {
    const harness = new Harness();
    await harness.park('billing', 1);
    harness.onWake = async (_name, request) => ({
      state: 'parked',
      next: request.scannedTo + 1,
      low: request.scannedTo + 1,
    });
    await harness.log.append(append([event({ id: 'x' }), event({ id: 'y' })]));
    await settled();
    harness.onOvertake = () => new Promise(() => {});
    await harness.attach('stuck');
    await harness.publish('a');
    await harness.log.attach({
      v: 1,
      subscription: 'stuck',
      attachment: 'a2',
      exact: true,
      from: { kind: 'earliest' },
    });
    const removing = harness.log.remove({ force: true });
    await settled();
    harness.onWake = null;
    // The old events are still being cleared away, and new ones come.
    expect(await harness.log.append(append([event({ id: 'x', data: 'other' })]))).toMatchObject({
      first: 4,
      duplicates: [],
    });
    expect(await harness.log.describe()).toMatchObject({ firstSequence: 4, lastSequence: 4, events: 1 });
    expect(await harness.log.read(read())).toMatchObject({ events: [{ sequence: 4 }], firstSequence: 4 });
    expect(await harness.log.event(3)).toEqual({ outcome: 'sequence-expired', firstSequence: 4 });
    expect(await harness.log.read(read({ from: { kind: 'sequence', sequence: 2 } }))).toEqual({
      outcome: 'sequence-expired',
      firstSequence: 4,
    });
    expect((await harness.sent())[0]?.request).toMatchObject({ events: [{ sequence: 4 }], lastSequence: 4 });
    harness.onOvertake = async () => {};
    await harness.pass(30);
    await removing;
    expect(harness.storage.sql.exec('SELECT first FROM segments').toArray()).toEqual([{ first: 4 }]);
    harness.restart();
    expect(await harness.log.append(append([event({ id: 'x', data: 'other' })]))).toMatchObject({
      duplicates: [{ index: 0, sequence: 4 }],
    });
    expect(await harness.log.describe()).toMatchObject({ firstSequence: 4, lastSequence: 4, events: 1 });
    expect((await harness.log.describe())?.bytes).toBeLessThan(300);
  });

  test('an empty topic made again after a restart goes on counting', async () => {
    const harness = new Harness();
    await harness.publish('a', 'a');
    await harness.log.remove({ force: false });
    const log = harness.restart();
    expect(await log.configure(CONFIG, null)).toMatchObject({
      topic: { firstSequence: 3, lastSequence: 2, events: 0 },
    });
    expect(await harness.publish('a')).toEqual([3]);
  });
});

describe('the alarm', () => {
  test('P4 work that throws is logged and counted, and the alarm is armed again', async () => {
    const harness = new Harness();
    await harness.park('billing', 1);
    await harness.publish('a');
    await harness.sent();
    const log = harness.restart();
    const { exec } = harness.storage.sql;
    let broken = true;
    harness.storage.sql.exec = (query, ...bindings) => {
      if (broken && query.includes('subscribers')) throw new Error('disk I/O error');
      return exec(query, ...bindings);
    };
    await harness.clock.advance(10_000);
    await harness.storage.deleteAlarm();
    await log.alarm();
    expect(harness.storage.alarm).toBeGreaterThan(harness.clock.now());
    expect(harness.logged.some((line) => line.startsWith('error'))).toBe(true);
    broken = false;
    expect(harness.storage.sql.exec('SELECT * FROM counters').toArray()).toEqual([
      { name: 'alarm-failures', value: 2 },
    ]);
    await harness.pass(11);
    expect(await harness.sent()).toHaveLength(1);
  });

  test('a clock that jumps an hour, either way, delays no wake past 30 s', async () => {
    for (const jump of [3_600_000, -3_600_000]) {
      const harness = new Harness();
      await harness.park('billing', 1);
      await harness.publish('a');
      await (await harness.sent())[0]?.fail();
      harness.clock.jump(jump);
      await harness.log.sweep();
      await harness.pass(30);
      expect((await harness.sent()).length).toBeGreaterThan(0);
    }
  });
});

describe('the schema', () => {
  test('it has the index by key that ordering will read', async () => {
    const harness = new Harness();
    harness.keysWaitingMax = 1;
    harness.restart();
    await harness.log.append(append([event({ key: 'a' }), event({ key: 'b' }), event(), event({ key: 'a' })]));
    await harness.publish('a');
    expect(
      harness.storage.sql
        .exec('SELECT sequences FROM postings WHERE key = ? AND first BETWEEN ? AND ?', 'a', 1, 9)
        .toArray(),
    ).toEqual([{ sequences: '[1,4]' }]);
    const plan = harness.storage.sql.exec<{ detail: string }>(
      'EXPLAIN QUERY PLAN SELECT sequences FROM postings WHERE key = ? AND first BETWEEN ? AND ? ORDER BY first',
      'a',
      1,
      9,
    );
    expect(plan.one().detail).toContain('USING PRIMARY KEY');
  });

  test('a topic with many events starts and appends as fast as an empty one', async () => {
    const harness = new Harness();
    for (let n = 0; n < 300; n += 1) await harness.publish('a');
    const log = harness.restart();
    const before = harness.storage.executed;
    await log.append(append([event()]));
    await log.readOrPark(readOrPark({ subscription: 'x', next: 1 }));
    expect(harness.storage.executed - before).toBeLessThan(12);
  });
});
