import type { ObjectStorage, SqlRow } from '../platform.ts';

/** What reads rows, all of them at once: a cursor left open in the middle locks the tables against being dropped. */
export function lookups({ sql }: ObjectStorage) {
  const all = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row[] =>
    sql.exec<Row>(query, ...bindings).toArray();
  const first = <Row extends SqlRow>(query: string, ...bindings: (string | number | null)[]): Row | null =>
    all<Row>(query, ...bindings)[0] ?? null;
  return { all, first };
}
