import {
  applicationOf,
  ONCE_TABLE_SQL,
  type OnceEvent,
  type OnceOptions,
  RECORD_IF_NEW,
  SECONDS_A_DAY,
  TRIM,
  TRIMMED_AN_EVENT,
} from './once-table.ts';

/** Of a Durable Object's storage what is used here; `ctx.storage` of a class with SQLite fits. */
export interface OnceStorage {
  sql: { exec(sql: string, ...values: unknown[]): { readonly rowsWritten: number } };
  transactionSync<T>(work: () => T): T;
}

/** A promise is not taken: what comes after the first `await` is outside the transaction. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/**
 * Runs `work` unless it ran for this event before, in one transaction of the object's SQLite with the row that says so. What it
 * throws undoes all, and is thrown on; the next delivery tries again.
 *
 * @param work synchronous: reads and writes the object's storage.
 * @throws TypeError if it gives a promise all the same; nothing is kept of what it did before its first `await`.
 */
export function onceInObject<T>(
  storage: OnceStorage,
  event: OnceEvent,
  work: () => Synchronous<T>,
  options: OnceOptions = {},
): { applied: true; value: T } | { applied: false } {
  const { keepDays } = options;
  const key = `[${applicationOf(event, options)}]`;
  return storage.transactionSync(() => {
    for (const sql of ONCE_TABLE_SQL) storage.sql.exec(sql);
    if (storage.sql.exec(RECORD_IF_NEW, key).rowsWritten === 0) return { applied: false };
    const value = work();
    if (isPromise(value))
      throw new TypeError('onceInObject takes a function that is synchronous; this one gave a promise.');
    if (keepDays !== undefined) storage.sql.exec(TRIM, keepDays * SECONDS_A_DAY, TRIMMED_AN_EVENT);
    return { applied: true, value };
  });
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
