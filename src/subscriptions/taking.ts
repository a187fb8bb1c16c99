import type { LogEvent } from '../topics/protocol.ts';
import type { Company } from './company.ts';
import type { Core } from './core.ts';
import type { Death, Deaths } from './deaths.ts';
import { examine, filtersOf } from './filtering.ts';
import type { Leases } from './leases.ts';
import type { Order } from './order.ts';
import type { LaneRow } from './rows.ts';

interface TakingParts {
  leases: Leases;
  deaths: Deaths;
  order: Order;
  company: Company;
}

/** Takes what was read of a log: leases what goes out now, holds what has to wait, passes the rest. */
export class Taking {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #order: Order;
  readonly #company: Company;
  /** Which kind of lane took something last. */
  last: 'live' | 'replay' = 'replay';

  constructor(core: Core, { leases, deaths, order, company }: TakingParts) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#order = order;
    this.#company = company;
  }

  /**
   * Leases what matches of what was read and moves `next`, in one. `events` are all that the log has up to `scannedTo` of the
   * types that the subscription filters by. A lane that does not come so far stays in no park.
   */
  take(lane: LaneRow, events: LogEvent[], scannedTo: number, slots: number, park: number | null): number[] {
    const { sql } = this.#core;
    const { matching, failed, cut } = examine(filtersOf(lane, this.#core.document), events);
    const end = Math.min(cut ?? Number.POSITIVE_INFINITY, this.#firstDeathBehind(matching, failed), scannedTo + 1);
    const within = end > scannedTo ? matching : matching.filter(({ sequence }) => sequence < end);
    const page = { events: within, scannedTo: end - 1, slots };
    const { runs, taken, held, holds, last } = this.#order.pick(lane, page, this.#leases.sizes.swift);
    const examined = last - lane.next + 1;
    const parked = last < scannedTo ? null : park;
    for (const { key, first } of holds) sql.addHold(lane.id, key, first);
    const leases = taken > 0 ? this.#leases.leaseNew(lane, runs) : [];
    if (taken > 0) this.last = lane.replay === null ? 'live' : 'replay';
    if (lane.replay === null) this.#company.took(lane.id, taken);
    const dead = failed.filter(({ sequence }) => sequence <= last);
    for (const { sequence, error } of dead) this.#deaths.die(lane, sequence, 'invalid', 'waiting', neverTried(error));
    sql.moveLane(
      lane.id,
      { in_flight: taken, held, filtered: examined - taken - held - dead.length },
      { ...(examined > 0 ? { next: last + 1 } : {}), ...(parked === lane.parked ? {} : { parked }) },
    );
    if (examined <= 0) return [];
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    this.#core.progressAt = this.#core.now();
    return leases;
  }

  /**
   * Where a whole topic is in order, what a lease could not bring sends the cursor back over all that came behind: nothing that
   * died may lie there, or it would die again.
   */
  #firstDeathBehind(matching: readonly LogEvent[], failed: readonly { sequence: number }[]): number {
    const first = matching[0]?.sequence ?? Number.POSITIVE_INFINITY;
    const death = this.#core.ordering === 'topic' ? failed.find(({ sequence }) => sequence > first) : undefined;
    return death?.sequence ?? Number.POSITIVE_INFINITY;
  }
}

/** A death before the first attempt. */
function neverTried(error: string): Death {
  return { attempts: 0, lastStatus: null, lastError: error, firstAttemptAt: null, event: null };
}
