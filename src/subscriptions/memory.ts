import { type Found, Memory } from '../storage/memory.ts';
import { LaneRows } from './lane-rows.ts';
import { LeaseRows } from './lease-rows.ts';
import type { AttemptsRow } from './rows.ts';

/** The last row of attempts there was. */
export type LastAttempts = Pick<AttemptsRow, 'id' | 'total'>;

/** What the statements of a Subscription remember, by what makes them forget it. */
export class Memories {
  /** What is owed to D1 and to the logs. */
  readonly outbox = new Memory();
  /** Lanes but for counters and live lanes' cursors: which there are, which have something to read. */
  readonly lanes = new Memory();
  readonly retrying = new Memory();
  readonly leases = new Memory();
  readonly exceptions = new Memory();
  readonly holds = new Memory();
  readonly stats = new Memory();
  readonly laneRows = new LaneRows();
  readonly leaseRows = new LeaseRows();
  /** How many letters D1 has to be told of, at most: counted once, and those that were written since. */
  unsentAtMost = Number.POSITIVE_INFINITY;
  lastAttempts: Found<LastAttempts | null> | null = null;

  /** After a rollback nothing that is remembered may be true. */
  forget(): void {
    const all = [this.outbox, this.lanes, this.retrying, this.leases, this.exceptions, this.holds, this.stats];
    for (const memory of all) memory.changed(null);
    this.laneRows.clear();
    this.leaseRows.clear();
    this.unsentAtMost = Number.POSITIVE_INFINITY;
    this.lastAttempts = null;
  }
}
