import type { ObjectStorage } from '../platform.ts';
import { jsonChunks } from './json-chunks.ts';
import type { Posting } from './key-index.ts';
import { POSTING_SEQUENCES_MAX, POSTINGS_AT_ONCE } from './limits.ts';
import { lookups } from './lookups.ts';

/** Statements on the sequences of keys. */
export function postingStatements(storage: ObjectStorage) {
  const { sql } = storage;
  const { all, first } = lookups(storage);
  return {
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
  };
}

/** What goes into a row each. */
function rowsOf(key: string, sequences: readonly number[]): [key: string, sequences: number[]][] {
  return Array.from({ length: Math.ceil(sequences.length / POSTING_SEQUENCES_MAX) }, (_, row) => [
    key,
    sequences.slice(row * POSTING_SEQUENCES_MAX, (row + 1) * POSTING_SEQUENCES_MAX),
  ]);
}
