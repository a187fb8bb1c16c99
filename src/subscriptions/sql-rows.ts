import type { SqlRow, SqlValue } from '../platform.ts';

/** A statement that writes a row whose fields have the columns' names, and its values. */
export function insertion(verb: 'INSERT' | 'INSERT OR REPLACE', table: string, row: SqlRow): [string, ...SqlValue[]] {
  const columns = Object.keys(row);
  return [
    `${verb} INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    ...Object.values(row),
  ];
}
