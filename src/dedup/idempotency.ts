import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { isUtf8, parseMediaType } from '../events/media-type.ts';
import type { Database, Log } from '../platform.ts';
import { within } from '../within.ts';

/*
 * Answers remembered under an Idempotency-Key. What makes a retry safe is not this but the ids derived from the key: a
 * retry that runs again finds its own events. So whatever fails here, the request goes on.
 */

const HOUR_MS = 60 * 60 * 1000;
/** How long a 2xx is given again. */
const KEPT_MS = 24 * HOUR_MS;
/** A request that has not finished by then is taken for dead: its retry runs. */
const RUNNING_MS = 30_000;
/** Longest a publish waits for D1 before it goes on without. */
const WAIT_MS = 2_000;
/** Longest answer kept; D1 holds 2 MB in a row. A longer one is made again, of duplicates. */
const BODY_MAX_CHARACTERS = 500_000;
/** Rows removed in one call of {@link trimIdempotency}. */
const TRIM_MAX = 1_000;

export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** What a key is scoped to, and what it was used for. */
export interface IdempotentRequest {
  /** The caller's key id. */
  caller: string;
  path: string;
  key: string;
  /** {@link requestHash} */
  bodyHash: string;
}

export interface RememberedAnswer {
  status: number;
  body: string;
}

export type Begun =
  /** Run it, then call exactly one of these. Neither throws. */
  | { outcome: 'run'; keep(answer: RememberedAnswer): Promise<void>; forget(): Promise<void> }
  | { outcome: 'answered'; answer: RememberedAnswer }
  | { outcome: 'key-reused' }
  | { outcome: 'in-progress' };

interface Ports {
  db: Database;
  now(): number;
  log: Log;
}

/** Over all that says what is published: the content type, however it is written, the `ce-` headers and the body. */
export function requestHash(headers: Iterable<readonly [string, string]>, body: Uint8Array): string {
  const telling = [...headers]
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name === 'content-type' || name.startsWith('ce-'))
    .map(([name, value]) => [name, name === 'content-type' ? mediaOf(value) : value])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  return bytesToHex(
    sha256
      .create()
      .update(utf8ToBytes(JSON.stringify(telling)))
      .update(sha256(body))
      .digest(),
  );
}

function mediaOf(contentType: string): string {
  const media = parseMediaType(contentType);
  if (media === null) return contentType;
  return isUtf8(media) ? media.type : `${media.type};charset=${media.charset}`;
}

/**
 * Takes the key for a request that is about to run, or says what became of the one before. With D1 away, run.
 *
 * @throws only where D1 is not migrated
 */
export async function beginIdempotent(request: IdempotentRequest, ports: Ports): Promise<Begun> {
  const startedAt = ports.now();
  try {
    return await within(WAIT_MS, begin(request, startedAt, ports));
  } catch (error) {
    if (error instanceof Error && error.message.includes('no such table')) throw error;
    ports.log('warn', 'An Idempotency-Key could not be looked up: the request runs unremembered.', { error });
    return { outcome: 'run', keep: async () => undefined, forget: async () => undefined };
  }
}

async function begin(request: IdempotentRequest, startedAt: number, ports: Ports): Promise<Begun> {
  const { db } = ports;
  const { caller, path, key, bodyHash } = request;
  const taken = await db
    .prepare(
      `INSERT INTO idempotency (caller, path, key, body_hash, started_at) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (caller, path, key) DO UPDATE
         SET body_hash = excluded.body_hash, started_at = excluded.started_at, status = NULL, body = NULL
         WHERE started_at <= ?6 OR (status IS NULL AND started_at <= ?7 AND body_hash = excluded.body_hash)`,
    )
    .bind(caller, path, key, bodyHash, startedAt, startedAt - KEPT_MS, startedAt - RUNNING_MS)
    .run();
  if (taken.meta.changes > 0) return running(request, startedAt, ports);

  const row = await db
    .prepare('SELECT body_hash AS bodyHash, status, body FROM idempotency WHERE caller = ? AND path = ? AND key = ?')
    .bind(caller, path, key)
    .first<{ bodyHash: string; status: number | null; body: string | null }>();
  // Refused and forgotten between the two statements: the sender's next try runs.
  if (row === null) return { outcome: 'in-progress' };
  if (row.bodyHash !== bodyHash) return { outcome: 'key-reused' };
  if (row.status === null || row.body === null) return { outcome: 'in-progress' };
  return { outcome: 'answered', answer: { status: row.status, body: row.body } };
}

/** Only the run that took the row last may write it: `started_at` is its fence. */
function running({ caller, path, key }: IdempotentRequest, startedAt: number, { db, log }: Ports): Begun {
  const own = 'caller = ? AND path = ? AND key = ? AND started_at = ? AND status IS NULL';
  const attempt = async (what: string, statement: { run(): Promise<unknown> }) => {
    try {
      await within(WAIT_MS, statement.run());
    } catch (error) {
      log('warn', `The answer of a request with an Idempotency-Key could not be ${what}.`, { error });
    }
  };
  const forget = () =>
    attempt('forgotten', db.prepare(`DELETE FROM idempotency WHERE ${own}`).bind(caller, path, key, startedAt));
  return {
    outcome: 'run',
    forget,
    keep: ({ status, body }) =>
      body.length > BODY_MAX_CHARACTERS
        ? forget()
        : attempt(
            'kept',
            db
              .prepare(`UPDATE idempotency SET status = ?, body = ? WHERE ${own}`)
              .bind(status, body, caller, path, key, startedAt),
          ),
  };
}

/** Removes answers older than a day, a bounded number a call. Throws if D1 fails. @returns how many */
export async function trimIdempotency(db: Database, now: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `DELETE FROM idempotency WHERE (caller, path, key) IN
         (SELECT caller, path, key FROM idempotency WHERE started_at <= ? ORDER BY started_at LIMIT ?)`,
    )
    .bind(now - KEPT_MS, TRIM_MAX)
    .run();
  return meta.changes;
}
