import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/storage/migrate.ts';
import {
  ENTRY_BYTES,
  findIn,
  hasFirstBits,
  mayHold,
  pageOf,
  pagesOf,
  probeAt,
  type Recorded,
  writeEntry,
} from '../../src/topics/identity-pages.ts';
import { IdentityRuns } from '../../src/topics/identity-runs.ts';
import { MIGRATIONS } from '../../src/topics/migrations.ts';
import type { RunRow } from '../../src/topics/rows.ts';
import { nextWork, pageBits } from '../../src/topics/run-work.ts';
import { statements } from '../../src/topics/sql.ts';
import { half } from '../support/new-events.ts';
import { NodeStorage } from '../support/node-storage.ts';

const WINDOW_MS = 1_000_000;
const SECRET = 123_456_789_012_345;

/** An entry before it is written. */
interface Entry extends Recorded {
  identity: Uint8Array;
}

function entry(name: string, sequence: number, recordedAt = sequence): Entry {
  return { identity: half(name), mark: half(`content of ${name}`), sequence, recordedAt };
}

function packEntries(entries: readonly Entry[]): Uint8Array {
  const packed = new Uint8Array(entries.length * ENTRY_BYTES);
  for (const [index, { identity, mark, sequence, recordedAt }] of entries.entries()) {
    writeEntry(packed, index * ENTRY_BYTES, new Uint8Array([...identity, ...mark]), 0, sequence, recordedAt);
  }
  return packed;
}

const probeOf = (identity: Uint8Array, secret: number) => probeAt(identity, 0, secret);
const known = ({ mark, sequence, recordedAt }: Entry): Recorded => ({ mark, sequence, recordedAt });

describe('pages of identities', () => {
  test('give back every entry that went in, and none that did not', () => {
    for (const bits of [0, 3, 6]) {
      const entries = Array.from({ length: 2000 }, (_, index) => entry(`in-${index}`, index + 1));
      const pages = new Map(pagesOf(packEntries(entries), bits, SECRET).map((page) => [page.index, page]));
      let passed = 0;
      for (const expected of entries) {
        const probe = probeOf(expected.identity, SECRET);
        const page = pages.get(pageOf(probe, bits));
        if (page === undefined) throw new Error('The page is missing.');
        expect(mayHold(page.filter, 0, probe)).toBe(true);
        expect(hasFirstBits(page.filter, 0, probe)).toBe(1);
        expect(findIn(page.entries, probe, SECRET)).toEqual(known(expected));
        const stranger = probeOf(half(`out-${expected.sequence}`), SECRET);
        const other = pages.get(pageOf(stranger, bits));
        expect(other === undefined ? null : findIn(other.entries, stranger, SECRET)).toBeNull();
        if (other !== undefined && mayHold(other.filter, 0, stranger)) passed += 1;
      }
      if (bits > 0) expect(passed).toBeLessThan(20);
    }
  });

  test('give the last of equal identities, and hold apart those that look alike', () => {
    const alike = Array.from({ length: 50 }, (_, index) => ({
      ...entry('x', index + 1),
      identity: utf8ToBytes(`same-first-${String(index % 25).padStart(5)}`),
    }));
    const [page] = pagesOf(packEntries(alike), 0, SECRET);
    for (const expected of alike.slice(25)) {
      const probe = probeOf(expected.identity, SECRET);
      expect(findIn(page?.entries ?? new Uint8Array(0), probe, SECRET)).toEqual(known(expected));
    }
  });

  test('P6 are of about the same size whatever ids a producer chooses, who does not know the secret', () => {
    const chosen = Array.from({ length: 32_768 }, (_, index) => ({
      ...entry(`id-${index}`, index + 1),
      identity: half(`id-${index}`).fill(0, 0, 4),
    }));
    for (const secret of [0, 1, SECRET, 2 ** 48 - 1]) {
      const sizes = pagesOf(packEntries(chosen), 6, secret).map(({ entries }) => entries.length / 48);
      expect(sizes).toHaveLength(64);
      expect(Math.max(...sizes)).toBeLessThan(700);
    }
  });
});

