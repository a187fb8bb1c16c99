import type { Delivery } from './delivery.ts';
import { zeroOrMore } from './numbers.ts';

/** The table of what was applied: a row for each event whose effects happened, in a consumer's own database. */

/** What tells one event from another; a {@link Delivery} fits. */
export type OnceEvent = Pick<Delivery, 'topic' | 'sequence' | 'replay'>;

export interface OnceOptions {
  /** Whose effects these are, where several consumers, or the events of several hubs, share a database. '' by default. */
  scope?: string;
  /**
   * What a replay does with events whose effects happened: `skip`, the default, nothing; `apply`: once more for each replay,
   * whoever starts it and however often it delivers them.
   */
  replay?: 'skip' | 'apply';
  /**
   * How long it is remembered what was applied, days; for ever by default. An event that comes again after that, by a late
   * redrive, a replay or a seek, is applied again: longer than any of them reaches back.
   */
  keepDays?: number;
}

/** One statement each. */
export const ONCE_TABLE_SQL = [
  `CREATE TABLE IF NOT EXISTS millrace_once (
  scope TEXT NOT NULL,
  topic TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  replay TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (scope, topic, sequence, replay)
) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS millrace_once_by_age ON millrace_once (applied_at)',
] as const;

/** The migration that makes the table: for a file of `wrangler d1 migrations`. */
export const onceMigration: string = ONCE_TABLE_SQL.map((sql) => `${sql};\n`).join('');

export const SECONDS_A_DAY = 86_400;
/** Old rows that go with each new one: two, so that they get fewer wherever there are too many. */
export const TRIMMED_AN_EVENT = 2;

export const RECORD = `INSERT INTO millrace_once (scope, topic, sequence, replay, applied_at)
  SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, unixepoch() FROM json_each(?1)`;

/** For an object, whose transaction can look at how many rows were written. */
export const RECORD_IF_NEW = `${RECORD} WHERE true ON CONFLICT DO NOTHING`;

export const APPLIED = `SELECT scope, topic, sequence, replay FROM millrace_once
  WHERE (scope, topic, sequence, replay) IN (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1))`;

export const TRIM = `DELETE FROM millrace_once WHERE (scope, topic, sequence, replay) IN (
  SELECT scope, topic, sequence, replay FROM millrace_once WHERE applied_at < unixepoch() - ?1 ORDER BY applied_at LIMIT ?2)`;

/** What an event's row says, as JSON. @throws TypeError for what is no event's */
export function applicationOf({ topic, sequence, replay }: OnceEvent, options: OnceOptions): string {
  if (typeof topic !== 'string' || !Number.isSafeInteger(sequence)) {
    throw new TypeError('once needs the topic and the sequence of a delivery.');
  }
  const { scope = '', keepDays = 0 } = options;
  // What was applied a moment ago would be forgotten, and applied again.
  zeroOrMore('keepDays', keepDays);
  return JSON.stringify([scope, topic, sequence, options.replay === 'apply' ? (replay ?? '') : '']);
}

/** {@link applicationOf} of a row of the table. */
export function rowOf(row: unknown): string {
  const { scope, topic, sequence, replay } = row as Record<'scope' | 'topic' | 'sequence' | 'replay', unknown>;
  return JSON.stringify([scope, topic, sequence, replay]);
}
