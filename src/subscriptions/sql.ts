import type { ObjectStorage, Sql } from '../platform.ts';

/** Every statement of a Subscription's SQLite that is not a view's. Rows are as the tables have them (migrations.ts). */

export type SubscriptionRow = {
  document: string | null;
  incarnation: number;
  version: number;
  target_version: number;
  paused: number;
  disabled_reason: string | null;
  created_at: number;
  updated_at: number;
  secret: string | null;
  previous_secret: string | null;
  previous_expires_at: number | null;
  streak: number;
  probe_at: number | null;
  probe_delay: number;
  slow: number;
  mirror_version: number;
  mirror_dirty: number;
  stalled_at: number | null;
  attach_after: string | null;
  healed: number;
  alarm_failures: number;
};

export type LaneStatus = 'attaching' | 'active' | 'removed' | 'done' | 'cancelled' | 'failed';

export type LaneRow = {
  id: number;
  topic: string;
  replay: string | null;
  status: LaneStatus;
  attachment: string;
  exact: number;
  origin: number;
  start: number;
  next: number;
  until: number | null;
  parked: number | null;
  types: string;
  rate_count: number | null;
  rate_span: number | null;
  rate_cursor: number;
  delivered: number;
  filtered: number;
  skipped: number;
  discarded: number;
  dead: number;
  failed: number;
  in_flight: number;
  retrying: number;
  created_at: number;
  ended_at: number | null;
  error: string | null;
  mirrored: number;
};

export type LeaseRow = {
  id: number;
  lane: number;
  retry: number;
  sequences: string;
  count: number;
  token: string | null;
  claims: number;
  sends: number;
  due: number;
  target_version: number;
};

export type ExceptionRow = {
  lane: number;
  sequence: number;
  attempts: number;
  tries: number;
  due: number;
  lease: number | null;
  redriven: number;
  event: string | null;
  first_attempt_at: number | null;
  last_status: number | null;
  last_error: string | null;
};

export type LetterState = 'open' | 'redriven' | 'resolved' | 'discarded';

export type LetterRow = {
  topic: string;
  sequence: number;
  lane: number | null;
  state: LetterState;
  reason: string;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  first_attempt_at: number | null;
  died_at: number;
  redriven_at: number | null;
  resolved_at: number | null;
  discarded_at: number | null;
  event: string | null;
  version: number;
  dirty: number;
};

export type AttemptsRow = {
  id: number;
  topic: string;
  replay: string | null;
  first: number;
  last: number;
  at: number;
  total: number;
  body: string;
};

/** The counters of a lane that a transition may change, as differences. */
export type LaneChange = Partial<
  Pick<
    LaneRow,
    'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying' | 'origin'
  >
>;

const LIVE = "replay IS NULL AND status IN ('attaching', 'active')";

