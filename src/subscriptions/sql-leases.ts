import type { ObjectStorage } from '../platform.ts';
import { keysOf, straysOf } from './lease-content.ts';
import type { Memories } from './memory.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** A lease as it is made: nobody has claimed it, unless it is a part of what somebody holds. */
type NewLease = Omit<LeaseRow, keyof typeof UNCLAIMED> & Partial<typeof UNCLAIMED>;

const UNCLAIMED: Pick<
  LeaseRow,
  'claims' | 'sends' | 'paced' | 'token' | 'held_since' | 'held_for' | 'target_version' | 'strays'
> = {
  claims: 0,
  sends: 0,
  paced: 0,
  token: null,
  held_since: null,
  held_for: null,
  target_version: 0,
  strays: null,
};

/** Statements on leases. Questions are answered from a copy of all of them in memory (lease-rows.ts). */
export function leaseStatements(
  storage: ObjectStorage,
  { leases, leaseRows }: Memories,
  lane: (id: number) => LaneRow | null,
) {
  const { sql } = storage;
  const all = () => leaseRows.all(() => sql.exec<LeaseRow>('SELECT * FROM leases').toArray());
  const filtered = (isWanted: (lease: LeaseRow) => boolean): LeaseRow[] => [...all().values()].filter(isWanted);
  /** A statement on many of them. */
  const changeMany = (query: string, ...values: number[]): void => {
    sql.exec(query, ...values);
    leaseRows.clear();
    leases.changed(null);
  };
  return {
    lease: (id: number): LeaseRow | null => all().get(id) ?? null,
    leases: (): LeaseRow[] => [...all().values()],
    leasesOf: (laneId: number): LeaseRow[] => filtered((lease) => lease.lane === laneId),
    addLease: (lease: NewLease) => {
      const row = { ...UNCLAIMED, ...lease };
      sql.exec(...insertion('INSERT', 'leases', row));
      leaseRows.put(row);
      leases.changed(null);
    },
    setLease: (id: number, columns: Partial<LeaseRow>) => {
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE leases SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
      leaseRows.change(id, columns);
      leases.changed(null);
    },
    deleteLease: (id: number) => {
      sql.exec('DELETE FROM leases WHERE id = ?', id);
      leaseRows.delete(id);
      leases.changed(null);
    },
    /** Events in leases, and astray of them: of live lanes and of replays. `keyed`: leases in which something has a key. */
    inFlight: leases.remembered(() => {
      const sums = { live: 0, replay: 0, leases: all().size, keyed: 0 };
      for (const lease of all().values()) {
        const strays = straysOf(lease);
        sums[lane(lease.lane)?.replay == null ? 'live' : 'replay'] += lease.count + strays.length;
        if (lease.keys !== null || strays.some(({ key }) => key !== null)) sums.keyed += 1;
      }
      return sums;
    }),
    /** The topics with leases, and the keys in these or astray of them. */
    underWay: leases.remembered(() => {
      const topics = new Map<string, Set<string>>();
      for (const lease of all().values()) {
        const topic = lane(lease.lane)?.topic;
        if (topic === undefined) continue;
        const known = topics.get(topic) ?? new Set();
        topics.set(topic, known);
        for (const key of keysOf(lease)) known.add(key);
      }
      return topics;
    }),
    /** Events in leases that nobody has claimed. */
    unclaimed: leases.remembered(() =>
      filtered(({ token }) => token === null).reduce((sum, { count }) => sum + count, 0),
    ),
    /**
     * When the first is due of those that nobody has claimed, that somebody has, and that are held by ack ids; and from when
     * those are held whose time began last.
     */
    leaseDues: leases.remembered(() => {
      const dues = { unclaimed: Infinity, claimed: Infinity, held: Infinity, heldFrom: -Infinity };
      for (const { token, due, held_since, held_for } of all().values()) {
        const state = token === null ? 'unclaimed' : held_since === null ? 'claimed' : 'held';
        dues[state] = Math.min(dues[state], due);
        if (held_for !== null) dues.heldFrom = Math.max(dues.heldFrom, due - held_for);
      }
      return {
        unclaimed: finite(dues.unclaimed),
        claimed: finite(dues.claimed),
        held: finite(dues.held),
        heldFrom: finite(dues.heldFrom),
      };
    }),
    heldDue: (now: number) => filtered(({ held_since, due }) => held_since !== null && due <= now),
    /** A clock that was set back makes none be held for longer than it was to be, from now on. */
    clampHeld: (now: number) =>
      changeMany('UPDATE leases SET due = ? + held_for WHERE held_since IS NOT NULL AND due > ? + held_for', now, now),
    /** Nobody holds anything by ack ids any more: it is as if it had not been handed out. */
    freeHeld: () =>
      changeMany('UPDATE leases SET token = NULL, held_since = NULL, held_for = NULL WHERE held_since IS NOT NULL'),
    /** After a restart: a claim that was open isn't counted, what is unclaimed is sent again soon. */
    restartLeases: (resendAt: number, claimDeadline: number) => {
      changeMany(
        'UPDATE leases SET claims = max(0, claims - 1), due = min(due, ?) WHERE token IS NOT NULL AND held_since IS NULL',
        claimDeadline,
      );
      changeMany('UPDATE leases SET sends = 0, due = ? WHERE token IS NULL', resendAt);
    },
  };
}

function finite(moment: number): number | null {
  return Number.isFinite(moment) ? moment : null;
}
