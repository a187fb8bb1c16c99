import { describe, expect, test } from 'vitest';
import { KEY_EXAMINED_MAX, PAGE_BYTES_MAX, POSTINGS_AT_ONCE } from '../../src/topics/limits.ts';
import type { KeyRead } from '../../src/topics/protocol.ts';
import { statements } from '../../src/topics/sql.ts';
import { WaitingKeys } from '../../src/topics/waiting-keys.ts';
import { append, event, Harness } from './harness.ts';

const WHOLE = { from: 1, to: 1_000_000, types: [] };

async function read(harness: Harness, reads: (Partial<KeyRead> & { key: string })[], limit = 16, total = 1_000) {
  const ranges = reads.map((each) => ({ ...WHOLE, ...each }));
  const results = await harness.log.readKeys({ v: 1, reads: ranges, limit, total });
  return results.map(({ events, examined }) => ({ sequences: events.map(({ sequence }) => sequence), examined }));
}

/** Events of three keys in turns; some of them are in the postings, the others wait. */
async function mixed(count: number, waitingMax: number): Promise<Harness> {
  const harness = new Harness();
  harness.keysWaitingMax = waitingMax;
  harness.restart();
  for (let first = 1; first <= count; first += 10) {
    const keys = Array.from({ length: 10 }, (_, index) => `k${(first + index) % 3}`);
    await harness.log.append(append(keys.map((key) => event({ key }))));
  }
  return harness;
}

const every = (count: number, rest: number) =>
  Array.from({ length: count }, (_, index) => index + 1).filter((sequence) => sequence % 3 === rest);

