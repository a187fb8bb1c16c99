import type { ObjectStorage } from '../platform.ts';
import { textOf } from './identity-pages.ts';
import { IdentityRuns } from './identity-runs.ts';
import { YOUNG_EVENTS_MAX } from './limits.ts';
import { LogState } from './log-state.ts';
import { statements } from './sql.ts';

type Row = { identity: ArrayBuffer; content: ArrayBuffer; sequence: number; recorded_at: number };

/** Moves the identities of the first schema, a row each in two tables, into runs, as many at a time as are sealed otherwise. */
export function carryIdentitiesOver(storage: ObjectStorage): void {
  const sql = statements(storage);
  const runs = new IdentityRuns(sql, new LogState(sql));
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
      runs.add(
        rows.map(({ identity, content, sequence, recorded_at }) => ({
          identity: textOf(new Uint8Array(identity)),
          content: textOf(new Uint8Array(content)),
          sequence,
          recordedAt: recorded_at,
        })),
      );
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.identity;
    }
    storage.sql.exec(`DROP TABLE ${table}`);
  }
}
