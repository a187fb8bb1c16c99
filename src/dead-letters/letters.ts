import type { Database } from '../platform.ts';

export const DEATH_REASONS = ['exhausted', 'gone', 'rejected', 'expired', 'invalid', 'consumer'] as const;
export type DeathReason = (typeof DEATH_REASONS)[number];

/** A dead letter as D1 keeps it. Times are milliseconds since the epoch. */
export interface DeadLetter {
  id: string;
  subscription: string;
  topic: string;
  sequence: number;
  /** The whole event, as JSON. Empty in a write: it is there already and stays. */
  event: string;
  reason: DeathReason;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  firstAttemptAt: number | null;
  diedAt: number;
  redrivenAt: number | null;
  resolvedAt: number | null;
  discardedAt: number | null;
  version: number;
}

/**
 * `open`: waits for a person. `redriven`: given back to its subscription, not through yet. `resolved`: delivered since.
 * `discarded`: thrown away on request. `all` of them. A letter whose event died again after a redrive is open again.
 */
export type LetterState = 'open' | 'redriven' | 'resolved' | 'discarded' | 'all';

/** Which letters are meant; null is no restriction. `since` and `until` are `diedAt` in milliseconds, both inclusive. */
export interface LetterFilter {
  subscription: string | null;
  topic: string | null;
  reason: string | null;
  since: number | null;
  until: number | null;
  /** Null: all. */
  state: LetterState | null;
}

/** A place in the list, which runs newest death first: the last letter already seen. */
export interface LetterCursor {
  diedAt: number;
  id: string;
}

/** `next` is the cursor of the page after this one, null at the end. */
export interface LetterPage {
  letters: DeadLetter[];
  next: LetterCursor | null;
}

/** How many letters of one topic a subscription has. */
export interface LetterCount {
  subscription: string;
  topic: string;
  count: number;
}

/** A page holds whole events: it ends here, though never before its first letter. */
const PAGE_MAX_BYTES = 4 * 1024 * 1024;

/** Letters written in one round trip. */
const PUT_MAX = 50;

const COLUMNS = `id, subscription, topic, sequence, event, reason, attempts, last_status AS lastStatus,
  last_error AS lastError, first_attempt_at AS firstAttemptAt, died_at AS diedAt, redriven_at AS redrivenAt,
  resolved_at AS resolvedAt, discarded_at AS discardedAt, version`;

// The partial indexes' condition: the planner takes them only where it stands literally.
const UNSETTLED = 'resolved_at IS NULL AND discarded_at IS NULL';

const STATES: Record<LetterState, string | null> = {
  open: `${UNSETTLED} AND (redriven_at IS NULL OR redriven_at < died_at)`,
  redriven: `${UNSETTLED} AND redriven_at >= died_at`,
  resolved: 'resolved_at IS NOT NULL',
  discarded: 'discarded_at IS NOT NULL',
  all: null,
};

/** The state a letter is in, as a list by `state` sees it. */
export function letterState(letter: DeadLetter): Exclude<LetterState, 'all'> {
  if (letter.discardedAt !== null) return 'discarded';
  if (letter.resolvedAt !== null) return 'resolved';
  return letter.redrivenAt !== null && letter.redrivenAt >= letter.diedAt ? 'redriven' : 'open';
}

/**
 * The dead letters in D1. Each is owned by its Subscription, which writes it again with a higher `version` whenever
 * something becomes of it; writes may be repeated and may arrive in any order. Throws if D1 fails.
 */
export class DeadLetters {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Writes each letter, unless a version as new is there already. */
  async put(letters: DeadLetter[]): Promise<void> {
    for (let start = 0; start < letters.length; start += PUT_MAX) {
      await this.#db.batch(letters.slice(start, start + PUT_MAX).map((letter) => this.#upsert(letter)));
    }
  }

