import type { ObjectStorage, SqlRow } from '../platform.ts';
import { Memory } from '../storage/memory.ts';
import type { Posting } from './key-index.ts';
import {
  KEY_SEGMENTS_AT_ONCE,
  POSTING_SEQUENCES_MAX,
  POSTINGS_AT_ONCE,
  RUN_PAGES_CLEARED,
  SQL_JSON_CHARS_MAX,
} from './limits.ts';

/**
 * Every statement on a log's tables (migrations.ts). Each reads all its rows at once: a cursor left open in the middle locks
 * the tables against being dropped.
 */

export type MetaRow = {
  created_at: number | null;
  description: string;
  window_ms: number;
  version: number;
  incarnation: number;
  catalogued: number;
  removed_through: number;
  removed_recorded_at: number;
  sealed_through: number;
  keyed_through: number;
  index_secret: number;
  filling_told: number;
  unmarked_through: number;
};

export type NoticeRow = { position: number; id: string; type: string; at: number; data: string };

/** A segment without its body. */
export type SegmentRow = { first: number; count: number; recorded_at: number; bytes: number; bytes_before: number };

export type FullSegmentRow = { first: number; count: number; recorded_at: number; bytes: number; body: string };

/** A segment whole: `hashes` and `keys` of its events as `NewEvents` has them. */
export type NewSegmentRow = SegmentRow & { body: string; hashes: ArrayBuffer; keys: string | null };

/** The hashes of a segment's events. */
export type SegmentHashesRow = { first: number; count: number; recorded_at: number; hashes: ArrayBuffer };

/** The keys of a segment's events as a JSON array, in which null is no key. */
export type SegmentKeysRow = { first: number; count: number; keys: string };

/** `merges_into`: the run that this one is being merged into. `merged`: while it is being made, the pages of its sources in it. */
export type RunRow = {
  id: number;
  level: number;
  newest_at: number;
  merges_into: number | null;
  merged: number | null;
};

export type SubscriberRow = {
  name: string;
  attachment: string;
  exact: number;
  start: number;
  low: number;
  ticket: number | null;
  next: number | null;
  types: string | null;
  owed: number | null;
};

export type ParkedRow = {
  name: string;
  attachment: string;
  low: number;
  ticket: number;
  next: number;
  types: string;
  owed: number | null;
};

const SEGMENT = 'first, count, recorded_at, bytes, bytes_before';
const FULL_SEGMENT = 'first, count, recorded_at, bytes, body';
const SUBSCRIBER = 'name, attachment, exact, start, low, ticket, next, types, owed';

