import { describe, expect, test } from 'vitest';
import type { Position } from '../../src/events/position.ts';
import type { ReadRequest, ReadResult } from '../../src/topics/protocol.ts';
import { settled } from '../support/fake-clock.ts';
import { append, EVERY, event, Harness, read } from './harness.ts';

type Page = Extract<ReadResult, { outcome: 'page' }>;

async function page(harness: Harness, fields: Partial<ReadRequest> = {}): Promise<Page> {
  const result = await harness.log.read(read(fields));
  if (result.outcome !== 'page') throw new Error(result.outcome);
  return result;
}

function numbers({ events }: { events: { sequence: number }[] }): number[] {
  return events.map(({ sequence }) => sequence);
}

const at = (sequence: number): Position => ({ kind: 'sequence', sequence });
const time = (time: number): Position => ({ kind: 'time', time });

/** Ten events, one a second, types a and b in turn. */
async function ten(): Promise<Harness> {
  const harness = new Harness();
  for (let n = 1; n <= 10; n += 1) {
    await harness.publish(n % 2 === 1 ? 'a' : 'b');
    await harness.clock.advance(1000);
  }
  return harness;
}

describe('reading', () => {
  test('P2 pages follow each other through next until it is null', async () => {
    const harness = await ten();
    const first = await page(harness, { limit: 4 });
    expect([numbers(first), first.next, first.lastSequence, first.firstSequence]).toEqual([[1, 2, 3, 4], 4, 10, 1]);
    const second = await page(harness, { limit: 4, from: at(5) });
    expect([numbers(second), second.next]).toEqual([[5, 6, 7, 8], 8]);
    const third = await page(harness, { limit: 4, from: at(9) });
    expect([numbers(third), third.next]).toEqual([[9, 10], null]);
    expect(await page(harness, { from: at(11) })).toMatchObject({ events: [], next: null, lastSequence: 10 });
    expect(await page(harness, { from: at(99) })).toMatchObject({ events: [], next: null });
    const below = await harness.log.read(read({ from: at(0) }));
    expect(below).toEqual({ outcome: 'sequence-expired', firstSequence: 1 });
  });

  test('P2 descending, next goes on as the end', async () => {
    const harness = await ten();
    const first = await page(harness, { limit: 4, order: 'desc' });
    expect([numbers(first), first.next]).toEqual([[10, 9, 8, 7], 6]);
    const second = await page(harness, { limit: 6, order: 'desc', until: at(6) });
    expect([numbers(second), second.next]).toEqual([[6, 5, 4, 3, 2, 1], null]);
    expect(numbers(await page(harness, { order: 'desc', from: at(4), until: at(6) }))).toEqual([6, 5, 4]);
  });

  test('ends are inclusive and may lie ahead', async () => {
    const harness = await ten();
    expect(numbers(await page(harness, { from: at(3), until: at(5) }))).toEqual([3, 4, 5]);
    expect(numbers(await page(harness, { from: at(9), until: at(99) }))).toEqual([9, 10]);
    expect(numbers(await page(harness, { from: { kind: 'latest' } }))).toEqual([]);
    expect(numbers(await page(harness, { until: { kind: 'earliest' } }))).toEqual([1]);
    expect(numbers(await page(harness, { from: at(8), until: { kind: 'latest' } }))).toEqual([8, 9, 10]);
  });

  test('an end before its start is refused, whatever kinds they are of', async () => {
    const harness = await ten();
    const start = harness.clock.now() - 10_000;
    const reversed: [Position, Position][] = [
      [at(5), at(3)],
      [time(start + 5000), time(start + 3000)],
      [at(5), time(start + 1500)],
      [time(start + 5000), at(2)],
      [{ kind: 'latest' }, at(3)],
      [at(5), { kind: 'earliest' }],
    ];
    for (const [from, until] of reversed) {
      expect(await harness.log.read(read({ from, until }))).toEqual({ outcome: 'invalid-range' });
    }
    const empty: [Position, Position][] = [
      [{ kind: 'earliest' }, time(start - 1)],
      [{ kind: 'latest' }, { kind: 'latest' }],
      [at(20), { kind: 'latest' }],
      [time(start + 1001), time(start + 1999)],
      [{ kind: 'latest' }, at(10)],
    ];
    for (const [from, until] of empty) {
      expect(await page(harness, { from, until })).toMatchObject({ events: [], next: null });
    }
  });

  test('times are found by when events were recorded', async () => {
    const harness = await ten();
    const start = harness.clock.now() - 10_000;
    for (let n = 1; n <= 10; n += 1) {
      const recorded = start + (n - 1) * 1000;
      expect(await harness.log.resolve(time(recorded), 'start')).toMatchObject({ sequence: n });
      expect(await harness.log.resolve(time(recorded - 1), 'start')).toMatchObject({ sequence: n });
      expect(await harness.log.resolve(time(recorded), 'end')).toMatchObject({ sequence: n });
      expect(await harness.log.resolve(time(recorded - 1), 'end')).toMatchObject({ sequence: n - 1 });
      // Between two milliseconds.
      expect(await harness.log.resolve(time(recorded + 0.5), 'start')).toMatchObject({ sequence: n + 1 });
      expect(await harness.log.resolve(time(recorded + 0.5), 'end')).toMatchObject({ sequence: n });
    }
    expect(await harness.log.resolve(time(harness.clock.now()), 'start')).toMatchObject({ sequence: 11 });
    expect(await harness.log.resolve(time(start + 60_000), 'start')).toEqual({
      outcome: 'position-ahead',
      lastSequence: 10,
    });
    expect(await harness.log.resolve(time(start + 60_000), 'end')).toMatchObject({ sequence: 10 });
  });

  test('a time is found in a long log without reading it', async () => {
    const harness = new Harness();
    for (let n = 0; n < 3000; n += 1) {
      await harness.publish(...(n % 3 === 0 ? ['a', 'a'] : ['a']));
      await harness.clock.advance(1);
    }
    const before = harness.storage.executed;
    const start = harness.clock.now() - 3000;
    expect(await harness.log.resolve(time(start + 1500), 'start')).toMatchObject({ sequence: 2001 });
    expect(harness.storage.executed - before).toBeLessThan(20);
  });

  test('filters are exact types, type patterns, sources and subjects', async () => {
    const harness = new Harness();
    await harness.log.append(
      append([
        event({ type: 'order.created', source: '/a', key: 's1' }),
        event({ type: 'order.paid', source: '/b', key: 's2' }),
        event({ type: 'order.*', source: '/a' }),
        event({ type: 'user.created', source: '/a', key: 's1' }),
      ]),
    );
    const matching = async (match: Partial<typeof EVERY>) =>
      numbers(await page(harness, { match: { ...EVERY, ...match } }));
    expect(await matching({ types: ['order.*'] })).toEqual([1, 2, 3]);
    expect(await matching({ exactTypes: ['order.*'] })).toEqual([3]);
    expect(await matching({ sources: ['/a', '/b'], subjects: ['s1', 's2'] })).toEqual([1, 2, 4]);
    expect(await matching({ types: ['*.created'], sources: ['/a'], subjects: ['s1'] })).toEqual([1, 4]);
    expect(await matching({ types: ['nothing'] })).toEqual([]);
  });

  test('a page examines a bounded number of sequences: it may be empty with next set', async () => {
    const harness = new Harness();
    for (let n = 0; n < 7; n += 1) {
      await harness.publish(...Array.from({ length: 1000 }, () => 'other'));
    }
    await harness.publish('wanted');
    const match = { ...EVERY, types: ['wanted'] };
    const first = await page(harness, { match, waitMs: 1000 });
    expect([numbers(first), first.next]).toEqual([[], 5000]);
    const second = await page(harness, { match, from: at(5001) });
    expect([numbers(second), second.next]).toEqual([[7001], null]);
    const down = await page(harness, { match: { ...EVERY, types: ['none'] }, order: 'desc' });
    expect([numbers(down), down.next]).toEqual([[], 2001]);
  });

  test('a page ends at 4 MiB, but holds one event at least', async () => {
    const harness = new Harness();
    const data = 'x'.repeat(1_000_000);
    for (let n = 0; n < 6; n += 1) {
      await harness.log.append(append([event({ data })]));
    }
    const first = await page(harness);
    expect([numbers(first), first.next]).toEqual([[1, 2, 3, 4], 4]);
    expect(numbers(await page(harness, { order: 'desc' }))).toEqual([6, 5, 4, 3]);
    expect(await harness.log.eventsAt([1, 2, 3, 4, 5, 6])).toMatchObject({ examined: 4 });
  });

  test('events by their sequences, the missing ones left out', async () => {
    const harness = await ten();
    const { events, examined } = await harness.log.eventsAt([2, 5, 10, 11]);
    expect(numbers({ events })).toEqual([2, 5, 10]);
    expect(examined).toBe(4);
    expect(await harness.log.event(11)).toEqual({ outcome: 'unknown-event' });
    expect(await harness.log.event(0)).toEqual({ outcome: 'unknown-event' });
  });

  test('an empty topic has an empty page, an unknown one none', async () => {
    const harness = new Harness();
    expect(await harness.log.read(read())).toEqual({ outcome: 'unknown-topic' });
    expect(await harness.log.event(1)).toEqual({ outcome: 'unknown-topic' });
    await harness.log.configure({ description: '', deduplicationWindowMs: 1000 }, null);
    expect(await harness.log.read(read())).toEqual({
      outcome: 'page',
      from: 1,
      events: [],
      next: null,
      firstSequence: 1,
      lastSequence: 0,
    });
  });
});

