import type { ObjectStorage, SqlRow } from '../platform.ts';
import { SQL_JSON_CHARS_MAX } from './limits.ts';

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
  dedup_current: number;
  dedup_since: number;
};

/** A segment without its body. */
export type SegmentRow = { first: number; count: number; recorded_at: number; bytes: number; bytes_before: number };

export type FullSegmentRow = { first: number; count: number; recorded_at: number; bytes: number; body: string };

export type IdentityRow = { identity: string; content: string; sequence: number; recorded_at: number };

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

/** One of the two tables of identities. */
export type Generation = 0 | 1;

const SEGMENT = 'first, count, recorded_at, bytes, bytes_before';
const FULL_SEGMENT = 'first, count, recorded_at, bytes, body';
const SUBSCRIBER = 'name, attachment, exact, start, low, ticket, next, types, owed';
const IDENTITIES = ['identities_0', 'identities_1'] as const;

export function statements(storage: ObjectStorage) {
  const { sql } = storage;
  const all = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row[] =>
    sql.exec<Row>(query, ...bindings).toArray();
  const first = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row | null =>
    all<Row>(query, ...bindings)[0] ?? null;

  return {
    // The topic
    meta: (): MetaRow => sql.exec<MetaRow>('SELECT * FROM meta').one(),
    setMeta: (columns: Partial<MetaRow>): void => {
      const names = Object.keys(columns);
      sql.exec(`UPDATE meta SET ${names.map((name) => `${name} = ?`).join(', ')}`, ...Object.values(columns));
    },
    count: (counter: string): void => {
      sql.exec(
        'INSERT INTO counters (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1',
        counter,
      );
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
        `SELECT ${SEGMENT} FROM segments WHERE first BETWEEN ? AND ? ORDER BY first ${order === 'asc' ? 'ASC' : 'DESC'} LIMIT ?`,
        from,
        to,
        limit,
      ),
    /** Whole segments that begin from `from` to `to`, ascending: all of them, so the caller bounds the range. */
    fullSegments: (from: number, to: number) =>
      all<FullSegmentRow>(`SELECT ${FULL_SEGMENT} FROM segments WHERE first BETWEEN ? AND ? ORDER BY first`, from, to),
    addSegment: (segment: SegmentRow & { body: string }): void => {
      sql.exec(
        'INSERT INTO segments (first, count, recorded_at, bytes, bytes_before, body) VALUES (?, ?, ?, ?, ?, ?)',
        segment.first,
        segment.count,
        segment.recorded_at,
        segment.bytes,
        segment.bytes_before,
        segment.body,
      );
    },
    deleteSegments: (from: number, to: number): void => {
      sql.exec('DELETE FROM segments WHERE first BETWEEN ? AND ?', from, to);
    },

    // Keys
    /** The keys of events whose sequences go on from `first` without gaps; null: no key. */
    addKeys: (first: number, keys: (string | null)[]): void => {
      const [only = null] = keys;
      if (keys.length === 1) {
        if (only !== null) sql.exec('INSERT INTO keys (key, sequence) VALUES (?, ?)', only, first);
        return;
      }
      const insert = `INSERT INTO keys (key, sequence)
        SELECT value, ?2 + key FROM json_each(?1) WHERE value IS NOT NULL`;
      for (const { json, start } of jsonChunks(keys)) sql.exec(insert, json, first + start);
    },
    deleteKeys: (entries: [key: string, sequence: number][]): void => {
      for (const { json } of jsonChunks(entries)) {
        sql.exec('DELETE FROM keys WHERE (key, sequence) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))', json);
      }
    },

    // Identities; hexadecimal outside, bytes inside
    findIdentities: (identities: string[]): IdentityRow[] => {
      const columns = 'hex(d.identity) AS identity, hex(d.content) AS content, d.sequence, d.recorded_at';
      const [only] = identities;
      if (only !== undefined && identities.length === 1) {
        const query = IDENTITIES.map((table) => `SELECT ${columns} FROM ${table} d WHERE d.identity = unhex(?)`);
        return all<IdentityRow>(query.join(' UNION ALL '), only, only);
      }
      const query = IDENTITIES.map(
        (table) => `SELECT ${columns} FROM json_each(?1) j CROSS JOIN ${table} d ON d.identity = unhex(j.value)`,
      );
      return jsonChunks(identities).flatMap(({ json }) => all<IdentityRow>(query.join(' UNION ALL '), json));
    },
    /** Those of events whose sequences go on from `first` without gaps: identity and content, run together. */
    addIdentities: (generation: Generation, first: number, pairs: string[], recordedAt: number): void => {
      const values = 'unhex(substr(value, 1, 32)), unhex(substr(value, 33))';
      const insert = `INSERT OR REPLACE INTO ${IDENTITIES[generation]} (identity, content, sequence, recorded_at)`;
      const [only] = pairs;
      if (only !== undefined && pairs.length === 1) {
        sql.exec(`${insert} SELECT ${values}, ?2, ?3 FROM (SELECT ?1 AS value)`, only, first, recordedAt);
        return;
      }
      for (const { json, start } of jsonChunks(pairs)) {
        sql.exec(`${insert} SELECT ${values}, ?2 + key, ?3 FROM json_each(?1)`, json, first + start, recordedAt);
      }
    },
    /** Forgets a whole generation. Dropping a table writes no row; deleting its rows would write each. */
    clearIdentities: (generation: Generation): void => {
      const table = IDENTITIES[generation];
      const { sql: ddl } = sql.exec<{ sql: string }>('SELECT sql FROM sqlite_schema WHERE name = ?', table).one();
      sql.exec(`DROP TABLE ${table}`);
      sql.exec(ddl);
    },

    // Subscribers
    subscriber: (name: string) => first<SubscriberRow>(`SELECT ${SUBSCRIBER} FROM subscribers WHERE name = ?`, name),
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
      sql.exec('UPDATE subscribers SET exact = ? WHERE name = ?', exact, name);
    },
    park: (
      name: string,
      park: { ticket: number; next: number; types: string; owed: number | null; low: number },
    ): void => {
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
      sql.exec('UPDATE subscribers SET ticket = NULL, next = NULL, types = NULL, owed = NULL WHERE name = ?', name);
    },
    setOwed: (entries: [name: string, owed: number | null][]): void => {
      const [only] = entries;
      if (only !== undefined && entries.length === 1) {
        const [name, owed] = only;
        sql.exec('UPDATE subscribers SET owed = ? WHERE name = ?', owed, name);
        return;
      }
      for (const { json } of jsonChunks(entries)) {
        sql.exec(
          `UPDATE subscribers SET owed = j.value ->> 1 FROM json_each(?) j WHERE subscribers.name = j.value ->> 0`,
          json,
        );
      }
    },
    deleteSubscriber: (name: string): void => {
      sql.exec('DELETE FROM subscribers WHERE name = ?', name);
    },
  };
}

export type Statements = ReturnType<typeof statements>;

/** A JSON array of some of the values: those from the index `start` on. */
interface Chunk {
  json: string;
  start: number;
}

/** The values as JSON arrays, in order, each short enough to be one argument. */
function jsonChunks(values: unknown[]): Chunk[] {
  if (values.length === 0) return [];
  const whole = JSON.stringify(values);
  if (whole.length <= SQL_JSON_CHARS_MAX) return [{ json: whole, start: 0 }];
  const chunks: Chunk[] = [];
  let parts: string[] = [];
  let start = 0;
  let chars = 0;
  for (const [index, value] of values.entries()) {
    const json = JSON.stringify(value);
    if (parts.length > 0 && chars + json.length > SQL_JSON_CHARS_MAX) {
      chunks.push({ json: `[${parts.join(',')}]`, start });
      parts = [];
      start = index;
      chars = 0;
    }
    parts.push(json);
    chars += json.length + 1;
  }
  chunks.push({ json: `[${parts.join(',')}]`, start });
  return chunks;
}