export function statements(storage: ObjectStorage) {
  const { sql } = storage;
  const all = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row[] =>
    sql.exec<Row>(query, ...bindings).toArray();
  const first = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row | null =>
    all<Row>(query, ...bindings)[0] ?? null;
  /** Each page that a subscription reads asks for its row. */
  const subscribers = new Memory();

  return {
    /** What is remembered of the tables may be wrong: a transaction was rolled back. */
    forget: (): void => subscribers.changed(undefined),

    // The topic
    meta: (): MetaRow => sql.exec<MetaRow>('SELECT * FROM meta').one(),
    setMeta: (columns: Partial<MetaRow>): void => {
      const names = Object.keys(columns);
      sql.exec(`UPDATE meta SET ${names.map((name) => `${name} = ?`).join(', ')}`, ...Object.values(columns));
    },
    count: (counter: string, by = 1): void => {
      sql.exec(
        'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
        counter,
        by,
      );
    },
    counters: (): Map<string, number> =>
      new Map(
        all<{ name: string; value: number }>('SELECT name, value FROM counters').map(({ name, value }) => [
          name,
          value,
        ]),
      ),

    // Notices
    addNotice: ({ id, type, at, data }: Omit<NoticeRow, 'position'>): void => {
      sql.exec('INSERT INTO notices (id, type, at, data) VALUES (?, ?, ?, ?)', id, type, at, data);
    },
    notices: (limit: number) => all<NoticeRow>('SELECT * FROM notices ORDER BY position LIMIT ?', limit),
    deleteNotices: (through: number): void => {
      sql.exec('DELETE FROM notices WHERE position <= ?', through);
    },

    // Segments
    lastSegment: () => first<SegmentRow>(`SELECT ${SEGMENT} FROM segments ORDER BY first DESC LIMIT 1`),
    firstSegment: () => first<SegmentRow>(`SELECT ${SEGMENT} FROM segments ORDER BY first LIMIT 1`),
    /** The segment that holds a sequence, or the last one before it. */
    segmentAt: (sequence: number) =>
      first<SegmentRow>(`SELECT ${SEGMENT} FROM segments WHERE first <= ? ORDER BY first DESC LIMIT 1`, sequence),
    body: (segment: number): string =>
      sql.exec<{ body: string }>('SELECT body FROM segments WHERE first = ?', segment).one().body,
    /** Segments that begin from `from` to `to`, without their bodies, in ascending or descending order. */
    segments: (from: number, to: number, order: 'asc' | 'desc', limit: number) =>
      all<SegmentRow>(
        `SELECT ${SEGMENT} FROM segments WHERE first BETWEEN ? AND ? ORDER BY first ${order === 'asc' ? 'ASC' : 'DESC'} LIMIT ${limit}`,
        from,
        to,
      ),
    /** Whole segments that begin from `from` to `to`, ascending: all of them, so the caller bounds the range. */
    fullSegments: (from: number, to: number) =>
      all<FullSegmentRow>(`SELECT ${FULL_SEGMENT} FROM segments WHERE first BETWEEN ? AND ? ORDER BY first`, from, to),
    addSegment: (segment: NewSegmentRow): void => {
      sql.exec(
        `INSERT INTO segments (first, count, recorded_at, bytes, bytes_before, body, hashes, keys)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        segment.first,
        segment.count,
        segment.recorded_at,
        segment.bytes,
        segment.bytes_before,
        segment.body,
        segment.hashes,
        segment.keys,
      );
    },
    /** The hashes of the segments behind a sequence: all of them, so the caller bounds how many there are. */
    hashesAfter: (sequence: number) =>
      all<SegmentHashesRow>(
        'SELECT first, count, recorded_at, hashes FROM segments WHERE first > ? AND hashes IS NOT NULL ORDER BY first',
        sequence,
      ),
    /** Of the first segments from behind a sequence up to another those in which an event has a key; [] where none has. */
    keysAfter: (sequence: number, to: number) =>
      all<SegmentKeysRow>(
        `SELECT first, count, keys FROM segments
         WHERE first > ? AND first <= ? AND keys IS NOT NULL ORDER BY first LIMIT ${KEY_SEGMENTS_AT_ONCE}`,
        sequence,
        to,
      ),
    deleteSegments: (from: number, to: number): void => {
      sql.exec('DELETE FROM segments WHERE first BETWEEN ? AND ?', from, to);
    },

    // Postings
    /** Of a key the sequences in a range, as far as the postings have them, ascending. */
    postedSequences: (key: string, from: number, to: number, limit: number): number[] => {
      const found: number[] = [];
      const start = first<{ first: number }>(
        'SELECT first FROM postings WHERE key = ? AND first <= ? ORDER BY first DESC LIMIT 1',
        key,
        from,
      );
      for (let next = start?.first ?? from; ; ) {
        const rows = all<{ first: number; sequences: string }>(
          `SELECT first, sequences FROM postings WHERE key = ? AND first BETWEEN ? AND ? ORDER BY first LIMIT ${POSTINGS_AT_ONCE}`,
          key,
          next,
          to,
        );
        for (const { sequences } of rows) {
          const own: number[] = JSON.parse(sequences);
          found.push(...own.filter((sequence) => sequence >= from && sequence <= to));
        }
        if (rows.length < POSTINGS_AT_ONCE || found.length >= limit) return found.slice(0, limit);
        next = (rows.at(-1)?.first ?? to) + 1;
      }
    },
    /** Sorted, so that fewer pages change. */
    addPostings: (postings: readonly Posting[]): void => {
      const insert = `INSERT INTO postings (key, first, last, sequences)
        SELECT value ->> 0, value ->> '$[1][0]', value ->> '$[1][#-1]', value -> 1 FROM json_each(?) ORDER BY 1, 2`;
      for (const json of jsonChunks(postings.flatMap(({ key, sequences }) => rowsOf(key, sequences))))
        sql.exec(insert, json);
    },
    /** Of the keys of these. */
    deletePostingsBehind: (sequence: number, postings: readonly Posting[]): void => {
      for (const json of jsonChunks(postings.map(({ key }) => key))) {
        sql.exec('DELETE FROM postings WHERE first > ? AND key IN (SELECT value FROM json_each(?))', sequence, json);
      }
    },
    /** Lets go of what is posted of these keys up to a sequence; rows that reach beyond it stay. */
    deletePostings: (keys: readonly string[], to: number): void => {
      for (const json of jsonChunks(keys)) {
        sql.exec(
          'DELETE FROM postings WHERE first <= ? AND last <= ? AND key IN (SELECT value FROM json_each(?))',
          to,
          to,
          json,
        );
      }
    },

    // Runs of identities
    runs: () => all<RunRow>('SELECT id, level, newest_at, merges_into, merged FROM runs ORDER BY id'),
    putRun: (run: RunRow): void => {
      sql.exec(
        'INSERT OR REPLACE INTO runs (id, level, newest_at, merges_into, merged) VALUES (?, ?, ?, ?, ?)',
        run.id,
        run.level,
        run.newest_at,
        run.merges_into,
        run.merged,
      );
    },
    deleteRun: (id: number): void => {
      sql.exec('DELETE FROM runs WHERE id = ?', id);
    },
    addPage: (id: number, filter: ArrayBuffer, entries: ArrayBuffer): void => {
      sql.exec('INSERT INTO run_pages (id, filter, entries) VALUES (?, ?, ?)', id, filter, entries);
    },
    filterOfPage: (id: number): ArrayBuffer | null =>
      first<{ filter: ArrayBuffer }>('SELECT filter FROM run_pages WHERE id = ?', id)?.filter ?? null,
    entriesOfPage: (id: number): ArrayBuffer | null =>
      first<{ entries: ArrayBuffer }>('SELECT entries FROM run_pages WHERE id = ?', id)?.entries ?? null,
    deletePage: (id: number): void => {
      sql.exec('DELETE FROM run_pages WHERE id = ?', id);
    },
    /** Deletes pages from `from` to `to`, as many as there are up to RUN_PAGES_CLEARED; answers how many. */
    deletePages: (from: number, to: number): number =>
      all(
        `DELETE FROM run_pages WHERE id IN
           (SELECT id FROM run_pages WHERE id BETWEEN ? AND ? LIMIT ${RUN_PAGES_CLEARED}) RETURNING id`,
        from,
        to,
      ).length,
    /** Forgets all runs. Dropping a table writes no row; deleting its rows would write each. */
    clearRuns: (): void => {
      for (const table of ['runs', 'run_pages']) {
        const { sql: ddl } = sql.exec<{ sql: string }>('SELECT sql FROM sqlite_schema WHERE name = ?', table).one();
        sql.exec(`DROP TABLE ${table}`);
        sql.exec(ddl);
      }
    },

    // Subscribers
    subscriber: subscribers.remembered((name: string) =>
      first<SubscriberRow>(`SELECT ${SUBSCRIBER} FROM subscribers WHERE name = ?`, name),
    ),
    subscribersAfter: (after: string, limit: number) =>
      all<SubscriberRow>(`SELECT ${SUBSCRIBER} FROM subscribers WHERE name > ? ORDER BY name LIMIT ?`, after, limit),
    parkedAfter: (after: string, limit: number) =>
      all<ParkedRow>(
        `SELECT name, attachment, low, ticket, next, types, owed FROM subscribers
         WHERE name > ? AND ticket IS NOT NULL ORDER BY name LIMIT ?`,
        after,
        limit,
      ),
    exactSubscribers: (limit: number) =>
      all<{ name: string }>('SELECT name FROM subscribers WHERE exact = 1 ORDER BY name LIMIT ?', limit).map(
        (row) => row.name,
      ),
    subscriberCount: (): number => sql.exec<{ count: number }>('SELECT count(*) AS count FROM subscribers').one().count,
    putSubscriber: (row: SubscriberRow): void => {
      subscribers.changed(null);
      sql.exec(
        `INSERT OR REPLACE INTO subscribers (${SUBSCRIBER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        row.name,
        row.attachment,
        row.exact,
        row.start,
        row.low,
        row.ticket,
        row.next,
        row.types,
        row.owed,
      );
    },
    setExact: (name: string, exact: number): void => {
      subscribers.changed(null);
      sql.exec('UPDATE subscribers SET exact = ? WHERE name = ?', exact, name);
    },
    park: (
      name: string,
      park: { ticket: number; next: number; types: string; owed: number | null; low: number },
    ): void => {
      subscribers.changed(null);
      sql.exec(
        'UPDATE subscribers SET ticket = ?, next = ?, types = ?, owed = ?, low = ? WHERE name = ?',
        park.ticket,
        park.next,
        park.types,
        park.owed,
        park.low,
        name,
      );
    },
    clearPark: (name: string): void => {
      subscribers.changed(null);
      sql.exec('UPDATE subscribers SET ticket = NULL, next = NULL, types = NULL, owed = NULL WHERE name = ?', name);
    },
    setOwed: (entries: [name: string, owed: number | null][]): void => {
      subscribers.changed(null);
      const [only] = entries;
      if (only !== undefined && entries.length === 1) {
        const [name, owed] = only;
        sql.exec('UPDATE subscribers SET owed = ? WHERE name = ?', owed, name);
        return;
      }
      for (const json of jsonChunks(entries)) {
        sql.exec(
          `UPDATE subscribers SET owed = j.value ->> 1 FROM json_each(?) j WHERE subscribers.name = j.value ->> 0`,
          json,
        );
      }
    },
    deleteSubscriber: (name: string): void => {
      subscribers.changed(null);
      sql.exec('DELETE FROM subscribers WHERE name = ?', name);
    },
  };
}

export type Statements = ReturnType<typeof statements>;

/** What goes into a row each. */
function rowsOf(key: string, sequences: readonly number[]): [key: string, sequences: number[]][] {
  return Array.from({ length: Math.ceil(sequences.length / POSTING_SEQUENCES_MAX) }, (_, row) => [
    key,
    sequences.slice(row * POSTING_SEQUENCES_MAX, (row + 1) * POSTING_SEQUENCES_MAX),
  ]);
}

/** The values as JSON arrays, in order, each short enough to be one argument. */
function jsonChunks(values: readonly unknown[]): string[] {
  const groups: string[][] = [];
  let size = 0;
  for (const value of values) {
    const json = JSON.stringify(value);
    const group = groups.at(-1);
    if (group === undefined || size + json.length + 1 > SQL_JSON_CHARS_MAX) {
      groups.push([json]);
      size = 0;
    } else {
      group.push(json);
    }
    size += json.length + 1;
  }
  return groups.map((group) => `[${group.join(',')}]`);
}
