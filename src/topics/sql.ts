import type { ObjectStorage } from '../platform.ts';
import { lookups } from './lookups.ts';
import type { MetaRow, NoticeRow } from './rows.ts';
import { postingStatements } from './sql-postings.ts';
import { runStatements } from './sql-runs.ts';
import { segmentStatements } from './sql-segments.ts';
import { subscriberStatements } from './sql-subscribers.ts';

/** Every statement on a log's tables (migrations.ts): here those on the topic itself, its counters and what it has to tell. */
export function statements(storage: ObjectStorage) {
  const { sql } = storage;
  const { all } = lookups(storage);
  return {
    meta: (): MetaRow => sql.exec<MetaRow>('SELECT * FROM meta').one(),
    setMeta: (columns: Partial<MetaRow>): void => {
      const names = Object.keys(columns);
      sql.exec(`UPDATE meta SET ${names.map((name) => `${name} = ?`).join(', ')}`, ...Object.values(columns));
    },
    count: (counter: string, by = 1): void => {
      sql.exec(
        'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
        counter,
        by,
      );
    },
    counters: (): Map<string, number> =>
      new Map(
        all<{ name: string; value: number }>('SELECT name, value FROM counters').map(({ name, value }) => [
          name,
          value,
        ]),
      ),

    addNotice: ({ id, type, at, data }: Omit<NoticeRow, 'position'>): void => {
      sql.exec('INSERT INTO notices (id, type, at, data) VALUES (?, ?, ?, ?)', id, type, at, data);
    },
    notices: (limit: number) => all<NoticeRow>('SELECT * FROM notices ORDER BY position LIMIT ?', limit),
    deleteNotices: (through: number): void => {
      sql.exec('DELETE FROM notices WHERE position <= ?', through);
    },

    ...segmentStatements(storage),
    ...postingStatements(storage),
    ...runStatements(storage),
    ...subscriberStatements(storage),
  };
}

export type Statements = ReturnType<typeof statements>;
