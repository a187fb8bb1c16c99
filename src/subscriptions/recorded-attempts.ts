import type { RequestDifference } from './protocol-claims.ts';
import type { AttemptView } from './protocol-views.ts';

/*
 * Attempts in a row of theirs: a column each of what is known of them, and where all have the same in it, as they mostly have in
 * most columns, that alone. A fifth to a tenth of the bytes of an object each.
 */

/** What is kept of an attempt. `request`: where its request differed from that of the row; null: none was sent. */
export interface RecordedAttempt extends Omit<AttemptView, 'topic' | 'replay' | 'request'> {
  request: RequestDifference | null;
}

/** One for each attempt, or the same for all. */
type Column<Value> = Value | Value[];

type Columns = { sequence: number[] } & {
  [Name in Exclude<keyof RecordedAttempt, 'sequence'>]: Column<RecordedAttempt[Name]>;
};

/** What {@link attemptsIn} reads. */
export function attemptsText(attempts: readonly RecordedAttempt[]): string {
  const columns: Columns = {
    sequence: attempts.map(({ sequence }) => sequence),
    attempt: columnOf(attempts, ({ attempt }) => attempt),
    at: columnOf(attempts, ({ at }) => at),
    status: columnOf(attempts, ({ status }) => status),
    outcome: columnOf(attempts, ({ outcome }) => outcome),
    latencyMs: columnOf(attempts, ({ latencyMs }) => latencyMs),
    response: columnOf(attempts, ({ response }) => response),
    error: columnOf(attempts, ({ error }) => error),
    request: columnOf(attempts, ({ request }) => request),
  };
  return JSON.stringify(columns);
}

/** In the order in which they were recorded. @throws if it is not {@link attemptsText}'s */
export function attemptsIn(text: string): RecordedAttempt[] {
  const columns: Columns = JSON.parse(text);
  return columns.sequence.map((sequence, index) => ({
    sequence,
    attempt: valueIn(columns.attempt, index),
    at: valueIn(columns.at, index),
    status: valueIn(columns.status, index),
    outcome: valueIn(columns.outcome, index),
    latencyMs: valueIn(columns.latencyMs, index),
    response: valueIn(columns.response, index),
    error: valueIn(columns.error, index),
    request: valueIn(columns.request, index),
  }));
}

function columnOf<Value>(attempts: readonly RecordedAttempt[], of: (attempt: RecordedAttempt) => Value): Column<Value> {
  const values = attempts.map(of);
  const [first] = values;
  return first !== undefined && values.every((value) => value === first) ? first : values;
}

function valueIn<Value>(column: Column<Value>, index: number): Value {
  if (!Array.isArray(column)) return column;
  const value: Value | undefined = column[index];
  if (value === undefined) throw new Error('The columns of attempts differ in length.');
  return value;
}
