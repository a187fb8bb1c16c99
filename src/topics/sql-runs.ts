import type { ObjectStorage } from '../platform.ts';
import { RUN_PAGES_CLEARED } from './limits.ts';
import { lookups } from './lookups.ts';
import type { RunRow } from './rows.ts';

/** Statements on the runs of identities and their pages. */
export function runStatements(storage: ObjectStorage) {
  const { sql } = storage;
  const { all, first } = lookups(storage);
  return {
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
  };
}
