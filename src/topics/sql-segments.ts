import type { ObjectStorage } from '../platform.ts';
import { KEY_SEGMENTS_AT_ONCE } from './limits.ts';
import { lookups } from './lookups.ts';
import type { FullSegmentRow, NewSegmentRow, SegmentHashesRow, SegmentKeysRow, SegmentRow } from './rows.ts';

const SEGMENT = 'first, count, recorded_at, bytes, bytes_before';
const FULL_SEGMENT = 'first, count, recorded_at, bytes, body';

/** Statements on segments. */
export function segmentStatements(storage: ObjectStorage) {
  const { sql } = storage;
  const { all, first } = lookups(storage);
  return {
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
  };
}
