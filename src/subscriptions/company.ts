import type { Core } from './core.ts';
import type { Leases } from './leases.ts';
import { LINGER_MS, SHORT_OF_SLOTS_MS } from './limits.ts';
import type { LaneRow } from './rows.ts';
import type { Throttle } from './throttle.ts';

/** What is known of a live lane. */
interface Known {
  /** When its last read began. */
  readAt: number;
  /** The last sequence its log has told of. */
  last: number;
  /** Since when more waits for it than slots are free; null: it does not, or the lane has read since. */
  shortSince: number | null;
}

/** Whether events wait for others, so that they share reads and leases. */
export class Company {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #throttle: Throttle;
  readonly #known = new Map<number, Known>();

  constructor(core: Core, leases: Leases, throttle: Throttle) {
    this.#core = core;
    this.#leases = leases;
    this.#throttle = throttle;
  }

  /** A lane begins to read. */
  reads(lane: number): void {
    const last = this.#known.get(lane)?.last ?? 0;
    this.#known.set(lane, { readAt: this.#core.now(), last, shortSince: null });
  }

  /** A lane's log has told of its last sequence. */
  tellOf(lane: number, last: number): void {
    const known = this.#known.get(lane);
    if (known) known.last = Math.max(known.last, last);
  }

  /** With deliveries under way a lane waits for a whole lease, or a moment, so that events share reads and leases. */
  isWorthReading(lane: LaneRow, free: number, now: number): boolean {
    const known = this.#known.get(lane.id);
    if (known === undefined || this.#core.sql.inFlight().leases === 0) return true;
    const waiting = known.last - lane.next + 1;
    if (Math.min(free, waiting) >= this.#whole) return true;
    if (waiting <= free) return Math.abs(now - known.readAt) >= LINGER_MS;
    // A lease is made of few slots once, and then of as few each time it is settled, unless others join them.
    known.shortSince ??= now;
    return Math.abs(now - known.shortSince) >= SHORT_OF_SLOTS_MS;
  }

  get #whole(): number {
    return Math.min(this.#leases.share, Math.ceil(this.#core.concurrency / 2), this.#throttle.batch);
  }

  /** Without the slots that whole leases leave over; those wait for others, as far as `isWorthReading` lets them. */
  wholeLeases(slots: number): number {
    const { share } = this.#leases;
    return slots < share ? slots : slots - (slots % share);
  }
}