describe('reading by key', () => {
  test.each([
    ['all wait', 10_000],
    ['some wait', 25],
    ['hardly any waits', 1],
  ])('P2 gives the events of a key in order and without a gap: %s', async (_, waitingMax) => {
    const harness = await mixed(100, waitingMax);
    const seen: number[] = [];
    for (let from = 1; from <= 100; ) {
      const [page] = await read(harness, [{ key: 'k1', from, to: 100 }], 7);
      seen.push(...(page?.sequences ?? []));
      expect(page?.sequences.length).toBeLessThanOrEqual(7);
      from = (page?.examined ?? 100) + 1;
    }
    expect(seen).toEqual(every(100, 1));
  });

  test('keeps to its range, and knows nothing of a key that is not there', async () => {
    const harness = await mixed(100, 25);
    expect(await read(harness, [{ key: 'k1', from: 40, to: 60 }, { key: 'none' }])).toEqual([
      { sequences: [40, 43, 46, 49, 52, 55, 58], examined: 60 },
      { sequences: [], examined: 1_000_000 },
    ]);
  });

  test('finds its place among the rows of one key, wherever it begins', async () => {
    const harness = new Harness();
    harness.keysWaitingMax = 900;
    harness.restart();
    const keyOf = (sequence: number) => (sequence % 5 === 0 ? 'other' : 'hot');
    for (let first = 1; first <= 4_000; first += 100) {
      const keys = Array.from({ length: 100 }, (_, index) => keyOf(first + index));
      await harness.log.append(append(keys.map((key) => event({ key }))));
    }
    const rows = harness.storage.sql.exec("SELECT 1 AS one FROM postings WHERE key = 'hot'").toArray();
    expect(rows.length).toBeGreaterThan(2 * POSTINGS_AT_ONCE);
    const hot = Array.from({ length: 4_000 }, (_, index) => index + 1).filter((sequence) => keyOf(sequence) === 'hot');
    const posted = hot.filter((sequence) => sequence <= 2_700);
    const sql = statements(harness.storage);
    for (const from of [1, 2, 255, 256, 257, 320, 321, 900, 901, 2_699, 2_700, 3_999, 4_000]) {
      for (const [to, limit] of [
        [4_000, 5_000],
        [2_000, 5_000],
        [4_000, 1],
        [4_000, 300],
        [from, 10],
      ] as const) {
        const inside = (sequence: number) => sequence >= from && sequence <= to;
        const found = sql.postedSequences('hot', from, Math.min(to, 2_700), limit);
        expect(found, `${from} to ${to}`).toEqual(posted.filter(inside).slice(0, limit));
        const [page] = await read(harness, [{ key: 'hot', from, to }], Math.min(limit, 50));
        expect(page?.sequences).toEqual(hot.filter(inside).slice(0, Math.min(limit, 50)));
      }
    }
  });

  test('reads several keys at once, each by its own range', async () => {
    const harness = await mixed(100, 25);
    expect(
      await read(
        harness,
        [
          { key: 'k0', from: 90 },
          { key: 'k2', from: 1 },
          { key: 'k1', from: 99, to: 100 },
        ],
        4,
      ),
    ).toEqual([
      { sequences: [90, 93, 96, 99], examined: 99 },
      { sequences: [2, 5, 8, 11], examined: 11 },
      { sequences: [100], examined: 100 },
    ]);
  });

  test('gives the first in the log where not all may be had, and says how far each came', async () => {
    const harness = await mixed(100, 25);
    const reads = [
      { key: 'k0', from: 90 },
      { key: 'k2', from: 1 },
      { key: 'k1', from: 5 },
    ];
    expect(await read(harness, reads, 4, 7)).toEqual([
      { sequences: [], examined: 89 },
      { sequences: [2, 5, 8, 11], examined: 11 },
      { sequences: [7, 10, 13], examined: 15 },
    ]);
    expect(
      await read(
        harness,
        [
          { key: 'k1', to: 9 },
          { key: 'k2', to: 1 },
        ],
        16,
        2,
      ),
    ).toEqual([
      { sequences: [1, 4], examined: 6 },
      { sequences: [], examined: 1 },
    ]);
  });

  test('sees what has come since it was asked last, and after a restart', async () => {
    const harness = await mixed(10, 10_000);
    expect((await read(harness, [{ key: 'k1' }]))[0]?.sequences).toEqual([1, 4, 7, 10]);
    await harness.log.append(append([event({ key: 'k1' }), event({ key: null })]));
    expect((await read(harness, [{ key: 'k1', from: 10 }]))[0]?.sequences).toEqual([10, 11]);
    harness.restart();
    expect((await read(harness, [{ key: 'k1', from: 10 }]))[0]?.sequences).toEqual([10, 11]);
  });

  test('looks at some events for those of a type, and says how far it came', async () => {
    const harness = new Harness();
    const types = Array.from({ length: 200 }, (_, index) => (index % 100 === 99 ? 'b' : 'a'));
    await harness.log.append(append(types.map((type) => event({ key: 'k', type }))));
    const seen: number[] = [];
    let calls = 0;
    for (let from = 1; from <= 200; calls += 1) {
      const [page] = await read(harness, [{ key: 'k', from, to: 200, types: ['b'] }], 16);
      seen.push(...(page?.sequences ?? []));
      from = (page?.examined ?? 200) + 1;
    }
    expect(seen).toEqual([100, 200]);
    expect(calls).toBeLessThanOrEqual(Math.ceil(200 / KEY_EXAMINED_MAX) + 1);
  });

  test('ends where a page is full, and begins with an event however large', async () => {
    const harness = new Harness();
    const data = 'x'.repeat(PAGE_BYTES_MAX / 3);
    for (const key of ['a', 'b', 'a', 'b', 'a']) await harness.log.append(append([event({ key, data })]));
    expect(await read(harness, [{ key: 'a' }, { key: 'b' }])).toEqual([
      { sequences: [1], examined: 2 },
      { sequences: [2], examined: 3 },
    ]);
  });

  test('knows nothing more of a topic that was deleted', async () => {
    const harness = await mixed(20, 5);
    await harness.log.remove({ force: true });
    expect((await read(harness, [{ key: 'k1' }]))[0]?.sequences).toEqual([]);
    await harness.log.append(append([event({ key: 'k1' })]));
    expect((await read(harness, [{ key: 'k1' }]))[0]?.sequences).toEqual([21]);
  });

  test('finds keys that wait also where they are more than may be in memory', async () => {
    const harness = await mixed(100, 10_000);
    for (const charsMax of [0, 100, 300, 1_000_000]) {
      const waiting = new WaitingKeys(statements(harness.storage), charsMax);
      const found = waiting.sequencesOf([{ key: 'k1', from: 20, to: 90 }], 0, 100, 1_000);
      expect(found).toEqual([every(100, 1).filter((sequence) => sequence >= 20 && sequence <= 90)]);
      expect(waiting.sequencesOf([{ key: 'k1', from: 20, to: 90 }], 0, 100, 3)).toEqual([[22, 25, 28]]);
    }
  });
});
