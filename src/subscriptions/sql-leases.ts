import type { ObjectStorage } from '../platform.ts';
import type { Memories } from './memory.ts';
import type { ExceptionRow, LeaseRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** Due exceptions looked at to find those of one lane. */
const DUE_EXAMINED_MAX = 500;

/** Statements on leases and exceptions. */
export function leaseStatements(storage: ObjectStorage, memories: Memories) {
  const { sql } = storage;
  const { leases, exceptions } = memories;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  return {
    // Leases
    lease: leases.remembered((id: number) =>
      first(sql.exec<LeaseRow>('SELECT * FROM leases WHERE id = ?', id).toArray()),
    ),
    leases: () => sql.exec<LeaseRow>('SELECT * FROM leases').toArray(),
    leasesOf: leases.remembered((lane: number) =>
      sql.exec<LeaseRow>('SELECT * FROM leases WHERE lane = ?', lane).toArray(),
    ),
    addLease: (lease: { id: number; lane: number; retry: number; sequences: number[]; due: number }) => {
      leases.changed(null);
      sql.exec(
        'INSERT INTO leases (id, lane, retry, sequences, count, due) VALUES (?, ?, ?, ?, ?, ?)',
        lease.id,
        lease.lane,
        lease.retry,
        JSON.stringify(lease.sequences),
        lease.sequences.length,
        lease.due,
      );
    },
    setLease: (id: number, columns: Partial<LeaseRow>) => {
      leases.changed(null);
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE leases SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
    },
    deleteLease: (id: number) => leases.changed(sql.exec('DELETE FROM leases WHERE id = ?', id)),
    /** Events in leases: of live lanes and of replays. */
    inFlight: leases.remembered(() =>
      sql
        .exec<{ live: number; replay: number; leases: number }>(
          `SELECT coalesce(sum(CASE WHEN lanes.replay IS NULL THEN count ELSE 0 END), 0) AS live,
                  coalesce(sum(CASE WHEN lanes.replay IS NULL THEN 0 ELSE count END), 0) AS replay, count(*) AS leases
           FROM leases JOIN lanes ON lanes.id = leases.lane`,
        )
        .one(),
    ),
    /** Events in leases that nobody has claimed. */
    unclaimed: leases.remembered(
      () =>
        sql.exec<{ events: number }>('SELECT coalesce(sum(count), 0) AS events FROM leases WHERE token IS NULL').one()
          .events,
    ),
    nextLeaseDue: leases.remembered(
      (claimedOnly: boolean) =>
        sql
          .exec<{ due: number | null }>(
            `SELECT min(due) AS due FROM leases ${claimedOnly ? 'WHERE token IS NOT NULL' : ''}`,
          )
          .one().due,
    ),
    /** After a restart: a claim that was open isn't counted, what is unclaimed is sent again soon. */
    restartLeases: (resendAt: number, claimDeadline: number) => {
      leases.changed(null);
      sql.exec(
        'UPDATE leases SET claims = max(0, claims - 1), due = min(due, ?) WHERE token IS NOT NULL',
        claimDeadline,
      );
      sql.exec('UPDATE leases SET sends = 0, due = ? WHERE token IS NULL', resendAt);
    },

    // Exceptions
    exception: (lane: number, sequence: number) =>
      first(
        sql.exec<ExceptionRow>('SELECT * FROM exceptions WHERE lane = ? AND sequence = ?', lane, sequence).toArray(),
      ),
    putException: (row: ExceptionRow) =>
      exceptions.changed(sql.exec(...insertion('INSERT OR REPLACE', 'exceptions', row))),
    setExceptionLease: (lane: number, sequences: number[], lease: number | null) =>
      exceptions.changed(
        sql.exec(
          'UPDATE exceptions SET lease = ? WHERE lane = ? AND sequence IN (SELECT value FROM json_each(?))',
          lease,
          lane,
          JSON.stringify(sequences),
        ),
      ),
    deleteException: (lane: number, sequence: number) =>
      exceptions.changed(sql.exec('DELETE FROM exceptions WHERE lane = ? AND sequence = ?', lane, sequence)),
    deleteExceptionsOf: (lane: number) => exceptions.changed(sql.exec('DELETE FROM exceptions WHERE lane = ?', lane)),
    /** The lane of the exception that is due first, and when. */
    firstDue: exceptions.remembered(() =>
      first(
        sql
          .exec<{ lane: number; due: number }>(
            'SELECT lane, due FROM exceptions WHERE lease IS NULL ORDER BY due LIMIT 1',
          )
          .toArray(),
      ),
    ),
    /** Of a lane, the exceptions that are due; looks at no more than `DUE_EXAMINED_MAX` of all that are. */
    dueIn: (lane: number, now: number, limit: number) =>
      sql
        .exec<{ sequence: number }>(
          `SELECT sequence FROM (SELECT lane, sequence FROM exceptions INDEXED BY exceptions_due
             WHERE lease IS NULL AND due <= ? ORDER BY due LIMIT ${DUE_EXAMINED_MAX}) WHERE lane = ?`,
          now,
          lane,
        )
        .toArray()
        .slice(0, limit)
        .map((row) => row.sequence),
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
    exceptionsIn: (lane: number, from: number, to: number) =>
      sql
        .exec<ExceptionRow>('SELECT * FROM exceptions WHERE lane = ? AND sequence BETWEEN ? AND ?', lane, from, to)
        .toArray(),
    clampDue: (latest: number) =>
      exceptions.changed(sql.exec('UPDATE exceptions SET due = ? WHERE lease IS NULL AND due > ?', latest, latest)),
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
