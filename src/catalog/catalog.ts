import type { Database } from '../platform.ts';

/** A subscription as the catalogue mirrors it. */
export interface CatalogSubscription {
  name: string;
  createdAt: number;
  version: number;
  deleted: boolean;
  /** Topic patterns with a wildcard. */
  patterns: string[];
  stalledAt: number | null;
  /** The id of the hub secret that seals its own; null: it has none. */
  sealedUnder: string | null;
}

/** Rows examined in one look-up of a listing or of a pattern. */
const PAGE = 500;

/** The mirror in D1 of what Durable Objects own. Every write is an upsert that may be repeated. Throws if D1 fails. */
export class Catalog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @param incarnation counts the topic's makings and deletions: an older write never overtakes a newer one. */
  async announceTopic(name: string, createdAt: number, incarnation: number): Promise<void> {
    await this.#db
      .prepare(
        `INSERT INTO topics (name, created_at, incarnation) VALUES (?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET created_at = excluded.created_at, incarnation = excluded.incarnation
         WHERE excluded.incarnation >= topics.incarnation`,
      )
      .bind(name, createdAt, incarnation)
      .run();
  }

  /** Unless it was made again since. A making that arrives even later is taken back by the sweep. */
  async removeTopic(name: string, incarnation: number): Promise<void> {
    await this.#db.prepare('DELETE FROM topics WHERE name = ? AND incarnation < ?').bind(name, incarnation).run();
  }

  /** Topic names after `after`, by name. */
  async topicsAfter(after: string, limit = PAGE): Promise<string[]> {
    const { results } = await this.#db
      .prepare('SELECT name FROM topics WHERE name > ? ORDER BY name LIMIT ?')
      .bind(after, limit)
      .all<{ name: string }>();
    return results.map((row) => row.name);
  }

  /** Pages through all patterns of all subscriptions, by (subscription, pattern). */
  async patternsAfter(subscription: string, pattern: string): Promise<{ subscription: string; pattern: string }[]> {
    const { results } = await this.#db
      .prepare(
        'SELECT subscription, pattern FROM patterns WHERE (subscription, pattern) > (?, ?) ORDER BY subscription, pattern LIMIT ?',
      )
      .bind(subscription, pattern, PAGE)
      .all<{ subscription: string; pattern: string }>();
    return results;
  }

  /** Writes a subscription's row and patterns, unless a newer version is there already. */
  async putSubscription(entry: CatalogSubscription): Promise<void> {
    const newer = 'EXISTS (SELECT 1 FROM subscriptions WHERE name = ? AND version > ?)';
    await this.#db.batch([
      this.#db
        .prepare(
          `INSERT INTO subscriptions (name, created_at, version, deleted, stalled_at, sealed_under)
           VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET created_at = excluded.created_at, version = excluded.version,
             deleted = excluded.deleted, stalled_at = excluded.stalled_at, sealed_under = excluded.sealed_under
           WHERE excluded.version >= subscriptions.version`,
        )
        .bind(entry.name, entry.createdAt, entry.version, entry.deleted ? 1 : 0, entry.stalledAt, entry.sealedUnder),
      this.#db
        .prepare(`DELETE FROM patterns WHERE subscription = ? AND NOT ${newer}`)
        .bind(entry.name, entry.name, entry.version),
      ...entry.patterns.map((pattern) =>
        this.#db
          .prepare(`INSERT OR IGNORE INTO patterns (subscription, pattern) SELECT ?, ? WHERE NOT ${newer}`)
          .bind(entry.name, pattern, entry.name, entry.version),
      ),
    ]);
  }

  async subscriptionsAfter(after: string, limit: number): Promise<string[]> {
    const { results } = await this.#db
      .prepare('SELECT name FROM subscriptions WHERE deleted = 0 AND name > ? ORDER BY name LIMIT ?')
      .bind(after, limit)
      .all<{ name: string }>();
    return results.map((row) => row.name);
  }

  /** How many subscriptions' secrets are sealed under each hub secret. Null: not noted yet. */
  async sealedUnder(): Promise<{ id: string | null; count: number }[]> {
    const { results } = await this.#db
      .prepare(
        'SELECT sealed_under AS id, count(*) AS count FROM subscriptions WHERE deleted = 0 GROUP BY sealed_under',
      )
      .all<{ id: string | null; count: number }>();
    return results;
  }

  /** The first of those whose secrets are sealed under this hub secret, by name. */
  async firstSealedUnder(id: string | null, limit: number): Promise<string[]> {
    const { results } = await this.#db
      .prepare('SELECT name FROM subscriptions WHERE deleted = 0 AND sealed_under IS ? ORDER BY name LIMIT ?')
      .bind(id, limit)
      .all<{ name: string }>();
    return results.map((row) => row.name);
  }

  /** Subscriptions after `after` whose secrets are sealed under another hub secret than this, by name. */
  async sealedUnderOthers(id: string, after: string, limit: number): Promise<string[]> {
    const { results } = await this.#db
      .prepare(
        'SELECT name FROM subscriptions WHERE deleted = 0 AND sealed_under IS NOT ? AND name > ? ORDER BY name LIMIT ?',
      )
      .bind(id, after, limit)
      .all<{ name: string }>();
    return results.map((row) => row.name);
  }

  async hasSubscription(name: string): Promise<boolean> {
    const row = await this.#db
      .prepare('SELECT 1 AS one FROM subscriptions WHERE name = ? AND deleted = 0')
      .bind(name)
      .first();
    return row !== null;
  }

  async putReplay(replay: { id: string; subscription: string; topic: string; createdAt: number }): Promise<void> {
    await this.#db
      .prepare('INSERT OR IGNORE INTO replays (id, subscription, topic, created_at) VALUES (?, ?, ?, ?)')
      .bind(replay.id, replay.subscription, replay.topic, replay.createdAt)
      .run();
  }

  async replay(id: string): Promise<{ subscription: string; topic: string } | null> {
    return this.#db.prepare('SELECT subscription, topic FROM replays WHERE id = ?').bind(id).first();
  }

  /** Newest first, older than the replay (`createdAt`, `id`). */
  async replaysBefore(
    before: { createdAt: number; id: string } | null,
    limit: number,
  ): Promise<{ id: string; subscription: string; topic: string; createdAt: number }[]> {
    const { results } = await this.#db
      .prepare(
        `SELECT id, subscription, topic, created_at AS createdAt FROM replays
         WHERE created_at <= ?1 AND (created_at < ?1 OR id > ?2)
         ORDER BY created_at DESC, id LIMIT ?3`,
      )
      .bind(before?.createdAt ?? Number.MAX_SAFE_INTEGER, before?.id ?? '', limit)
      .all<{ id: string; subscription: string; topic: string; createdAt: number }>();
    return results;
  }

  /**
   * The subscriptions the sweep looks at now: the stalled ones, and those not looked at for longest. Stalled ones get at most
   * half of the places, so that however many there are the others have their turn. Marks them all as looked at.
   */
  async subscriptionsToSweep(now: number, notSince: number, limit: number): Promise<string[]> {
    const places = Math.ceil(limit / 2);
    const stalled = await this.#sweepNext('subscriptions', 'deleted = 0 AND stalled_at IS NOT NULL', [], places, now);
    const rest = limit - stalled.length;
    const others = await this.#sweepNext('subscriptions', 'deleted = 0 AND swept_at < ?', [notSince], rest, now);
    return [...stalled, ...others];
  }

  async topicsToSweep(now: number, notSince: number, limit: number): Promise<string[]> {
    return this.#sweepNext('topics', 'swept_at < ?', [notSince], limit, now);
  }

  /** Those that `where` allows, the longest waiting first, marked as looked at now. */
  async #sweepNext(
    table: 'subscriptions' | 'topics',
    where: string,
    values: number[],
    limit: number,
    now: number,
  ): Promise<string[]> {
    const { results } = await this.#db
      .prepare(
        `UPDATE ${table} SET swept_at = ? WHERE name IN (SELECT name FROM ${table} WHERE ${where} ORDER BY swept_at LIMIT ?) RETURNING name`,
      )
      .bind(now, ...values, limit)
      .all<{ name: string }>();
    return results.map((row) => row.name);
  }
}
