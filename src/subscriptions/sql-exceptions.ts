import type { ObjectStorage } from '../platform.ts';
import type { Memories } from './memory.ts';
import type { ExceptionRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** An exception that waits, as far as it matters for what it goes with. */
export type DueException = Pick<ExceptionRow, 'sequence' | 'key' | 'batch' | 'redriven'>;

/** The lane of an exception that goes first, when, and how often it was tried in its schedule. */
export type FirstDue = Pick<ExceptionRow, 'lane' | 'due' | 'tries'>;

/** An exception as it is put: which is the first of its key is found here. */
export type NewException = Omit<ExceptionRow, 'behind'>;

/** Statements on exceptions, which keep what follows from them: who goes first of a key, and which holds are blocked. */
export function exceptionStatements(storage: ObjectStorage, { exceptions, holds }: Memories) {
  const { sql } = storage;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  /** A key's events wait until the one that failed has come through. */
  const block = (lane: number, key: string | null) => {
    if (key === null) return;
    holds.changed(sql.exec('UPDATE holds SET blocked = 1 WHERE lane = ? AND key = ? AND blocked = 0', lane, key));
  };
  const unblock = (lane: number, key: string | null) => {
    if (key === null) return;
    holds.changed(
      sql.exec(
        `UPDATE holds SET blocked = 0 WHERE lane = ? AND key = ? AND blocked = 1 AND NOT EXISTS
           (SELECT 1 FROM exceptions WHERE lane = holds.lane AND key = holds.key AND key IS NOT NULL AND redriven = 0)`,
        lane,
        key,
      ),
    );
  };
  /** The first of a key that has to be tried again, or of a whole topic in order; the others are behind it. */
  const firstOf = (lane: number, key: string) =>
    sql
      .exec<{ sequence: number }>(
        `SELECT sequence FROM exceptions INDEXED BY exceptions_key
         WHERE lane = ? AND key = ? AND redriven = 0 ORDER BY sequence LIMIT 1`,
        lane,
        key,
      )
      .toArray()[0]?.sequence ?? null;
  const setBehind = (lane: number, sequence: number, behind: 0 | 1) =>
    sql.exec('UPDATE exceptions SET behind = ? WHERE lane = ? AND sequence = ?', behind, lane, sequence);
  const putException = (row: NewException) => {
    const isInOrder = row.key !== null && row.redriven === 0;
    const present = isInOrder ? firstOf(row.lane, row.key ?? '') : null;
    const behind = present !== null && present < row.sequence ? 1 : 0;
    if (present !== null && present > row.sequence) setBehind(row.lane, present, 1);
    exceptions.changed(sql.exec(...insertion('INSERT OR REPLACE', 'exceptions', { ...row, behind })));
    if (isInOrder) block(row.lane, row.key);
  };
  const deleteException = (lane: number, sequence: number): ExceptionRow | null => {
    exceptions.changed(null);
    const row = first(
      sql
        .exec<ExceptionRow>('DELETE FROM exceptions WHERE lane = ? AND sequence = ? RETURNING *', lane, sequence)
        .toArray(),
    );
    if (row === null || row.key === null) return row;
    const next = row.redriven === 1 || row.behind === 1 ? null : firstOf(lane, row.key);
    if (next !== null) setBehind(lane, next, 0);
    unblock(lane, row.key);
    return row;
  };
  return {
    exception: (lane: number, sequence: number) =>
      first(
        sql.exec<ExceptionRow>('SELECT * FROM exceptions WHERE lane = ? AND sequence = ?', lane, sequence).toArray(),
      ),
    putException,
    /** What was found out of a delivery that waits: false if it has to wait behind others of that key. */
    setExceptionKey: (lane: number, sequence: number, key: string): boolean => {
      const row = deleteException(lane, sequence);
      if (row === null) return true;
      putException({ ...row, key });
      return row.redriven === 1 || firstOf(lane, key) === sequence;
    },
    /** Those of the keys of which an event of the lane has to be tried again. */
    retryingAmong: (lane: number, keys: readonly string[]) =>
      sql
        .exec<{ key: string }>(
          `SELECT DISTINCT key FROM exceptions WHERE lane = ? AND redriven = 0 AND key IS NOT NULL
           AND key IN (SELECT value FROM json_each(?))`,
          lane,
          JSON.stringify(keys),
        )
        .toArray()
        .map((row) => row.key),
    setExceptionLease: (lane: number, sequences: number[], lease: number | null) =>
      exceptions.changed(
        sql.exec(
          'UPDATE exceptions SET lease = ? WHERE lane = ? AND sequence IN (SELECT value FROM json_each(?))',
          lease,
          lane,
          JSON.stringify(sequences),
        ),
      ),
    deleteException: (lane: number, sequence: number) => void deleteException(lane, sequence),
    /** What was handed out before can't be acknowledged any more. */
    forgetTokens: () => exceptions.changed(sql.exec('UPDATE exceptions SET tokens = NULL WHERE tokens IS NOT NULL')),
    deleteExceptionsOf: (lane: number) => exceptions.changed(sql.exec('DELETE FROM exceptions WHERE lane = ?', lane)),
    /** The exception that goes first. */
    firstDue: exceptions.remembered(() =>
      first(
        sql
          .exec<FirstDue>(
            'SELECT lane, due, tries FROM exceptions WHERE lease IS NULL AND behind = 0 ORDER BY due LIMIT 1',
          )
          .toArray(),
      ),
    ),
    /** The same of one lane. */
    firstDueOf: exceptions.remembered((lane: number) =>
      first(
        sql
          .exec<FirstDue>(
            `SELECT lane, due, tries FROM exceptions INDEXED BY exceptions_lane_due
             WHERE lane = ? AND lease IS NULL AND behind = 0 ORDER BY due LIMIT 1`,
            lane,
          )
          .toArray(),
      ),
    ),
    /** When the first exception of each lane but these is due, the earliest first; however many those have. */
    lanesDueBeside: (lanes: readonly number[]) =>
      sql
        .exec<{ lane: number; due: number }>(
          `SELECT lane, due FROM
             (SELECT id AS lane, (SELECT due FROM exceptions INDEXED BY exceptions_lane_due
                WHERE lane = lanes.id AND lease IS NULL AND behind = 0 ORDER BY due LIMIT 1) AS due
              FROM lanes WHERE retrying > 0 AND id NOT IN (SELECT value FROM json_each(?)))
           WHERE due IS NOT NULL ORDER BY due`,
          JSON.stringify(lanes),
        )
        .toArray(),
    /**
     * The first exceptions that are due and whose turn it may be, no two of a key unless they are redriven: those of one lane,
     * whichever it is if that is not said. `busy` names what is under way.
     */
    dueInOrder: (now: number, by: 'key' | 'topic', busy: readonly string[], limit: number, lane: number | null) =>
      sql
        .exec<DueException & { lane: number }>(
          `SELECT lane, sequence, key, batch, redriven
             FROM exceptions INDEXED BY ${lane === null ? 'exceptions_due' : 'exceptions_lane_due'}
             JOIN lanes ON lanes.id = lane
           WHERE lease IS NULL AND behind = 0 AND due <= ? ${lane === null ? '' : 'AND lane = ?'}
             AND (topic ${by === 'key' ? "|| ' ' || key" : ''} IN (SELECT value FROM json_each(?))) IS NOT TRUE
           ORDER BY due LIMIT ${limit}`,
          now,
          ...(lane === null ? [] : [lane]),
          JSON.stringify(busy),
        )
        .toArray()
        .filter((row, _, rows) => row.lane === rows[0]?.lane),
    /** Of a lane, the exceptions that are due. */
    dueIn: (lane: number, now: number, limit: number): DueException[] =>
      sql
        .exec<DueException>(
          `SELECT sequence, NULL AS key, batch, redriven FROM exceptions INDEXED BY exceptions_lane_due
           WHERE lane = ? AND lease IS NULL AND behind = 0 AND due <= ? ORDER BY due LIMIT ${limit}`,
          lane,
          now,
        )
        .toArray(),
    /** The exceptions of a batch that wait. */
    membersOf: (lane: number, batch: number): DueException[] =>
      sql
        .exec<DueException>(
          'SELECT sequence, key, batch, redriven FROM exceptions WHERE batch = ? AND lane = ? AND lease IS NULL',
          batch,
          lane,
        )
        .toArray(),
    /** Puts leased exceptions back, due at these moments. */
    postpone: (lane: number, sequences: number[], dues: number[]) =>
      sequences.forEach((sequence, index) => {
        exceptions.changed(
          sql.exec(
            'UPDATE exceptions SET lease = NULL, due = ? WHERE lane = ? AND sequence = ?',
            dues[index] ?? 0,
            lane,
            sequence,
          ),
        );
      }),
    /** Are as many redriven letters pending already? */
    hasRedriven: (count: number) =>
      sql.exec(`SELECT 1 AS one FROM exceptions WHERE redriven = 1 LIMIT 1 OFFSET ${count - 1}`).toArray().length > 0,
    redrivenOf: (lane: number) =>
      sql
        .exec<{ sequence: number }>('SELECT sequence FROM exceptions WHERE lane = ? AND redriven = 1', lane)
        .toArray()
        .map((row) => row.sequence),
    /** A redriven letter that is on its way beside the books; null: none of this event is. */
    redrivenAside: (topic: string, sequence: number) =>
      first(
        sql
          .exec<ExceptionRow>(
            `SELECT exceptions.* FROM lanes JOIN exceptions ON lane = lanes.id AND sequence = ?
             WHERE topic = ? AND replay IS NULL AND status = 'uncounted' AND redriven = 1 LIMIT 1`,
            sequence,
            topic,
          )
          .toArray(),
      ),
    exceptionsIn: (lane: number, from: number, to: number) =>
      sql
        .exec<ExceptionRow>('SELECT * FROM exceptions WHERE lane = ? AND sequence BETWEEN ? AND ?', lane, from, to)
        .toArray(),
    clampDue: (latest: number) =>
      exceptions.changed(
        sql.exec('UPDATE exceptions SET due = ? WHERE lease IS NULL AND behind IN (0, 1) AND due > ?', latest, latest),
      ),
    /** The lowest pending sequence of a lane, redriven letters aside. */
    lowestException: exceptions.remembered(
      (lane: number) =>
        sql
          .exec<{ sequence: number }>(
            'SELECT sequence FROM exceptions WHERE lane = ? AND redriven = 0 ORDER BY sequence LIMIT 1',
            lane,
          )
          .toArray()[0]?.sequence ?? null,
    ),
  };
}