export function statements(storage: ObjectStorage) {
  const sql: Sql = storage.sql;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  return {
    // The subscription
    subscription: () => first(sql.exec<SubscriptionRow>('SELECT * FROM subscription').toArray()),
    putSubscription: (row: SubscriptionRow) => {
      const columns = Object.keys(row);
      sql.exec(
        `INSERT OR REPLACE INTO subscription (id, ${columns.join(', ')}) VALUES (0, ${columns.map(() => '?').join(', ')})`,
        ...Object.values(row),
      );
    },

    // Lanes
    lane: (id: number) => first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE id = ?', id).toArray()),
    liveLane: (topic: string) =>
      first(sql.exec<LaneRow>(`SELECT * FROM lanes WHERE topic = ? AND ${LIVE}`, topic).toArray()),
    /** The lane that carries redriven letters of a topic, subscribed or not any more. */
    letterLane: (topic: string) =>
      first(
        sql
          .exec<LaneRow>('SELECT * FROM lanes WHERE topic = ? AND replay IS NULL ORDER BY id DESC LIMIT 1', topic)
          .toArray(),
      ),
    liveLanesAfter: (id: number, limit: number) =>
      sql.exec<LaneRow>(`SELECT * FROM lanes WHERE id > ? AND ${LIVE} ORDER BY id LIMIT ?`, id, limit).toArray(),
    hasLiveLane: () => sql.exec(`SELECT 1 AS one FROM lanes WHERE ${LIVE} LIMIT 1`).toArray().length > 0,
    replayLane: (replay: string) => first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE replay = ?', replay).toArray()),
    /** The books of everything but the replays. */
    totals: () =>
      sql
        .exec<
          Record<
            'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying',
            number
          >
        >(
          `SELECT ${['delivered', 'filtered', 'skipped', 'discarded', 'dead', 'failed', 'in_flight', 'retrying']
            .map((column) => `coalesce(sum(${column}), 0) AS ${column}`)
            .join(', ')} FROM lanes WHERE replay IS NULL`,
        )
        .one(),
    activeReplays: (topic: string) =>
      sql
        .exec<LaneRow>("SELECT * FROM lanes WHERE topic = ? AND replay IS NOT NULL AND status = 'active'", topic)
        .toArray(),
    /** Lanes that have something to read or to attach; live ones first. */
    unparked: (limit: number) =>
      sql
        .exec<LaneRow>(
          `SELECT * FROM lanes WHERE parked IS NULL AND status IN ('active', 'attaching') AND (until IS NULL OR next <= until)
           ORDER BY replay IS NOT NULL, id LIMIT ?`,
          limit,
        )
        .toArray(),
    nextRateSlot: () =>
      sql
        .exec<{ cursor: number | null }>(
          `SELECT min(rate_cursor) AS cursor FROM lanes
           WHERE parked IS NULL AND status IN ('active', 'attaching') AND rate_count IS NOT NULL AND next <= until`,
        )
        .one().cursor,
    unmirrored: () => first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE mirrored = 0 LIMIT 1').toArray()),
    addLane: (
      lane: Omit<
        LaneRow,
        'id' | 'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying'
      >,
    ) => {
      const columns = Object.keys(lane);
      return sql
        .exec<{ id: number }>(
          `INSERT INTO lanes (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) RETURNING id`,
          ...Object.values(lane),
        )
        .one().id;
    },
    /** Sets columns of a lane. */
    setLane: (id: number, columns: Partial<LaneRow>) => {
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE lanes SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
    },
    /** Adds to the counters of a lane and sets columns of it, in one write. */
    moveLane: (id: number, change: LaneChange, columns: Partial<LaneRow> = {}) => {
      const added = Object.entries(change).filter(([, difference]) => difference !== 0);
      const names = Object.keys(columns);
      if (added.length + names.length === 0) return;
      const assignments = [...added.map(([name]) => `${name} = ${name} + ?`), ...names.map((name) => `${name} = ?`)];
      sql.exec(
        `UPDATE lanes SET ${assignments.join(', ')} WHERE id = ?`,
        ...added.map(([, difference]) => difference),
        ...Object.values(columns),
        id,
      );
    },

    // Leases
    lease: (id: number) => first(sql.exec<LeaseRow>('SELECT * FROM leases WHERE id = ?', id).toArray()),
    leases: () => sql.exec<LeaseRow>('SELECT * FROM leases').toArray(),
    leasesOf: (lane: number) => sql.exec<LeaseRow>('SELECT * FROM leases WHERE lane = ?', lane).toArray(),
    addLease: (lease: { id: number; lane: number; retry: number; sequences: number[]; due: number }) => {
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
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE leases SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
    },
    deleteLease: (id: number) => sql.exec('DELETE FROM leases WHERE id = ?', id),
    /** Events in leases: of live lanes and of replays. */
    inFlight: () =>
      sql
        .exec<{ live: number; replay: number; leases: number }>(
          `SELECT coalesce(sum(CASE WHEN lanes.replay IS NULL THEN count ELSE 0 END), 0) AS live,
                  coalesce(sum(CASE WHEN lanes.replay IS NULL THEN 0 ELSE count END), 0) AS replay, count(*) AS leases
           FROM leases JOIN lanes ON lanes.id = leases.lane`,
        )
        .one(),
    nextLeaseDue: (claimedOnly: boolean) =>
      sql
        .exec<{ due: number | null }>(
          `SELECT min(due) AS due FROM leases ${claimedOnly ? 'WHERE token IS NOT NULL' : ''}`,
        )
        .one().due,
    /** After a restart: a claim that was open isn't counted, what is unclaimed is sent again soon. */
    restartLeases: (resendAt: number, claimDeadline: number) => {
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
    exceptionsAfter: (lane: number, sequence: number, limit: number) =>
      sql
        .exec<ExceptionRow>(
          'SELECT * FROM exceptions WHERE lane = ? AND sequence > ? ORDER BY sequence LIMIT ?',
          lane,
          sequence,
          limit,
        )
        .toArray(),
    putException: (row: ExceptionRow) => {
      const columns = Object.keys(row);
      sql.exec(
        `INSERT OR REPLACE INTO exceptions (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
        ...Object.values(row),
      );
    },
    setExceptionLease: (lane: number, sequences: number[], lease: number | null) =>
      sql.exec(
        'UPDATE exceptions SET lease = ? WHERE lane = ? AND sequence IN (SELECT value FROM json_each(?))',
        lease,
        lane,
        JSON.stringify(sequences),
      ),
    deleteException: (lane: number, sequence: number) =>
      sql.exec('DELETE FROM exceptions WHERE lane = ? AND sequence = ?', lane, sequence),
    deleteExceptionsOf: (lane: number) => sql.exec('DELETE FROM exceptions WHERE lane = ?', lane),
    /** The lane of the exception that is due first, and when. */
    firstDue: () =>
      first(
        sql
          .exec<{ lane: number; due: number }>(
            'SELECT lane, due FROM exceptions WHERE lease IS NULL ORDER BY due LIMIT 1',
          )
          .toArray(),
      ),
    dueIn: (lane: number, now: number, limit: number) =>
      sql
        .exec<{ sequence: number }>(
          'SELECT sequence FROM exceptions INDEXED BY exceptions_due WHERE lease IS NULL AND due <= ? AND lane = ? ORDER BY due LIMIT ?',
          now,
          lane,
          limit,
        )
        .toArray()
        .map((row) => row.sequence),
    clampDue: (latest: number) =>
      sql.exec('UPDATE exceptions SET due = ? WHERE lease IS NULL AND due > ?', latest, latest),
    /** The lowest pending sequence of a lane, redriven letters aside. */
    lowestException: (lane: number) =>
      sql
        .exec<{ sequence: number }>(
          'SELECT sequence FROM exceptions WHERE lane = ? AND redriven = 0 ORDER BY sequence LIMIT 1',
          lane,
        )
        .toArray()[0]?.sequence ?? null,

    // Dead letters
    letter: (topic: string, sequence: number) =>
      first(sql.exec<LetterRow>('SELECT * FROM letters WHERE topic = ? AND sequence = ?', topic, sequence).toArray()),
    hasLetters: () => sql.exec('SELECT 1 AS one FROM letters LIMIT 1').toArray().length > 0,
    putLetter: (row: LetterRow) => {
      const columns = Object.keys(row);
      sql.exec(
        `INSERT OR REPLACE INTO letters (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
        ...Object.values(row),
      );
    },
    hasDirtyLetters: () => sql.exec('SELECT 1 AS one FROM letters WHERE dirty = 1 LIMIT 1').toArray().length > 0,
    dirtyLetters: (limit: number) =>
      sql.exec<LetterRow>('SELECT * FROM letters WHERE dirty = 1 LIMIT ?', limit).toArray(),
    dirtyLettersIn: (topic: string, from: number, to: number) =>
      sql
        .exec<LetterRow>(
          'SELECT * FROM letters WHERE topic = ? AND sequence BETWEEN ? AND ? AND dirty = 1 AND event IS NULL',
          topic,
          from,
          to,
        )
        .toArray(),
    deleteLetter: (topic: string, sequence: number) =>
      sql.exec('DELETE FROM letters WHERE topic = ? AND sequence = ?', topic, sequence),
    /** A seek or the end of a lane: its letters are counted no more. */
    uncountLetters: (lane: number) => sql.exec('UPDATE letters SET lane = NULL WHERE lane = ?', lane),
    /** Redriven letters whose delivery is dropped are open again. */
    reopenLetters: (topic: string, lane: number) =>
      sql.exec(
        `UPDATE letters SET state = 'open', redriven_at = NULL, version = version + 1, dirty = 1
         WHERE topic = ? AND state = 'redriven' AND sequence IN (SELECT sequence FROM exceptions WHERE lane = ? AND redriven = 1)`,
        topic,
        lane,
      ),

    // Attempts
    lastAttempts: () =>
      first(
        sql.exec<{ id: number; total: number }>('SELECT id, total FROM attempts ORDER BY id DESC LIMIT 1').toArray(),
      ),
    oldestAttempts: (limit: number) =>
      sql
        .exec<{ id: number; total: number; at: number }>(
          'SELECT id, total, at FROM attempts ORDER BY id LIMIT ?',
          limit,
        )
        .toArray(),
    addAttempts: (row: AttemptsRow) => {
      const columns = Object.keys(row);
      sql.exec(
        `INSERT INTO attempts (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
        ...Object.values(row),
      );
    },
    deleteAttempts: (id: number) => sql.exec('DELETE FROM attempts WHERE id = ?', id),
    attemptsBefore: (id: number, limit: number) =>
      sql.exec<AttemptsRow>('SELECT * FROM attempts WHERE id < ? ORDER BY id DESC LIMIT ?', id, limit).toArray(),
    attemptsOf: (topic: string, sequence: number, beforeId: number, limit: number) =>
      sql
        .exec<AttemptsRow>(
          'SELECT * FROM attempts WHERE id < ? AND topic = ? AND first <= ? AND last >= ? ORDER BY id DESC LIMIT ?',
          beforeId,
          topic,
          sequence,
          sequence,
          limit,
        )
        .toArray(),

    // What was decided about ranges of sequences
    decide: (topic: string, sequence: number, types: string | null) =>
      sql.exec('INSERT OR REPLACE INTO history (topic, sequence, types) VALUES (?, ?, ?)', topic, sequence, types),
    forgetFrom: (topic: string, sequence: number) => {
      sql.exec('DELETE FROM history WHERE topic = ? AND sequence >= ?', topic, sequence);
      sql.exec('DELETE FROM skips WHERE topic = ? AND sequence >= ?', topic, sequence);
    },
    decided: (topic: string, sequence: number) =>
      first(
        sql
          .exec<{ types: string | null }>(
            'SELECT types FROM history WHERE topic = ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1',
            topic,
            sequence,
          )
          .toArray(),
      ),
    isSkipped: (topic: string, sequence: number) =>
      sql.exec('SELECT 1 AS one FROM skips WHERE topic = ? AND sequence = ?', topic, sequence).toArray().length > 0,
    skip: (topic: string, sequences: number[]) =>
      sql.exec(
        'INSERT OR IGNORE INTO skips (topic, sequence) SELECT ?, value FROM json_each(?)',
        topic,
        JSON.stringify(sequences),
      ),
    skipExceptions: (topic: string, lane: number, below: number) =>
      sql
        .exec<{ sequence: number }>(
          `INSERT OR IGNORE INTO skips (topic, sequence)
           SELECT ?, sequence FROM exceptions WHERE lane = ? AND sequence < ? AND lease IS NULL AND redriven = 0 RETURNING sequence`,
          topic,
          lane,
          below,
        )
        .toArray().length,

    // Detachments and jobs
    addDetachment: (attachment: string, topic: string, due: number) =>
      sql.exec('INSERT OR REPLACE INTO detachments (attachment, topic, due) VALUES (?, ?, ?)', attachment, topic, due),
    deleteDetachment: (attachment: string) => sql.exec('DELETE FROM detachments WHERE attachment = ?', attachment),
    firstDetachment: () =>
      first(
        sql
          .exec<{ attachment: string; topic: string; due: number }>('SELECT * FROM detachments ORDER BY due LIMIT 1')
          .toArray(),
      ),
    addJob: (id: string, job: string) =>
      sql.exec("INSERT OR IGNORE INTO jobs (id, job, after_id) VALUES (?, ?, '')", id, job),
    job: () =>
      first(
        sql.exec<{ id: string; job: string; after_id: string }>('SELECT * FROM jobs ORDER BY id LIMIT 1').toArray(),
      ),
    advanceJob: (id: string, afterId: string) => sql.exec('UPDATE jobs SET after_id = ? WHERE id = ?', afterId, id),
    deleteJob: (id: string) => sql.exec('DELETE FROM jobs WHERE id = ?', id),

    /** Everything of a deleted subscription, but the letters, which outlive it. */
    clear: () => {
      for (const table of ['lanes', 'leases', 'exceptions', 'attempts', 'history', 'skips', 'jobs'])
        sql.exec(`DELETE FROM ${table}`);
      sql.exec('UPDATE letters SET lane = NULL');
    },
  };
}

export type Statements = ReturnType<typeof statements>;
