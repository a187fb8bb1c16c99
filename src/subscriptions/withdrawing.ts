import type { Core } from './core.ts';
import { decisionsOf } from './decisions.ts';
import { columnsOf, contentOf, type Leased, sequencesOf, strayColumn, straysOf } from './lease-content.ts';
import type { Leases } from './leases.ts';
import type { Notices } from './notices.ts';
import { tellReplayEnded } from './replays.ts';
import type { LaneRow, LeaseRow } from './rows.ts';

/**
 * Takes deliveries away from whoever has them, because somebody else has decided about them: a seek, a replay's end, a person, the
 * log that lets go of them, or who had them before and says that they are done.
 */
export class Withdrawing {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #notices: Notices;

  constructor(core: Core, leases: Leases, notices: Notices) {
    this.#core = core;
    this.#leases = leases;
    this.#notices = notices;
  }

  /** Takes deliveries out of whatever leases hold them; answers those that were in one. Only inside `tx`. */
  takeBack(laneId: number, wanted: ReadonlySet<number>): Set<number> {
    const taken = new Set<number>();
    for (const lease of this.#core.sql.leasesOf(laneId)) {
      const content = contentOf(lease);
      const rest = content.filter(({ sequence }) => !wanted.has(sequence));
      if (rest.length === content.length) continue;
      const out = content.filter(({ sequence }) => wanted.has(sequence));
      for (const { sequence } of out) taken.add(sequence);
      this.#takeOut(lease, out, rest);
    }
    this.#core.sql.moveLane(laneId, { in_flight: -taken.size });
    return taken;
  }

  /**
   * Leaves a lease what it is to hold on to. Whoever has claimed it may be at the rest, and is told to start nothing more: until
   * he says what became of it, or his claim runs out, it takes up its slots and its keys. Those who hold by ack ids have no such
   * time, and are not waited for.
   */
  #takeOut(lease: LeaseRow, out: readonly Leased[], rest: readonly Leased[]): void {
    const { sql } = this.#core;
    const mayRun = lease.token !== null && lease.held_since === null;
    const strays = straysOf(lease);
    if (mayRun)
      for (const entry of out) {
        const exception = lease.retry ? sql.exception(lease.lane, entry.sequence) : null;
        strays.push({ ...entry, attempt: (exception?.attempts ?? 0) + 1 });
      }
    if (rest.length === 0 && strays.length === 0) this.#leases.drop(lease);
    else sql.setLease(lease.id, { ...columnsOf(rest), ...strayColumn(strays) });
  }

  /** Takes everything out of the leases of a lane; answers the sequences that were in them. Only inside `tx`. */
  #dropAll(laneId: number): number[] {
    const leases = this.#core.sql.leasesOf(laneId);
    for (const lease of leases) this.#takeOut(lease, contentOf(lease), []);
    const sequences = leases.flatMap(sequencesOf);
    this.#core.sql.moveLane(laneId, { in_flight: -sequences.length });
    return sequences;
  }

  /**
   * Drops what is on its way in a lane, leased, retrying and held, and notes what lies below `below` as skipped; answers how
   * many that were, redriven letters aside. Only inside `tx`.
   *
   * @param held how many of the held ones lie below
   */
  skipAll(lane: LaneRow, below: number, held: number): number {
    const { sql } = this.#core;
    const redriven = new Set(sql.redrivenOf(lane.id));
    const leased = this.#dropAll(lane.id).filter((sequence) => sequence < below && !redriven.has(sequence));
    sql.skip(lane.topic, leased);
    const retrying = sql.skipExceptions(lane.topic, lane.id, below);
    sql.deleteExceptionsOf(lane.id);
    sql.skipHolds(lane.topic, lane.id, Math.min(below, lane.next));
    sql.deleteHoldsOf(lane.id);
    sql.setLane(lane.id, { retrying: 0, held: 0 });
    return leased.length + retrying + held;
  }

  /** Ends a replay before its time. Only inside `tx`. */
  endReplay(lane: LaneRow, status: 'cancelled' | 'failed', error: string | null): void {
    this.#dropAll(lane.id);
    const { sql } = this.#core;
    sql.deleteExceptionsOf(lane.id);
    sql.deleteHoldsOf(lane.id);
    sql.forgetFrom(decisionsOf(lane), 0);
    sql.setLane(lane.id, { status, error, ended_at: this.#core.now(), retrying: 0, held: 0 });
    tellReplayEnded(this.#core, this.#notices, lane.id);
  }
}