describe('runs of identities', () => {
  test('P3 find what a map of everything finds, through seals, merges, restarts and the window', () => {
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.record({ kind: fc.constant('add' as const), size: fc.integer({ min: 1, max: 9 }) }) },
      { weight: 20, arbitrary: fc.constant({ kind: 'work' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('later' as const), ms: fc.integer({ min: 1, max: 300 }) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 250 }), (steps) => {
        const storage = new NodeStorage();
        migrate(storage, MIGRATIONS);
        const sql = statements(storage);
        let runs = new IdentityRuns(sql, () => sql.meta().index_secret);
        const probe = (identity: Uint8Array) => probeAt(identity, 0, sql.meta().index_secret);
        const all = new Map<string, Entry>();
        let sequence = 0;
        let now = 1000;
        const windowMs = 500;
        for (const todo of steps) {
          if (todo.kind === 'work') runs.work(now, windowMs);
          else if (todo.kind === 'restart') runs = new IdentityRuns(sql, () => sql.meta().index_secret);
          else if (todo.kind === 'later') now += todo.ms;
          else {
            const added = Array.from({ length: todo.size }, () => {
              sequence += 1;
              // Now and then one that was there before, as after the window.
              return entry(`id-${sequence % 11 === 0 ? Math.floor(sequence / 2) : sequence}`, sequence, now);
            });
            for (const one of added) all.set(bytesToHex(one.identity), one);
            runs.add(packEntries(added));
          }
        }
        for (const expected of all.values()) {
          const found = runs.find(probe(expected.identity), now, windowMs);
          // One too old may still be there: who asks looks at its age.
          if (now - expected.recordedAt < windowMs) expect(found).toEqual(known(expected));
        }
        expect(runs.find(probe(half('stranger')), now, windowMs)).toBeNull();
        storage.close();
      }),
      { numRuns: 60 },
    );
  });

  test('are few however many were added, each piece of work is bounded, and what is too old goes', () => {
    const storage = new NodeStorage();
    migrate(storage, MIGRATIONS);
    const sql = statements(storage);
    const runs = new IdentityRuns(sql, () => sql.meta().index_secret);
    const probe = (identity: Uint8Array) => probeAt(identity, 0, sql.meta().index_secret);
    const count = (table: string) =>
      storage.sql.exec<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).one().count;
    let most = 0;
    for (let n = 1; n <= 600; n += 1) {
      runs.add(packEntries([entry(`id-${n}`, n)]));
      for (let piece = 0; piece < 4; piece += 1) {
        const before = storage.rowsChanged;
        runs.work(n, WINDOW_MS);
        most = Math.max(most, storage.rowsChanged - before);
      }
    }
    expect(count('runs')).toBeLessThan(30);
    expect(most).toBeLessThan(40);
    for (const n of [1, 300, 600]) {
      expect(runs.find(probe(half(`id-${n}`)), 600, WINDOW_MS)?.sequence).toBe(n);
    }
    while (runs.work(600 + WINDOW_MS, WINDOW_MS));
    expect([count('runs'), count('run_pages')]).toEqual([0, 0]);
  });
});

describe('the work on runs', () => {
  const run = (id: number, fields: Partial<RunRow> = {}): RunRow => ({
    id,
    level: 0,
    newest_at: 100,
    merges_into: null,
    merged: null,
    ...fields,
  });
  const eight = Array.from({ length: 8 }, (_, index) => run(index + 1));

  test('is none for few, to merge eight of a level, and to go on with that before anything larger', () => {
    expect(nextWork(eight.slice(1), 100, WINDOW_MS)).toEqual({ kind: 'none' });
    expect(nextWork([...eight, run(9)], 100, WINDOW_MS)).toEqual({ kind: 'begin', level: 1, sources: eight });
    const merging = eight.map((source) => ({ ...source, merges_into: 20 }));
    const target = run(20, { level: 1, merged: 3 });
    const larger = Array.from({ length: 8 }, (_, index) => run(30 + index, { level: 1 }));
    expect(nextWork([...merging, target, ...larger], 100, WINDOW_MS)).toEqual({
      kind: 'merge',
      target,
      sources: merging,
    });
  });

  test('is to clear away what is older than the window, but never what is being merged', () => {
    const old = run(1, { newest_at: 50 });
    expect(nextWork([old, ...eight.slice(1)], 50 + WINDOW_MS, WINDOW_MS)).toEqual({ kind: 'clear', run: old });
    const merging = eight.map((source) => ({ ...source, merges_into: 20 }));
    const target = run(20, { level: 1, merged: 0 });
    expect(nextWork([...merging, target], 100 + WINDOW_MS, WINDOW_MS).kind).toBe('merge');
  });

  test('cuts a run into eight times as many pages at each level', () => {
    expect([0, 1, 2, 3].map((level) => 2 ** pageBits(level))).toEqual([8, 64, 512, 4096]);
  });
});
