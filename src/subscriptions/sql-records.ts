import type { ObjectStorage } from '../platform.ts';
import type { SubscriptionFilter } from './document.ts';
import type { LastAttempts, Memories } from './memory.ts';
import type { AttemptsRow, LetterRow, NoticeRow, StatsRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** What goes with a subscription that is deleted. */
const TABLES_OF_ONE = [
  'lanes',
  'leases',
  'exceptions',
  'holds',
  'attempts',
  'stats',
  'history',
  'skips',
  'skipped_holds',
  'jobs',
];

/** Statements on dead letters, attempts, what was decided about sequences, detachments and jobs. */
export function recordStatements(storage: ObjectStorage, memories: Memories) {
  const { sql } = storage;
  const { outbox } = memories;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  const countUnsent = outbox.remembered(
    (limit: number) =>
      sql
        .exec<{ count: number }>(`SELECT count(*) AS count FROM (SELECT 1 FROM letters WHERE dirty = 1 LIMIT ${limit})`)
        .one().count,
  );
  /** Letters were made dirty, nobody has counted how many. */
  const madeDirty = <T>(outcome: T): T => {
    memories.unsentAtMost = Number.POSITIVE_INFINITY;
    return outbox.changed(outcome);
  };
  /** Between which sequences a topic's letters lie: nearly all that is settled lies behind them. */
  const letterSpan = outbox.remembered((topic: string) =>
    sql
      .exec<{ first: number | null; last: number | null }>(
        'SELECT (SELECT min(sequence) FROM letters WHERE topic = ?) AS first, (SELECT max(sequence) FROM letters WHERE topic = ?) AS last',
        topic,
        topic,
      )
      .one(),
  );
  const lastAttempts = (): LastAttempts | null =>
    first(sql.exec<LastAttempts>('SELECT id, total FROM attempts ORDER BY id DESC LIMIT 1').toArray()) ??
    first(sql.exec<LastAttempts>('SELECT through AS id, total FROM stats').toArray());
  return {
    // Dead letters
    letter: (topic: string, sequence: number) =>
      first(sql.exec<LetterRow>('SELECT * FROM letters WHERE topic = ? AND sequence = ?', topic, sequence).toArray()),
    putLetter: (row: LetterRow) => {
      memories.unsentAtMost += row.dirty;
      return outbox.changed(sql.exec(...insertion('INSERT OR REPLACE', 'letters', row)));
    },
    /** Are there as many letters that D1 has to be told of? They are counted only where there may be. */
    hasUnsent: (count: number) => {
      if (memories.unsentAtMost < count) return false;
      memories.unsentAtMost = countUnsent(count);
      return memories.unsentAtMost >= count;
    },
    hasDirtyLetters: () => sql.exec('SELECT 1 AS one FROM letters WHERE dirty = 1 LIMIT 1').toArray().length > 0,
    /** Letters that D1 has to be told of, all of one topic. */
    dirtyLetters: (limit: number) => {
      const [any] = sql.exec<{ topic: string }>('SELECT topic FROM letters WHERE dirty = 1 LIMIT 1').toArray();
      return any === undefined
        ? []
        : sql
            .exec<LetterRow>(
              `SELECT * FROM letters INDEXED BY letters_dirty WHERE dirty = 1 AND topic = ? ORDER BY sequence LIMIT ${limit}`,
              any.topic,
            )
            .toArray();
    },
    /** Letters of which D1 may not have the event yet. */
    unsentLetters: (topic: string, from: number, to: number) =>
      sql
        .exec<LetterRow>(
          'SELECT * FROM letters WHERE topic = ? AND sequence BETWEEN ? AND ? AND dirty = 1 AND event IS NULL',
          topic,
          from,
          to,
        )
        .toArray(),
    hasLetters: (topic: string, from: number, to: number) => {
      const span = letterSpan(topic);
      return (
        from <= (span.last ?? 0) &&
        to >= (span.first ?? 0) &&
        sql
          .exec('SELECT 1 AS one FROM letters WHERE topic = ? AND sequence BETWEEN ? AND ? LIMIT 1', topic, from, to)
          .toArray().length > 0
      );
    },
    firstUnsentLetter: outbox.remembered(
      (topic: string) =>
        sql
          .exec<{ sequence: number }>(
            'SELECT sequence FROM letters WHERE topic = ? AND dirty = 1 AND event IS NULL ORDER BY sequence LIMIT 1',
            topic,
          )
          .toArray()[0]?.sequence ?? null,
    ),
    deleteLetter: (topic: string, sequence: number) =>
      outbox.changed(sql.exec('DELETE FROM letters WHERE topic = ? AND sequence = ?', topic, sequence)),
    /** The redriven letters whose delivery a lane drops are open again; answers how many. */
    reopenLetters: (topic: string, lane: number, version: number) =>
      madeDirty(
        sql
          .exec(
            `UPDATE letters SET state = 'open', redriven_at = NULL, version = ?, dirty = 1 WHERE topic = ? AND state = 'redriven'
             AND sequence IN (SELECT sequence FROM exceptions WHERE lane = ? AND redriven = 1) RETURNING 1 AS one`,
            version,
            topic,
            lane,
          )
          .toArray().length,
      ),
    reopenAllLetters: (version: number) =>
      madeDirty(
        sql.exec(
          "UPDATE letters SET state = 'open', redriven_at = NULL, version = ?, dirty = 1 WHERE state = 'redriven'",
          version,
        ),
      ),
    /** The lane's letters are counted no more; those that it carries at present stay with it until they are settled. */
    uncountLetters: (topic: string, lane: number) =>
      sql.exec("UPDATE letters SET lane = NULL WHERE topic = ? AND lane = ? AND state <> 'redriven'", topic, lane),

    // Attempts
    /** The last row there was: rows are numbered on where all have gone. */
    lastAttempts: (): LastAttempts | null => {
      memories.lastAttempts ??= { value: lastAttempts() };
      return memories.lastAttempts.value;
    },
    oldestAttempts: () =>
      first(sql.exec<{ total: number; at: number }>('SELECT total, at FROM attempts ORDER BY id LIMIT 1').toArray()),
    addAttempts: (row: AttemptsRow) => {
      sql.exec(...insertion('INSERT', 'attempts', row));
      memories.lastAttempts = { value: { id: row.id, total: row.total } };
    },
    /** Of the oldest rows, up to `limit`: lets go of those that are no longer kept, up to and with the row `through`. */
    trimAttempts: (kept: { totalAbove: number; since: number }, through: number, limit: number) =>
      sql.exec(
        `DELETE FROM attempts WHERE id IN (SELECT id FROM attempts ORDER BY id LIMIT ${limit})
         AND (total <= ? OR at < ?) AND id <= ?`,
        kept.totalAbove,
        kept.since,
        through,
      ),
    /** Ascending. */
    attemptsAfter: (id: number) =>
      sql.exec<AttemptsRow>('SELECT * FROM attempts WHERE id > ? ORDER BY id', id).toArray(),
    attemptsBefore: (id: number, limit: number) =>
      sql.exec<AttemptsRow>(`SELECT * FROM attempts WHERE id < ? ORDER BY id DESC LIMIT ${limit}`, id).toArray(),
    attemptsOf: (topic: string, sequence: number, beforeId: number, limit: number) =>
      sql
        .exec<AttemptsRow>(
          `SELECT * FROM attempts WHERE id < ? AND topic = ? AND first <= ? AND last >= ? ORDER BY id DESC LIMIT ${limit}`,
          beforeId,
          topic,
          sequence,
          sequence,
        )
        .toArray(),

    statsKept: memories.stats.remembered(
      () =>
        first(sql.exec<Omit<StatsRow, 'body'>>('SELECT through, total FROM stats').toArray()) ?? {
          through: 0,
          total: 0,
        },
    ),
    stats: () => first(sql.exec<StatsRow>('SELECT through, total, body FROM stats').toArray()),
    putStats: (row: StatsRow) =>
      memories.stats.changed(sql.exec(...insertion('INSERT OR REPLACE', 'stats', { id: 0, ...row }))),

    // What was decided about ranges of sequences
    /** Null: skipped. */
    decide: (topic: string, sequence: number, filter: SubscriptionFilter | null) =>
      sql.exec(
        'INSERT OR REPLACE INTO history (topic, sequence, filter) VALUES (?, ?, ?)',
        topic,
        sequence,
        filter && JSON.stringify(filter),
      ),
    forgetFrom: (topic: string, sequence: number) => {
      sql.exec('DELETE FROM history WHERE topic = ? AND sequence >= ?', topic, sequence);
      sql.exec('DELETE FROM skips WHERE topic = ? AND sequence >= ?', topic, sequence);
      sql.exec('DELETE FROM skipped_holds WHERE topic = ? AND first >= ?', topic, sequence);
      sql.exec('UPDATE skipped_holds SET last = ? WHERE topic = ? AND last >= ?', sequence - 1, topic, sequence);
    },
    decided: (topic: string, sequence: number) =>
      first(
        sql
          .exec<{ filter: string | null }>(
            'SELECT filter FROM history WHERE topic = ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1',
            topic,
            sequence,
          )
          .toArray(),
      ),
    /** What was decided last holds from here on, if it did not before. */
    decideAgain: (topic: string, sequence: number) => {
      const [last] = sql
        .exec<{ sequence: number; filter: string | null }>(
          'SELECT sequence, filter FROM history WHERE topic = ? AND sequence > ? ORDER BY sequence DESC LIMIT 1',
          topic,
          sequence,
        )
        .toArray();
      if (last === undefined) return;
      sql.exec('DELETE FROM history WHERE topic = ? AND sequence >= ?', topic, sequence);
      sql.exec('INSERT INTO history (topic, sequence, filter) VALUES (?, ?, ?)', topic, sequence, last.filter);
    },
    /** From where on something else was decided than for this sequence; null: nothing was. */
    decidedNext: (topic: string, sequence: number) =>
      sql
        .exec<{ sequence: number }>(
          'SELECT sequence FROM history WHERE topic = ? AND sequence > ? ORDER BY sequence LIMIT 1',
          topic,
          sequence,
        )
        .toArray()[0]?.sequence ?? null,
    isSkipped: (topic: string, sequence: number, key: string | null) =>
      sql
        .exec(
          `SELECT 1 AS one FROM skips WHERE topic = ? AND sequence = ?
           UNION ALL SELECT 1 FROM skipped_holds WHERE topic = ? AND key = ? AND ? BETWEEN first AND last LIMIT 1`,
          topic,
          sequence,
          topic,
          key,
          sequence,
        )
        .toArray().length > 0,
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
      outbox.changed(
        sql.exec(
          'INSERT OR REPLACE INTO detachments (attachment, topic, due) VALUES (?, ?, ?)',
          attachment,
          topic,
          due,
        ),
      ),
    deleteDetachment: (attachment: string) =>
      outbox.changed(sql.exec('DELETE FROM detachments WHERE attachment = ?', attachment)),
    firstDetachment: () =>
      first(
        sql
          .exec<{ attachment: string; topic: string; due: number }>('SELECT * FROM detachments ORDER BY due LIMIT 1')
          .toArray(),
      ),
    addJob: (id: string, job: string) =>
      outbox.changed(sql.exec("INSERT OR IGNORE INTO jobs (id, job, after_id) VALUES (?, ?, '')", id, job)),
    job: () =>
      first(
        sql.exec<{ id: string; job: string; after_id: string }>('SELECT * FROM jobs ORDER BY id LIMIT 1').toArray(),
      ),
    advanceJob: (id: string, afterId: string) =>
      outbox.changed(sql.exec('UPDATE jobs SET after_id = ? WHERE id = ?', afterId, id)),
    deleteJob: (id: string) => outbox.changed(sql.exec('DELETE FROM jobs WHERE id = ?', id)),

    // Notices
    addNotice: (row: Omit<NoticeRow, 'position'>) => outbox.changed(sql.exec(...insertion('INSERT', 'notices', row))),
    hasNotices: outbox.remembered(() => sql.exec('SELECT 1 AS one FROM notices LIMIT 1').toArray().length > 0),
    notices: (limit: number) => sql.exec<NoticeRow>(`SELECT * FROM notices ORDER BY position LIMIT ${limit}`).toArray(),
    /** The one that is still counting. */
    openNotice: () => first(sql.exec<NoticeRow>('SELECT * FROM notices WHERE open = 1').toArray()),
    /** How many wait of a type; no more than `limit` are counted. */
    countNotices: (type: string, limit: number) =>
      sql.exec(`SELECT 1 AS one FROM notices WHERE type = ? LIMIT ${limit}`, type).toArray().length,
    setNotice: (position: number, columns: Partial<NoticeRow>) => {
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE notices SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE position = ?`,
        ...Object.values(columns),
        position,
      );
    },
    deleteNotices: (through: number) => outbox.changed(sql.exec('DELETE FROM notices WHERE position <= ?', through)),

    /** Everything of a deleted subscription, but the letters, which outlive it. */
    clear: () => {
      memories.forget();
      for (const table of TABLES_OF_ONE) sql.exec(`DELETE FROM ${table}`);
      sql.exec('UPDATE letters SET lane = NULL');
    },
  };
}
