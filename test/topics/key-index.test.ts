import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Posting, piecesOf } from '../../src/topics/key-index.ts';
import { KEYS_A_PIECE, POSTING_SEQUENCES_MAX } from '../../src/topics/limits.ts';
import { append, event, Harness, postedIn } from './harness.ts';

describe('the pieces of a round', () => {
  const postingsOf = (count: number, keyOf: (index: number) => string): Posting[] =>
    Array.from({ length: count }, (_, index) => ({ key: keyOf(index), sequences: [index + 1] }));

  test.each([
    ['keys in no order', 32_768, (index: number) => `order-${(index * 7919) % 100_003}`],
    ['keys in order', 32_768, (index: number) => `order-${1e6 + index}`],
    ['few keys', 1_000, (index: number) => `order-${index}`],
    ['one key', 1, () => 'hot'],
  ])('hold every posting once, none too many, each a range of its own: %s', (_, count, keyOf) => {
    const postings = postingsOf(count, keyOf);
    const pieces = piecesOf(postings);
    expect(pieces.flat().toSorted((a, b) => (a.sequences[0] ?? 0) - (b.sequences[0] ?? 0))).toEqual(postings);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(2 * KEYS_A_PIECE);
    expect(pieces.length).toBeLessThan(24);
    const ranges = pieces.map((piece) => piece.map(({ key }) => key).toSorted());
    for (const [index, range] of ranges.entries()) {
      const next = ranges[index + 1];
      if (next !== undefined) expect((range.at(-1) ?? '') < (next[0] ?? '') || range[0] === next[0]).toBe(true);
    }
  });

  test('hold whatever keys there are', () => {
    const key = fc.oneof(fc.string(), fc.constantFrom('a', 'b', 'ä', '\u{1f600}'));
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 300 }), (keys) => {
        const postings = postingsOf(keys.length, (index) => keys[index] ?? '');
        expect(new Set(piecesOf(postings).flat())).toEqual(new Set(postings));
      }),
    );
  });
});

