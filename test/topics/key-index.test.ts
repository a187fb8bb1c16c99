import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KeyEntry, piecesOf } from '../../src/topics/key-index.ts';
import { KEY_ROWS_A_PIECE } from '../../src/topics/limits.ts';
import { append, event, Harness } from './harness.ts';

describe('the pieces of a round', () => {
  const entriesOf = (count: number, keyOf: (sequence: number) => string): KeyEntry[] =>
    Array.from({ length: count }, (_, index) => [keyOf(index + 1), index + 1]);

  test.each([
    ['a key each', (sequence: number) => `order-${(sequence * 7919) % 100_003}`],
    ['some keys again and again', (sequence: number) => `order-${sequence % 1000}`],
    ['one key', () => 'hot'],
    ['one key among others', (sequence: number) => (sequence % 2 === 0 ? 'hot' : `order-${sequence}`)],
  ])('hold every entry once, none too many, each a range of its own: %s', (_, keyOf) => {
    const entries = entriesOf(32_768, keyOf);
    const pieces = piecesOf(entries);
    expect(pieces.flat().toSorted(([, a], [, b]) => a - b)).toEqual(entries);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(2 * KEY_ROWS_A_PIECE);
    expect(pieces.length).toBeLessThan(24);
    const ranges = pieces.map((piece) => piece.map(([key]) => key).toSorted());
    for (const [index, range] of ranges.entries()) {
      const next = ranges[index + 1];
      if (next !== undefined) expect((range.at(-1) ?? '') <= (next[0] ?? '') || range[0] === next[0]).toBe(true);
    }
  });

  test('hold whatever keys there are', () => {
    const key = fc.oneof(fc.string(), fc.constantFrom('a', 'b', 'ä', '\u{1f600}'));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 300 }), (keys) => {
        const entries = keys.map((text, index): KeyEntry => [text, index + 1]);
        expect(piecesOf(entries).flat()).toHaveLength(entries.length);
      }),
    );
  });
});

describe('the table of keys', () => {
  const keysIn = (harness: Harness) =>
    harness.storage.sql.exec<{ key: string; sequence: number }>('SELECT * FROM keys ORDER BY sequence').toArray();
  const waiting = (max: number) => {
    const harness = new Harness();
    harness.keysWaitingMax = max;
    harness.restart();
    return harness;
  };

  test('gets keys a piece a commit, and begins anew where the object died in between', async () => {
    const harness = waiting(10_000);
    for (let n = 0; n < 10; n += 1) {
      await harness.log.append(append(Array.from({ length: 1000 }, (_, index) => event({ key: `k${index % 100}` }))));
    }
    await harness.publish('a');
    const first = keysIn(harness).length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(10_000);
    harness.restart();
    for (let n = 0; n < 4; n += 1) await harness.publish('a');
    const rows = keysIn(harness);
    expect(rows).toHaveLength(10_000);
    expect(rows.every(({ key, sequence }) => key === `k${(sequence - 1) % 100}`)).toBe(true);
  });

  test('takes no more into memory than its limit, however long the keys are', async () => {
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

  test('has no key of a topic that was deleted in the meantime', async () => {
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
});
