import type { SqlRow, SqlValue } from '../platform.ts';

/** Counts the changes of what is owed to D1 and to the logs, so that nobody has to look for it in every transaction. */
export class Outbox {
  version = 0;

  /** Passes the outcome of a statement on that changed something owed. */
  changed<T>(outcome: T): T {
    this.version += 1;
    return outcome;
  }
}

/** A statement that writes a row whose fields have the columns' names, and its values. */
export function insertion(verb: 'INSERT' | 'INSERT OR REPLACE', table: string, row: SqlRow): [string, ...SqlValue[]] {
  const columns = Object.keys(row);
  return [
    `${verb} INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    ...Object.values(row),
  ];
}
