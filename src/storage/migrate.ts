import type { ObjectStorage } from '../platform.ts';

/** One step of a Durable Object's SQLite schema. Steps are numbered from 1 by their place; a released one never changes. */
export interface Migration {
  name: string;
  sql: string;
  /** What can't be said in SQL, in the same transaction. */
  carry?: (storage: ObjectStorage) => void;
}

/**
 * Brings an object's schema up to date, in the object's start: each step and its record in one transaction, so a crash
 * leaves whole steps only.
 *
 * @throws if the stored schema is newer than this code: an old deployment must not write to it.
 */
export function migrate(storage: ObjectStorage, migrations: readonly Migration[]): void {
  storage.sql.exec('CREATE TABLE IF NOT EXISTS _migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)');
  const stored = storage.sql
    .exec<{ number: number }>('SELECT coalesce(max(number), 0) AS number FROM _migrations')
    .one().number;
  if (stored > migrations.length) {
    throw new Error(
      `The stored schema is at migration ${stored}, this code knows ${migrations.length}: deploy the newer code again.`,
    );
  }
  migrations.slice(stored).forEach((migration, index) => {
    storage.transactionSync(() => {
      storage.sql.exec(migration.sql);
      migration.carry?.(storage);
      storage.sql.exec('INSERT INTO _migrations (number, name) VALUES (?, ?)', stored + index + 1, migration.name);
    });
  });
}
