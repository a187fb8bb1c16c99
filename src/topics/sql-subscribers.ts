import type { ObjectStorage } from '../platform.ts';
import { Memory } from '../storage/memory.ts';
import { jsonChunks } from './json-chunks.ts';
import { lookups } from './lookups.ts';
import type { ParkedRow, SubscriberRow } from './rows.ts';

const SUBSCRIBER = 'name, attachment, exact, start, low, ticket, next, types, owed';

/** Statements on subscribers. */
export function subscriberStatements(storage: ObjectStorage) {
  const { sql } = storage;
  const { all, first } = lookups(storage);
  /** Each page that a subscription reads asks for its row. */
  const subscribers = new Memory();
  return {
    /** What is remembered of the tables may be wrong: a transaction was rolled back. */
    forget: (): void => subscribers.changed(undefined),
    subscriber: subscribers.remembered((name: string) =>
      first<SubscriberRow>(`SELECT ${SUBSCRIBER} FROM subscribers WHERE name = ?`, name),
    ),
    subscribersAfter: (after: string, limit: number) =>
      all<SubscriberRow>(`SELECT ${SUBSCRIBER} FROM subscribers WHERE name > ? ORDER BY name LIMIT ?`, after, limit),
    parkedAfter: (after: string, limit: number) =>
      all<ParkedRow>(
        `SELECT name, attachment, low, ticket, next, types, owed FROM subscribers
         WHERE name > ? AND ticket IS NOT NULL ORDER BY name LIMIT ?`,
        after,
        limit,
      ),
    exactSubscribers: (limit: number) =>
      all<{ name: string }>('SELECT name FROM subscribers WHERE exact = 1 ORDER BY name LIMIT ?', limit).map(
        (row) => row.name,
      ),
    subscriberCount: (): number => sql.exec<{ count: number }>('SELECT count(*) AS count FROM subscribers').one().count,
    putSubscriber: (row: SubscriberRow): void => {
      subscribers.changed(null);
      sql.exec(
        `INSERT OR REPLACE INTO subscribers (${SUBSCRIBER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        row.name,
        row.attachment,
        row.exact,
        row.start,
        row.low,
        row.ticket,
        row.next,
        row.types,
        row.owed,
      );
    },
    setExact: (name: string, exact: number): void => {
      subscribers.changed(null);
      sql.exec('UPDATE subscribers SET exact = ? WHERE name = ?', exact, name);
    },
    park: (
      name: string,
      park: { ticket: number; next: number; types: string; owed: number | null; low: number },
    ): void => {
      subscribers.changed(null);
      sql.exec(
        'UPDATE subscribers SET ticket = ?, next = ?, types = ?, owed = ?, low = ? WHERE name = ?',
        park.ticket,
        park.next,
        park.types,
        park.owed,
        park.low,
        name,
      );
    },
    clearPark: (name: string): void => {
      subscribers.changed(null);
      sql.exec('UPDATE subscribers SET ticket = NULL, next = NULL, types = NULL, owed = NULL WHERE name = ?', name);
    },
    setOwed: (entries: [name: string, owed: number | null][]): void => {
      subscribers.changed(null);
      const [only] = entries;
      if (only !== undefined && entries.length === 1) {
        const [name, owed] = only;
        sql.exec('UPDATE subscribers SET owed = ? WHERE name = ?', owed, name);
        return;
      }
      for (const json of jsonChunks(entries)) {
        sql.exec(
          `UPDATE subscribers SET owed = j.value ->> 1 FROM json_each(?) j WHERE subscribers.name = j.value ->> 0`,
          json,
        );
      }
    },
    deleteSubscriber: (name: string): void => {
      subscribers.changed(null);
      sql.exec('DELETE FROM subscribers WHERE name = ?', name);
    },
  };
}
