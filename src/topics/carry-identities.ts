import type { Sql } from '../platform.ts';
import { packEntries, pagesOf, textOf } from './identity-pages.ts';
import { idOfPage } from './identity-runs.ts';
import { pageBits } from './run-work.ts';

/** EventIndex on a page, on average. */
const ENTRIES_A_PAGE = 512;
const FIRST_BITS = 32;

type Row = { identity: ArrayBuffer; content: ArrayBuffer; sequence: number; recorded_at: number };

/** Moves the identities of the first schema, a row each, into a run as large as all of them; a page is in memory at a time. */
export function carryIdentitiesOver(sql: Sql): void {
  const both = 'SELECT * FROM identities_0 UNION ALL SELECT * FROM identities_1';
  const { count, newest } = sql
    .exec<{ count: number; newest: number }>(
      `SELECT count(*) AS count, coalesce(max(recorded_at), 0) AS newest FROM (${both})`,
    )
    .one();
  let level = 0;
  while (2 ** pageBits(level) * ENTRIES_A_PAGE < count) level += 1;
  const bits = pageBits(level);
  const run = 1;
  for (let index = 0; index < 2 ** bits && count > 0; index += 1) {
    const rows = sql
      .exec<Row>(
        `SELECT identity, content, sequence, recorded_at FROM identities_0 WHERE identity >= ?1 AND identity < ?2
         UNION ALL SELECT identity, content, sequence, recorded_at FROM identities_1 WHERE identity >= ?1 AND identity < ?2`,
        firstOfPage(index, bits),
        firstOfPage(index + 1, bits),
      )
      .toArray();
    const entries = rows.map(({ identity, content, sequence, recorded_at }) => ({
      identity: textOf(new Uint8Array(identity)),
      content: textOf(new Uint8Array(content)),
      sequence,
      recordedAt: recorded_at,
    }));
    for (const page of pagesOf(packEntries(entries), bits)) {
      sql.exec(
        'INSERT INTO run_pages (id, filter, entries) VALUES (?, ?, ?)',
        idOfPage(run, page.index),
        page.filter.buffer,
        page.entries.buffer,
      );
    }
  }
  if (count > 0) {
    sql.exec(
      'INSERT INTO runs (id, level, newest_at, merges_into, merged) VALUES (?, ?, ?, NULL, NULL)',
      run,
      level,
      newest,
    );
  }
  sql.exec('DROP TABLE identities_0');
  sql.exec('DROP TABLE identities_1');
}

/** The least bytes that belong to a page; of the page after the last more than any identity. */
function firstOfPage(index: number, bits: number): ArrayBuffer {
  if (index === 2 ** bits) return new Uint8Array(17).fill(0xff).buffer;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, index * 2 ** (FIRST_BITS - bits));
  return bytes.buffer;
}
