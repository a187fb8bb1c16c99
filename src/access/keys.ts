import type { Database } from '../platform.ts';
import type { Quota } from '../quotas/protocol.ts';

/** A key as D1 knows it: everything but what proves it. Times are milliseconds since the epoch. */
export interface StoredKey {
  name: string;
  id: string;
  scopes: string[];
  expiresAt: number | null;
  createdAt: number;
  /** The id of the hub secret that signed it; null: made before this was noted. */
  signedUnder: string | null;
  /** Of events published; null: none. */
  quota: Quota | null;
}

interface KeyRow extends Omit<StoredKey, 'scopes' | 'quota'> {
  /** One a line: no scope has white space in it. */
  scopes: string;
  quotaCount: number | null;
  quotaSpanMs: number | null;
}

const COLUMNS = `name, id, scopes, expires_at AS expiresAt, created_at AS createdAt, signed_under AS signedUnder,
  quota_count AS quotaCount, quota_span_ms AS quotaSpanMs`;

function keyOf({ scopes, quotaCount, quotaSpanMs, ...row }: KeyRow): StoredKey {
  const quota = quotaCount === null || quotaSpanMs === null ? null : { count: quotaCount, spanMs: quotaSpanMs };
  return { ...row, scopes: scopes.split('\n'), quota };
}

/** @returns false if a key of this name exists. Throws if D1 fails. */
export async function addKey(db: Database, key: StoredKey): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO keys (name, id, scopes, expires_at, created_at, signed_under, quota_count, quota_span_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
    )
    .bind(
      key.name,
      key.id,
      key.scopes.join('\n'),
      key.expiresAt,
      key.createdAt,
      key.signedUnder,
      key.quota?.count ?? null,
      key.quota?.spanMs ?? null,
    )
    .run();
  return meta.changes > 0;
}

/** By name, after `after`. Throws if D1 fails. */
export async function keysAfter(db: Database, after: string, limit: number): Promise<StoredKey[]> {
  const { results } = await db
    .prepare(`SELECT ${COLUMNS} FROM keys WHERE name > ? ORDER BY name LIMIT ?`)
    .bind(after, limit)
    .all<KeyRow>();
  return results.map(keyOf);
}

/** How many keys that are valid each hub secret has signed. Null: not noted. Throws if D1 fails. */
export async function keysBySecret(db: Database, now: number): Promise<{ id: string | null; count: number }[]> {
  const { results } = await db
    .prepare(
      `SELECT signed_under AS id, count(*) AS count FROM keys WHERE expires_at IS NULL OR expires_at > ? GROUP BY signed_under`,
    )
    .bind(now)
    .all<{ id: string | null; count: number }>();
  return results;
}

/** The first valid keys that this hub secret has signed, by name. Throws if D1 fails. */
export async function firstSignedUnder(db: Database, id: string | null, now: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      `SELECT name FROM keys WHERE signed_under IS ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY name LIMIT ?`,
    )
    .bind(id, now, limit)
    .all<{ name: string }>();
  return results.map((row) => row.name);
}

/**
 * Deletes a key and remembers, until it would have expired, that it was. Throws if D1 fails.
 *
 * @returns the key, or null if there is none of this name
 */
export async function deleteKey(db: Database, name: string, now: number): Promise<StoredKey | null> {
  const row = await db.prepare(`SELECT ${COLUMNS} FROM keys WHERE name = ?`).bind(name).first<KeyRow>();
  if (row === null) return null;
  await db.batch([
    db
      .prepare('INSERT OR IGNORE INTO revocations (id, revoked_at, expires_at) VALUES (?, ?, ?)')
      .bind(row.id, now, row.expiresAt),
    db.prepare('DELETE FROM keys WHERE name = ? AND id = ?').bind(name, row.id),
  ]);
  return keyOf(row);
}

/** Revocations forgotten in one call of {@link trimRevocations}. */
const TRIM_MAX = 1_000;

/** Forgets revocations of keys that have expired since. Throws if D1 fails. @returns how many */
export async function trimRevocations(db: Database, now: number): Promise<number> {
  const { meta } = await db
    .prepare('DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE expires_at <= ? LIMIT ?)')
    .bind(now, TRIM_MAX)
    .run();
  return meta.changes;
}
