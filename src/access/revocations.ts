import type { Background, Database, Log } from '../platform.ts';

/** A revocation works everywhere within this time. */
const MAX_AGE_MS = 10_000;
/** From this age the list is read anew beside the requests, so that hardly one has to wait for it. */
const REFRESH_AGE_MS = 5_000;
/** Longest a request waits for the list; after that, what is known stands. */
const WAIT_MS = 250;
/** After a failure requests go on with what is known for this long, rather than each wait again. */
const RETRY_MS = 1_000;
/** Ids kept in an isolate's memory: some 10 MB. Those of keys that expired go first. */
const LIST_MAX = 100_000;

export interface RevocationPorts {
  db: Database;
  now(): number;
  background: Background;
  log: Log;
}

/** The ids of revoked keys as one isolate knows them. */
export class Revocations {
  readonly #ids = new Set<string>();
  #readAt: number | null = null;
  #triedAt: number | null = null;
  #failures = 0;

  /** True if the key is known to be revoked, by a list at most 10 s old unless D1 is away. */
  async isRevoked(id: string, ports: RevocationPorts): Promise<boolean> {
    if (this.#ids.has(id)) return true;
    const age = timeSince(this.#readAt, ports.now());
    const tried = timeSince(this.#triedAt, ports.now());
    if (age >= MAX_AGE_MS && (tried >= RETRY_MS || this.#failures === 0)) {
      await this.#read(ports);
    } else if (age >= REFRESH_AGE_MS && tried >= RETRY_MS) {
      ports.background(this.#read(ports));
    }
    return this.#ids.has(id);
  }

  /** How old the list is that this isolate goes by, in milliseconds; null: it has none. */
  age(now: number): number | null {
    return this.#readAt === null ? null : Math.max(0, now - this.#readAt);
  }

  /** How often in a row it could not be read. */
  get failures(): number {
    return this.#failures;
  }

  /** At once in this isolate. */
  add(id: string): void {
    this.#ids.add(id);
  }

  /** Resolves when the list was read, or could not be, or after {@link WAIT_MS}. */
  async #read(ports: RevocationPorts): Promise<void> {
    const startedAt = ports.now();
    this.#triedAt = startedAt;
    const failed = (error: unknown) => {
      this.#failures += 1;
      ports.log('warn', 'The list of revoked keys could not be read: what is known stands.', {
        error,
        failures: this.#failures,
      });
    };
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      failed(new Error(`No answer within ${WAIT_MS} ms.`));
      resolve();
    }, WAIT_MS);
    const reading = this.#take(startedAt, ports)
      .catch(failed)
      .finally(() => clearTimeout(timer));
    // A list that comes late still counts: where D1 is always this far away, no other would ever come.
    ports.background(reading);
    await Promise.race([reading, late]);
  }

  async #take(startedAt: number, { db }: RevocationPorts): Promise<void> {
    for (const id of await revokedIds(db, startedAt)) this.#ids.add(id);
    this.#readAt = startedAt;
    this.#failures = 0;
  }
}

/** A time that never was, or lies ahead because the clock was set back, is long ago. */
function timeSince(at: number | null, now: number): number {
  return at === null || at > now ? Number.POSITIVE_INFINITY : now - at;
}

async function revokedIds(db: Database, now: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      'SELECT id FROM revocations WHERE expires_at IS NULL OR expires_at > ? ORDER BY expires_at IS NOT NULL, expires_at DESC LIMIT ?',
    )
    .bind(now, LIST_MAX)
    .all<{ id: string }>();
  return results.map((row) => row.id);
}
