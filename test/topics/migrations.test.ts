import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/storage/migrate.ts';
import { MIGRATIONS } from '../../src/topics/migrations.ts';
import { half, packed } from '../support/new-events.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { append, event, Harness, postedIn, read } from './harness.ts';

const CREATED_AT = Date.parse('2026-01-01T00:00:00Z') - 1000;
const HOUR_MS = 3_600_000;

/** A storage as a hub left it whose code knew the first migration only: events in one segment, an identity and a key each. */
function firstState(events: number): NodeStorage {
  const storage = new NodeStorage();
  migrate(storage, MIGRATIONS.slice(0, 1));
  const sent = Array.from({ length: events }, (_, index) => event({ id: `old-${index}`, key: `k${index % 7}` }));
  storage.sql.exec(
    'UPDATE meta SET created_at = ?, window_ms = ?, version = 1, incarnation = 1, catalogued = 1, dedup_current = 1',
    CREATED_AT,
    HOUR_MS,
  );
  const body = sent.map(({ json }) => json).join('\n');
  if (events === 0) return storage;
  storage.sql.exec(
    'INSERT INTO segments (first, count, recorded_at, bytes, bytes_before, body) VALUES (1, ?, ?, ?, 0, ?)',
    events,
    CREATED_AT,
    body.length,
    body,
  );
  const { hashes } = packed(sent);
  for (const [index, { key }] of sent.entries()) {
    storage.sql.exec(
      `INSERT INTO identities_${index % 2} (identity, content, sequence, recorded_at) VALUES (?, ?, ?, ?)`,
      hashes.slice(index * 32, index * 32 + 16).buffer,
      // A hash of the content, which nobody makes any more.
      half(`content ${index}`).slice().buffer,
      index + 1,
      CREATED_AT,
    );
    storage.sql.exec('INSERT INTO keys (key, sequence) VALUES (?, ?)', key, index + 1);
  }
  return storage;
}

describe('the schema of a log', () => {
  test('a newer one is refused', () => {
    const storage = new NodeStorage();
    new Harness(storage);
    storage.sql.exec("INSERT INTO _migrations (number, name) VALUES (99, 'future')");
    expect(() => new Harness(storage)).toThrow('deploy the newer code again');
  });

  test.each([0, 1, 12, 5000])('P3 a state of %i events written after migration 1 goes on', async (events) => {
    const harness = new Harness(firstState(events));
    harness.youngEventsMax = 50;
    harness.keysWaitingMax = 50;
    harness.restart();
    const again = (index: number) => event({ id: `old-${index}`, key: `k${index % 7}` });
    const some = [...new Set([0, 1, 11, 777, 4999])].filter((index) => index < events);
    for (let round = 0; round < 2; round += 1) {
      for (const index of some) {
        expect(await harness.log.append(append([again(index)]))).toMatchObject({
          duplicates: [{ index: 0, sequence: index + 1 }],
        });
      }
      const other = some.length === 0 ? [] : [harness.log.append(append([event({ id: 'old-0', key: 'other' })]))];
      for (const result of await Promise.all(other)) expect(result).toMatchObject({ outcome: 'event-id-conflict' });
      await harness.publish(...Array.from({ length: 60 }, () => 'a'));
      await harness.publish('b');
      harness.restart();
    }
    const page = await harness.log.read(read({ limit: 1000 }));
    expect(page).toMatchObject({ outcome: 'page', firstSequence: 1, lastSequence: events + 122 });
    expect(postedIn(harness.storage)).toEqual(
      Array.from({ length: events }, (_, index) => ({ key: `k${index % 7}`, sequence: index + 1 })),
    );
    await harness.clock.advance(HOUR_MS);
    if (some.length > 0) {
      expect(await harness.log.append(append([again(0)]))).toMatchObject({
        first: events + 123,
        duplicates: [],
      });
    }
  });

  test('P2 keys that were on their way into their table when the newer code came are found, each once', async () => {
    const storage = new NodeStorage();
    migrate(storage, MIGRATIONS.slice(0, 3));
    storage.sql.exec('UPDATE meta SET created_at = ?, window_ms = 0, incarnation = 1, catalogued = 1', CREATED_AT);
    storage.sql.exec('UPDATE meta SET sealed_through = 4, keyed_through = 2');
    for (const [first, keys] of [
      [1, ['a', 'b']],
      [3, ['a', 'a']],
    ] as const) {
      const body = keys.map((key) => event({ key }).json).join('\n');
      storage.sql.exec(
        'INSERT INTO segments (first, count, recorded_at, bytes, bytes_before, hashes, keys, body) VALUES (?, 2, ?, ?, 0, NULL, ?, ?)',
        first,
        CREATED_AT,
        body.length,
        JSON.stringify(keys),
        body,
      );
    }
    for (const [key, sequence] of [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ] as const) {
      storage.sql.exec('INSERT INTO keys (key, sequence) VALUES (?, ?)', key, sequence);
    }
    const harness = new Harness(storage);
    expect(postedIn(storage)).toEqual([
      { key: 'a', sequence: 1 },
      { key: 'b', sequence: 2 },
    ]);
    const reads = [{ key: 'a', from: 1, to: 4, types: [] }];
    const [found] = await harness.log.readKeys({ v: 1, reads, limit: 10, total: 10 });
    expect(found?.events.map(({ sequence }) => sequence)).toEqual([1, 3, 4]);
  });
});