  async get(id: string): Promise<DeadLetter | null> {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM dead_letters WHERE id = ?`).bind(id).first<DeadLetter>();
  }

  /** The newest deaths after `before` in the list's order. A page may be shorter than `limit`: it is bounded in bytes too. */
  async page(filter: LetterFilter, limit: number, before: LetterCursor | null): Promise<LetterPage> {
    const { conditions, values } = where(filter);
    if (before !== null) {
      conditions.push('died_at <= ? AND (died_at < ? OR id > ?)');
      values.push(before.diedAt, before.diedAt, before.id);
    }
    const { letters, more } = await this.#bounded(conditions, values, 'died_at DESC, id', limit);
    const last = letters.at(-1);
    return { letters, next: more && last !== undefined ? { diedAt: last.diedAt, id: last.id } : null };
  }

  /**
   * The open letters of one subscription by id, after `afterId` ('' to begin). For jobs: what is redriven or discarded
   * on the way doesn't shift the pages. May be shorter than `limit` (bytes); only an empty answer is the end.
   */
  async openLetters(
    subscription: string,
    filter: Omit<LetterFilter, 'subscription' | 'state'>,
    afterId: string,
    limit: number,
  ): Promise<DeadLetter[]> {
    const { conditions, values } = where({ ...filter, subscription, state: 'open' });
    conditions.push('id > ?');
    values.push(afterId);
    return (await this.#bounded(conditions, values, 'id', limit)).letters;
  }

  async count(filter: LetterFilter): Promise<number> {
    const { conditions, values } = where(filter);
    const row = await this.#db
      .prepare(`SELECT count(*) AS count FROM dead_letters ${clause(conditions)}`)
      .bind(...values)
      .first<{ count: number }>();
    return row?.count ?? 0;
  }

  /** How many letters each subscription has of each topic. */
  async counts(filter: LetterFilter): Promise<LetterCount[]> {
    const { conditions, values } = where(filter);
    const { results } = await this.#db
      .prepare(
        `SELECT subscription, topic, count(*) AS count FROM dead_letters ${clause(conditions)}
         GROUP BY subscription, topic ORDER BY subscription, topic`,
      )
      .bind(...values)
      .all<LetterCount>();
    return results;
  }

  /**
   * Marks letters as discarded here alone: for those whose subscription is gone. Where it exists it owns the letter,
   * and discards it itself. Letters resolved or discarded already stay as they are. The version stays too: a subscription
   * made again under the name goes on counting from its own.
   *
   * @returns how many were marked
   */
  async discardOrphans(subscription: string, filter: Omit<LetterFilter, 'subscription'>, now: number): Promise<number> {
    const { conditions, values } = where({ ...filter, subscription });
    const { meta } = await this.#db
      .prepare(`UPDATE dead_letters SET discarded_at = ? ${clause([...conditions, UNSETTLED])}`)
      .bind(now, ...values)
      .run();
    return meta.changes;
  }

  /** {@link discardOrphans} for one letter. False: resolved or discarded already, or no such letter. */
  async discardOrphan(id: string, now: number): Promise<boolean> {
    const { meta } = await this.#db
      .prepare(`UPDATE dead_letters SET discarded_at = ? WHERE id = ? AND ${UNSETTLED}`)
      .bind(now, id)
      .run();
    return meta.changes > 0;
  }

  async #bounded(
    conditions: string[],
    values: (string | number)[],
    order: string,
    limit: number,
  ): Promise<{ letters: DeadLetter[]; more: boolean }> {
    // One letter more than asked for says whether there is a next page. The sizes are summed up without reading the
    // events, and only those that fit are read.
    const { results } = await this.#db
      .prepare(
        `WITH found AS (SELECT id, died_at, octet_length(event) AS size FROM dead_letters ${clause(conditions)}
                        ORDER BY ${order} LIMIT ?),
              placed AS (SELECT id, row_number() OVER page AS place, sum(size) OVER page AS bytes, count(*) OVER () AS found
                         FROM found WINDOW page AS (ORDER BY ${order} ROWS UNBOUNDED PRECEDING))
         SELECT ${COLUMNS}, placed.found AS found FROM placed CROSS JOIN dead_letters USING (id)
         WHERE place = 1 OR (place <= ? AND bytes <= ?) ORDER BY place`,
      )
      .bind(...values, limit + 1, limit, PAGE_MAX_BYTES)
      .all<DeadLetter & { found: number }>();
    const letters = results.map(({ found: _, ...letter }) => letter);
    return { letters, more: (results[0]?.found ?? 0) > letters.length };
  }

  #upsert(letter: DeadLetter) {
    return this.#db
      .prepare(
        `INSERT INTO dead_letters (id, subscription, topic, sequence, event, reason, attempts, last_status, last_error,
           first_attempt_at, died_at, redriven_at, resolved_at, discarded_at, version)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET event = iif(excluded.event = '', dead_letters.event, excluded.event), reason = excluded.reason, attempts = excluded.attempts,
           last_status = excluded.last_status, last_error = excluded.last_error,
           first_attempt_at = iif(dead_letters.redriven_at IS NULL, excluded.first_attempt_at,
             coalesce(dead_letters.first_attempt_at, excluded.first_attempt_at)), died_at = excluded.died_at,
           redriven_at = excluded.redriven_at, resolved_at = excluded.resolved_at,
           discarded_at = excluded.discarded_at, version = excluded.version
         WHERE excluded.version > dead_letters.version`,
      )
      .bind(
        letter.id,
        letter.subscription,
        letter.topic,
        letter.sequence,
        letter.event,
        letter.reason,
        letter.attempts,
        letter.lastStatus,
        letter.lastError,
        letter.firstAttemptAt,
        letter.diedAt,
        letter.redrivenAt,
        letter.resolvedAt,
        letter.discardedAt,
        letter.version,
      );
  }
}

/** Only the conditions that are asked for: a `? IS NULL OR` would keep the planner from the indexes. */
function where(filter: LetterFilter): { conditions: string[]; values: (string | number)[] } {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, value: string | number | null) => {
    if (value === null) return;
    conditions.push(condition);
    values.push(value);
  };
  add('subscription = ?', filter.subscription);
  add('topic = ?', filter.topic);
  add('reason = ?', filter.reason);
  add('died_at >= ?', filter.since);
  add('died_at <= ?', filter.until);
  const state = STATES[filter.state ?? 'all'];
  if (state !== null) conditions.push(state);
  return { conditions, values };
}

function clause(conditions: string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
