import { EVENT_HASHES_BYTES, IDENTITY_BYTES } from '../events/hashes.ts';
import type { ObjectStorage } from '../platform.ts';
import { ENTRY_BYTES, writeEntry } from './identity-pages.ts';
import { IdentityRuns } from './identity-runs.ts';
import { YOUNG_EVENTS_MAX } from './limits.ts';
import { statements } from './sql.ts';

type Row = { identity: ArrayBuffer; content: ArrayBuffer; sequence: number; recorded_at: number };

/** Moves the identities of the first schema, a row each in two tables, into runs, as many at a time as are sealed otherwise. */
export function carryIdentitiesOver(storage: ObjectStorage): void {
  const sql = statements(storage);
  // No look at all of the row: later migrations add to it.
  const { index_secret } = storage.sql.exec<{ index_secret: number }>('SELECT index_secret FROM meta').one();
  const runs = new IdentityRuns(sql, () => index_secret);
  for (const table of ['identities_0', 'identities_1']) {
    // Less than any identity; one without a byte might be taken for null.
    for (let after = new ArrayBuffer(1); ; ) {
      const rows = storage.sql
        .exec<Row>(
          `SELECT identity, content, sequence, recorded_at FROM ${table} WHERE identity > ?
           ORDER BY identity LIMIT ${YOUNG_EVENTS_MAX}`,
          after,
        )
        .toArray();
      const entries = new Uint8Array(rows.length * ENTRY_BYTES);
      const hashes = new Uint8Array(EVENT_HASHES_BYTES);
      for (const [index, { identity, content, sequence, recorded_at }] of rows.entries()) {
        hashes.set(new Uint8Array(identity));
        hashes.set(new Uint8Array(content), IDENTITY_BYTES);
        writeEntry(entries, index * ENTRY_BYTES, hashes, 0, sequence, recorded_at);
      }
      runs.add(entries);
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.identity;
    }
    storage.sql.exec(`DROP TABLE ${table}`);
  }
}
