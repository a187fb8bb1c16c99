import type { Migration } from '../storage/migrate.ts';
import { carryIdentitiesOver } from './carry-identities.ts';

/** The log's schema, step by step. A released step never changes. */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: 'start',
    sql: `
      -- One row. A topic exists while created_at is set.
      CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        created_at INTEGER,
        description TEXT NOT NULL DEFAULT '',
        window_ms INTEGER NOT NULL DEFAULT 0,
        -- Counts the changes of the configuration.
        version INTEGER NOT NULL DEFAULT 0,
        -- Counts how often the topic was made and deleted, and which of these states the catalogue has been told.
        incarnation INTEGER NOT NULL DEFAULT 0,
        catalogued INTEGER NOT NULL DEFAULT 0,
        -- Everything up to this sequence was deleted with the topic; segments up to it wait to be cleared away.
        removed_through INTEGER NOT NULL DEFAULT 0,
        removed_recorded_at INTEGER NOT NULL DEFAULT 0,
        -- Which of the two tables of identities takes new ones, and since when.
        dedup_current INTEGER NOT NULL DEFAULT 0,
        dedup_since INTEGER NOT NULL DEFAULT 0
      );
      INSERT INTO meta (id) VALUES (0);

      -- One row a commit: the events' JSON texts, a line each. bytes_before is the running total before it.
      CREATE TABLE segments (
        first INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        bytes_before INTEGER NOT NULL,
        body TEXT NOT NULL
      );

      -- What ordering by key reads by.
      CREATE TABLE keys (
        key TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (key, sequence)
      ) WITHOUT ROWID;

      -- Source and id of each event of the deduplication window, in two generations, so that forgetting one costs no row.
      CREATE TABLE identities_0 (
        identity BLOB PRIMARY KEY,
        content BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE identities_1 (
        identity BLOB PRIMARY KEY,
        content BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL
      ) WITHOUT ROWID;

      -- One row a subscription that has the topic. Parked while ticket is set; owed is then the first event since the park
      -- that matches, or null.
      CREATE TABLE subscribers (
        name TEXT PRIMARY KEY,
        attachment TEXT NOT NULL,
        exact INTEGER NOT NULL,
        start INTEGER NOT NULL,
        low INTEGER NOT NULL,
        ticket INTEGER,
        next INTEGER,
        types TEXT,
        owed INTEGER
      ) WITHOUT ROWID;

      -- What went wrong and was healed, counted.
      CREATE TABLE counters (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
      ) WITHOUT ROWID;
    `,
  },
  {
    name: 'runs',
    sql: `
      -- The same segments, and before the body, so that they are read without it: the events' identities and contents, 16
      -- bytes each (null in a segment from before this step), and their keys, a JSON array with nulls (null: none has one).
      CREATE TABLE segments_2 (
        first INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        bytes_before INTEGER NOT NULL,
        hashes BLOB,
        keys TEXT,
        body TEXT NOT NULL
      );
      INSERT INTO segments_2 SELECT first, count, recorded_at, bytes, bytes_before, NULL, NULL, body FROM segments;
      DROP TABLE segments;
      ALTER TABLE segments_2 RENAME TO segments;

      -- Up to here events are in the runs, and in keys; those behind it wait, in hashes and keys of their segments.
      ALTER TABLE meta ADD COLUMN sealed_through INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE meta ADD COLUMN keyed_through INTEGER NOT NULL DEFAULT 0;
      UPDATE meta SET sealed_through = coalesce((SELECT max(first + count - 1) FROM segments), removed_through);
      UPDATE meta SET keyed_through = sealed_through;

      ALTER TABLE meta DROP COLUMN dedup_current;
      ALTER TABLE meta DROP COLUMN dedup_since;

      -- Identities in sorted pages (identity-runs.ts), and what they are sorted by beside themselves (identity-pages.ts).
      ALTER TABLE meta ADD COLUMN index_secret INTEGER NOT NULL DEFAULT 0;
      UPDATE meta SET index_secret = random() & 281474976710655;
      -- newest_at: when the last of a run was recorded.
      CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        level INTEGER NOT NULL,
        newest_at INTEGER NOT NULL,
        merges_into INTEGER,
        merged INTEGER
      );
      CREATE TABLE run_pages (
        id INTEGER PRIMARY KEY,
        filter BLOB NOT NULL,
        entries BLOB NOT NULL
      );
    `,
    carry: carryIdentitiesOver,
  },
  {
    name: 'told',
    sql: `
      -- Events for the hub's own topic, in order, until it has them.
      CREATE TABLE notices (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        at INTEGER NOT NULL,
        data TEXT NOT NULL
      );
      -- 1: it was told that the topic fills up.
      ALTER TABLE meta ADD COLUMN filling_told INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    name: 'postings',
    sql: `
      -- Which events have a key: rows of some of its sequences, ascending, as a JSON array, each row before the next.
      CREATE TABLE postings (
        key TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        sequences TEXT NOT NULL,
        PRIMARY KEY (key, first)
      ) WITHOUT ROWID;
      -- What lies behind keyed_through is still in the segments; what is to be removed is in rows of its own.
      INSERT INTO postings (key, first, last, sequences)
        SELECT key, min(sequence), max(sequence), json_group_array(sequence ORDER BY sequence) FROM (
          SELECT key, sequence, sequence > removed_through AS present,
            (row_number() OVER (PARTITION BY key, sequence > removed_through ORDER BY sequence) - 1) / 256 AS part
          FROM keys, meta WHERE sequence <= keyed_through
        ) GROUP BY key, present, part;
      DROP TABLE keys;
    `,
  },
  {
    name: 'marks',
    sql: `
      -- Up to here a hash of the content stands in the place of an event's mark.
      ALTER TABLE meta ADD COLUMN unmarked_through INTEGER NOT NULL DEFAULT 0;
      UPDATE meta SET unmarked_through = (SELECT coalesce(max(first + count - 1), 0) FROM segments);
    `,
  },
];