describe('waiting for an event', () => {
  test('a read waits until one that matches has come', async () => {
    const harness = await ten();
    const reading = page(harness, { from: at(11), match: { ...EVERY, types: ['b'] }, waitMs: 20_000 });
    await settled();
    await harness.publish('a');
    await harness.clock.advance(6000);
    await harness.publish('a', 'b');
    const got = await reading;
    expect([numbers(got), got.lastSequence]).toEqual([[13], 13]);
  });

  test('it ends empty when its time is over, or where the range is over already', async () => {
    const harness = await ten();
    const reading = page(harness, { from: at(11), waitMs: 7000 });
    await harness.clock.advance(6999);
    expect(await Promise.race([reading, settled()])).toBeUndefined();
    await harness.clock.advance(1);
    expect(await reading).toMatchObject({ events: [], next: null, lastSequence: 10 });
    expect(await page(harness, { until: at(10), match: { ...EVERY, types: ['none'] }, waitMs: 7000 })).toMatchObject({
      events: [],
    });
  });

  test('from a time to come it waits for the first event recorded then, and passes those before', async () => {
    const harness = await ten();
    const from = time(harness.clock.now() + 500);
    const waiting = page(harness, { from, waitMs: 10_000 });
    await harness.publish('early');
    await harness.clock.advance(499);
    await harness.publish('early');
    await harness.clock.advance(1);
    await harness.publish('due', 'due');
    expect(numbers(await waiting)).toEqual([13, 14]);
    expect(numbers(await page(harness, { from: time(harness.clock.now() + 1) }))).toEqual([]);
  });

  test('to a time to come it waits until then', async () => {
    const harness = await ten();
    const until = time(harness.clock.now() + 500);
    const early = page(harness, { from: at(11), until, waitMs: 10_000 });
    await harness.clock.advance(500);
    expect(await early).toMatchObject({ events: [], next: null });
    await harness.clock.advance(1);
    await harness.publish('late');
    expect(numbers(await page(harness, { from: at(10), until }))).toEqual([10]);
    const soon = time(harness.clock.now() + 500);
    const waiting = page(harness, { from: at(12), until: soon, waitMs: 10_000 });
    await harness.publish('in time');
    expect(numbers(await waiting)).toEqual([12]);
  });

  test('it is told when the topic goes', async () => {
    const harness = await ten();
    const reading = harness.log.read(read({ from: at(11), waitMs: 7000 }));
    await settled();
    await harness.log.remove({ force: false });
    expect(await reading).toEqual({ outcome: 'unknown-topic' });
  });

  test('only so many wait', async () => {
    const harness = await ten();
    const readings = Array.from({ length: 1000 }, () => page(harness, { from: at(11), waitMs: 1000 }));
    await settled();
    expect(await page(harness, { from: at(11), waitMs: 1000 })).toMatchObject({ events: [] });
    await harness.publish('a');
    expect((await Promise.all(readings)).every((got) => got.events.length === 1)).toBe(true);
  });
});
