import type { ObjectStorage } from '../platform.ts';
import type { Memories } from './memory.ts';
import type { LeaseRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** A lease as it is made: nobody has claimed it, unless it is a part of what somebody holds. */
type NewLease = Omit<LeaseRow, 'claims' | 'sends' | 'paced' | 'token' | 'held_since' | 'held_for' | 'target_version'> &
  Partial<Pick<LeaseRow, 'token' | 'held_since' | 'held_for' | 'target_version'>>;

/** Statements on leases. */
export function leaseStatements(storage: ObjectStorage, { leases }: Memories) {
  const { sql } = storage;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  return {
    lease: leases.remembered((id: number) =>
      first(sql.exec<LeaseRow>('SELECT * FROM leases WHERE id = ?', id).toArray()),
    ),
    leases: () => sql.exec<LeaseRow>('SELECT * FROM leases').toArray(),
    leasesOf: leases.remembered((lane: number) =>
      sql.exec<LeaseRow>('SELECT * FROM leases WHERE lane = ?', lane).toArray(),
    ),
    /** The tokens under which leases of a lane are held by ack ids. */
    heldTokens: leases.remembered((lane: number) =>
      sql
        .exec<{ id: number; token: string }>(
          'SELECT id, token FROM leases WHERE lane = ? AND held_since IS NOT NULL AND token IS NOT NULL',
          lane,
        )
        .toArray(),
    ),
    addLease: (lease: NewLease) => leases.changed(sql.exec(...insertion('INSERT', 'leases', lease))),
    setLease: (id: number, columns: Partial<LeaseRow>) => {
      leases.changed(null);
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE leases SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
    },
    deleteLease: (id: number) => leases.changed(sql.exec('DELETE FROM leases WHERE id = ?', id)),
    /** Events in leases: of live lanes and of replays. `keyed`: leases in which something has a key. */
    inFlight: leases.remembered(() =>
      sql
        .exec<{ live: number; replay: number; leases: number; keyed: number }>(
          `SELECT coalesce(sum(CASE WHEN lanes.replay IS NULL THEN count ELSE 0 END), 0) AS live,
                  coalesce(sum(CASE WHEN lanes.replay IS NULL THEN 0 ELSE count END), 0) AS replay,
                  count(*) AS leases, count(keys) AS keyed
           FROM leases JOIN lanes ON lanes.id = leases.lane`,
        )
        .one(),
    ),
    /** The topics with leases, and the keys in these. */
    underWay: leases.remembered(() => {
      const topics = new Map<string, Set<string>>();
      const rows = sql.exec<{ topic: string; keys: string | null }>(
        'SELECT topic, keys FROM leases JOIN lanes ON lanes.id = leases.lane',
      );
      for (const { topic, keys } of rows) {
        const known = topics.get(topic) ?? new Set();
        topics.set(topic, known);
        const own = keys === null ? [] : (JSON.parse(keys) as (string | null)[]);
        for (const key of own) if (key !== null) known.add(key);
      }
      return topics;
    }),
    /** Events in leases that nobody has claimed. */
    unclaimed: leases.remembered(
      () =>
        sql.exec<{ events: number }>('SELECT coalesce(sum(count), 0) AS events FROM leases WHERE token IS NULL').one()
          .events,
    ),
    /**
     * When the first is due of those that nobody has claimed, that somebody has, and that are held by ack ids; and from when
     * those are held whose time began last.
     */
    leaseDues: leases.remembered(() =>
      sql
        .exec<{ unclaimed: number | null; claimed: number | null; held: number | null; heldFrom: number | null }>(
          `SELECT min(CASE WHEN token IS NULL THEN due END) AS unclaimed,
                  min(CASE WHEN token IS NOT NULL AND held_since IS NULL THEN due END) AS claimed,
                  min(CASE WHEN held_since IS NOT NULL THEN due END) AS held,
                  max(CASE WHEN held_since IS NOT NULL THEN due - held_for END) AS heldFrom
           FROM leases`,
        )
        .one(),
    ),
    heldDue: (now: number) =>
      sql.exec<LeaseRow>('SELECT * FROM leases WHERE held_since IS NOT NULL AND due <= ?', now).toArray(),
    /** A clock that was set back makes none be held for longer than it was to be, from now on. */
    clampHeld: (now: number) =>
      leases.changed(
        sql.exec('UPDATE leases SET due = ? + held_for WHERE held_since IS NOT NULL AND due > ? + held_for', now, now),
      ),
    /** Nobody holds anything by ack ids any more: it is as if it had not been handed out. */
    freeHeld: () =>
      leases.changed(
        sql.exec('UPDATE leases SET token = NULL, held_since = NULL, held_for = NULL WHERE held_since IS NOT NULL'),
      ),
    /** After a restart: a claim that was open isn't counted, what is unclaimed is sent again soon. */
    restartLeases: (resendAt: number, claimDeadline: number) => {
      leases.changed(null);
      sql.exec(
        'UPDATE leases SET claims = max(0, claims - 1), due = min(due, ?) WHERE token IS NOT NULL AND held_since IS NULL',
        claimDeadline,
      );
      sql.exec('UPDATE leases SET sends = 0, due = ? WHERE token IS NULL', resendAt);
    },
  };
}
