import type { ObjectStorage } from '../platform.ts';
import type { Memories } from './memory.ts';
import type { HoldRow } from './rows.ts';

/** Statements on holds. Whether one is blocked is kept by those on exceptions (sql-exceptions.ts). */
export function holdStatements(storage: ObjectStorage, { holds }: Memories) {
  const { sql } = storage;
  return {
    hold: (lane: number, key: string): HoldRow | null =>
      sql.exec<HoldRow>('SELECT * FROM holds WHERE lane = ? AND key = ?', lane, key).toArray()[0] ?? null,
    holdsOf: (lane: number) => sql.exec<HoldRow>('SELECT * FROM holds WHERE lane = ? ORDER BY key', lane).toArray(),
    /** Those of the keys that are held in the lane. */
    heldAmong: (lane: number, keys: readonly string[]) =>
      sql
        .exec<{ key: string }>(
          'SELECT key FROM holds WHERE lane = ? AND key IN (SELECT value FROM json_each(?))',
          lane,
          JSON.stringify(keys),
        )
        .toArray()
        .map((row) => row.key),
    /** Holds a key from this sequence on, or from a lower one where it is held already. */
    addHold: (lane: number, key: string, sequence: number) =>
      holds.changed(
        sql.exec(
          `INSERT INTO holds (lane, key, first, blocked)
           SELECT lane, key, first, EXISTS (SELECT 1 FROM exceptions
             WHERE lane = new.lane AND key = new.key AND key IS NOT NULL AND redriven = 0)
           FROM (SELECT ? AS lane, ? AS key, ? AS first) AS new WHERE true
           ON CONFLICT (lane, key) DO UPDATE SET first = min(first, excluded.first)`,
          lane,
          key,
          sequence,
        ),
      ),
    moveHold: (lane: number, key: string, sequence: number) =>
      holds.changed(sql.exec('UPDATE holds SET first = ? WHERE lane = ? AND key = ?', sequence, lane, key)),
    deleteHold: (lane: number, key: string) =>
      holds.changed(sql.exec('DELETE FROM holds WHERE lane = ? AND key = ?', lane, key)),
    deleteHoldsOf: (lane: number) => holds.changed(sql.exec('DELETE FROM holds WHERE lane = ?', lane)),
    /** Nothing up to this sequence is held in the lane any more. */
    cutHolds: (lane: number, sequence: number, next: number) => {
      holds.changed(null);
      sql.exec('DELETE FROM holds WHERE lane = ? AND first <= ? AND ? >= ?', lane, sequence, sequence + 1, next);
      sql.exec('UPDATE holds SET first = ? WHERE lane = ? AND first <= ?', sequence + 1, lane, sequence);
    },
    /** Notes what of a lane's holds lies below a sequence as skipped. */
    skipHolds: (topic: string, lane: number, below: number) =>
      sql.exec(
        `INSERT OR REPLACE INTO skipped_holds (topic, key, first, last)
         SELECT ?, key, first, ? - 1 FROM holds WHERE lane = ? AND first < ?`,
        topic,
        below,
        lane,
        below,
      ),
    /** How many keys are held, of all lanes. */
    holdCount: holds.remembered(() => sql.exec<{ count: number }>('SELECT count(*) AS count FROM holds').one().count),
    /** The lanes with holds that nothing blocks, by id. */
    lanesWithOpenHolds: holds.remembered(() =>
      sql
        .exec<{ lane: number }>('SELECT DISTINCT lane FROM holds INDEXED BY holds_open WHERE blocked = 0 ORDER BY lane')
        .toArray()
        .map((row) => row.lane),
    ),
    /** Holds of a lane that nothing blocks, by key. */
    openHoldsAfter: (lane: number, key: string, limit: number) =>
      sql
        .exec<HoldRow>(
          `SELECT * FROM holds INDEXED BY holds_open WHERE lane = ? AND blocked = 0 AND key > ? ORDER BY key LIMIT ${limit}`,
          lane,
          key,
        )
        .toArray(),
    /**
     * The lowest sequence that waits behind a key, of those that nothing blocks; null: there is none. One that is blocked
     * lies behind the exception that blocks it.
     */
    lowestHeld: holds.remembered(
      (lane: number) =>
        sql
          .exec<{ first: number | null }>(
            'SELECT min(first) AS first FROM holds INDEXED BY holds_open WHERE lane = ? AND blocked = 0',
            lane,
          )
          .one().first,
    ),
  };
}
