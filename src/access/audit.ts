import { uuidv7 } from '../events/ids.ts';
import type { Background, Database, Log, Random } from '../platform.ts';

/** Who changed what. Never holds a secret. */
export interface AuditEntry {
  /** Milliseconds since the epoch. */
  at: number;
  key: string;
  /** `subscription.update` */
  action: string;
  target: string;
  requestId: string;
}

interface AuditPorts {
  db: Database;
  now(): number;
  random: Random;
  background: Background;
  log: Log;
}

const RANDOM_BYTES = 10;
/** Sorts behind every id. */
const NEWEST = '~';

/** Records a change beside the answer, which never waits for it. If D1 is away the entry goes to the log instead. */
export function recordAudit(ports: AuditPorts, entry: Omit<AuditEntry, 'at'>): void {
  const at = ports.now();
  const write = ports.db
    .prepare('INSERT INTO audit (id, at, key, action, target, request_id) VALUES (?, ?, ?, ?, ?, ?)')
    .bind(uuidv7(at, ports.random.bytes(RANDOM_BYTES)), at, entry.key, entry.action, entry.target, entry.requestId)
    .run()
    .catch((error: unknown) => ports.log('error', 'An audit entry could not be stored.', { ...entry, at, error }));
  ports.background(write);
}

/** Newest first, older than the entry `before`. Throws if D1 fails. */
export async function auditPage(
  db: Database,
  before: string | null,
  limit: number,
): Promise<{ items: AuditEntry[]; next: string | null }> {
  const { results } = await db
    .prepare(
      `SELECT id, at, key, action, target, request_id AS requestId FROM audit
       WHERE id < ? ORDER BY id DESC LIMIT ?`,
    )
    .bind(before ?? NEWEST, limit + 1)
    .all<AuditEntry & { id: string }>();
  const page = results.slice(0, limit);
  const next = results.length > limit ? (page.at(-1)?.id ?? null) : null;
  return { items: page.map(({ id: _, ...entry }) => entry), next };
}

/** How long an entry is kept: somebody may ask a year later who did it. */
export const AUDIT_KEPT_MS = 400 * 24 * 3_600_000;
/** Entries forgotten in one call of {@link trimAudit}. */
const TRIM_MAX = 1_000;

/** Forgets what is older than {@link AUDIT_KEPT_MS}. Throws if D1 fails. @returns how many entries */
export async function trimAudit(db: Database, now: number): Promise<number> {
  // Ids sort by time, so that nothing else is read.
  const first = uuidv7(Math.max(0, now - AUDIT_KEPT_MS), new Uint8Array(RANDOM_BYTES));
  const { meta } = await db
    .prepare('DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < ? ORDER BY id LIMIT ?)')
    .bind(first, TRIM_MAX)
    .run();
  return meta.changes;
}