describe('the postings', () => {
  const keysIn = ({ storage }: Harness) => postedIn(storage);
  const waiting = (max: number) => {
    const harness = new Harness();
    harness.keysWaitingMax = max;
    harness.restart();
    return harness;
  };

  test('get keys a piece a commit, and begin anew where the object died in between', async () => {
    const harness = waiting(10_000);
    const keyOf = (sequence: number) => (sequence % 10 === 0 ? 'hot' : `k${sequence % 9_001}`);
    for (let n = 0; n < 10; n += 1) {
      const keys = Array.from({ length: 1000 }, (_, index) => keyOf(n * 1000 + index + 1));
      await harness.log.append(append(keys.map((key) => event({ key }))));
    }
    await harness.log.append(append([event({ key: 'last' })]));
    const first = keysIn(harness).length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(10_000);
    harness.restart();
    for (let n = 0; n < 6; n += 1) await harness.publish('a');
    const rows = keysIn(harness);
    expect(rows).toEqual(
      Array.from({ length: 10_001 }, (_, index) => ({
        key: index === 10_000 ? 'last' : keyOf(index + 1),
        sequence: index + 1,
      })),
    );
    expect(harness.storage.sql.exec("SELECT 1 AS one FROM postings WHERE key = 'hot'").toArray().length).toBe(
      Math.ceil(1_000 / POSTING_SEQUENCES_MAX),
    );
  });

  test('begin a round anew where a commit failed in the middle of it, though earlier ones were finished', async () => {
    const harness = waiting(9_000);
    const { sql } = harness.storage;
    const through = () => sql.exec<{ keyed_through: number }>('SELECT keyed_through FROM meta').one().keyed_through;
    const publish = async (from: number) => {
      for (let first = from; first < from + 9_000; first += 1_000) {
        await harness.log.append(
          append(Array.from({ length: 1_000 }, (_, index) => event({ key: `k${first + index}` }))),
        );
      }
    };
    await publish(1);
    while (through() === 0) await harness.log.append(append([event({ key: 'between' })]));
    const finished = keysIn(harness).length;
    await publish(9_001);
    await harness.log.append(append([event({ key: 'last' })]));
    expect(through()).toBe(finished);
    expect(sql.exec<{ n: number }>('SELECT count(*) AS n FROM postings').one().n).toBeGreaterThan(finished);
    sql.exec("CREATE TRIGGER full BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    await expect(harness.log.append(append([event({ key: 'lost' })]))).rejects.toThrow('the disk is full');
    sql.exec('DROP TRIGGER full');
    while (through() === finished) await harness.log.append(append([event({ key: 'after' })]));
    const sequences = keysIn(harness).map(({ sequence }) => sequence);
    expect(sequences).toEqual(Array.from(sequences, (_, index) => index + 1));
    expect(sequences.length).toBeGreaterThan(18_000);
  });

  test('have one row for many events of a key, whatever round they came in', async () => {
    const harness = waiting(1_000);
    for (let n = 0; n < 30; n += 1) {
      await harness.log.append(append(Array.from({ length: 100 }, (_, index) => event({ key: `k${index % 10}` }))));
    }
    const { rows } = harness.storage.sql.exec<{ rows: number }>('SELECT count(*) AS rows FROM postings').one();
    expect(rows).toBeLessThanOrEqual(30);
    expect(keysIn(harness).length).toBeGreaterThan(1_900);
  });

  test('take no more into memory than its limit, however long the keys are', async () => {
    const harness = waiting(8_000);
    const key = 'k'.repeat(1_000);
    for (let n = 0; n < 8; n += 1) {
      await harness.log.append(append(Array.from({ length: 1000 }, (_, index) => event({ key: `${key}${index}` }))));
    }
    await harness.publish('a');
    for (let n = 0; n < 20; n += 1) {
      await harness.publish('a');
      const { through } = harness.storage.sql
        .exec<{ through: number }>('SELECT keyed_through AS through FROM meta')
        .one();
      expect(through).toBeLessThan(8_000);
    }
    expect(keysIn(harness).length).toBeGreaterThan(3_000);
  });

  test('have no key of a topic that was deleted in the meantime', async () => {
    const harness = waiting(3);
    await harness.log.append(append([event({ key: 'a' }), event({ key: 'b' }), event({ key: 'c' })]));
    await harness.log.remove({ force: true });
    for (let n = 0; n < 4; n += 1) await harness.log.append(append([event({ key: 'new' })]));
    for (let n = 0; n < 4; n += 1) await harness.publish('a');
    expect(keysIn(harness).map(({ key, sequence }) => [key, sequence])).toEqual([
      ['new', 4],
      ['new', 5],
      ['new', 6],
      ['new', 7],
    ]);
  });

  test('have no key of a topic that was deleted in the middle of a round, nor lose one of the topic made again', async () => {
    const harness = waiting(9_000);
    const publish = async (from: number, count: number) => {
      for (let first = from; first < from + count; first += 1_000) {
        const keys = Array.from({ length: 1_000 }, (_, index) => `k${(first + index) % 8_999}`);
        await harness.log.append(append(keys.map((key) => event({ key }))));
      }
    };
    await publish(1, 9_000);
    // The first piece of the round.
    await harness.publish('a');
    expect(keysIn(harness).length).toBeGreaterThan(0);
    await harness.log.remove({ force: true });
    await publish(9_002, 1_000);
    harness.restart();
    await publish(10_002, 9_000);
    for (let n = 0; n < 6; n += 1) await harness.publish('a');
    const rows = keysIn(harness);
    expect(rows.length).toBeGreaterThan(0);
    expect(Math.min(...rows.map(({ sequence }) => sequence))).toBeGreaterThan(9_001);
    const { through } = harness.storage.sql
      .exec<{ through: number }>('SELECT keyed_through AS through FROM meta')
      .one();
    const posted = rows.filter(({ sequence }) => sequence <= through);
    expect(posted).toEqual(
      Array.from({ length: through - 9_001 }, (_, index) => ({
        key: `k${(9_002 + index) % 8_999}`,
        sequence: 9_002 + index,
      })),
    );
  });
});
