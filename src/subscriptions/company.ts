import type { Core } from './core.ts';
import type { Leases } from './leases.ts';
import { COMPANY_MIN, COMPANY_MS, LINGER_MS, SHORT_OF_SLOTS_MS } from './limits.ts';
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
  /** How many events came lately in the time that is waited for company, and when the last of them did. */
  flow: { at: number; events: number };
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

  /** A lane begins to read, or takes what a wake brings. */
  reads(lane: number): void {
    const now = this.#core.now();
    const { last = 0, flow = { at: now, events: 0 } } = this.#known.get(lane) ?? {};
    this.#known.set(lane, { readAt: now, last, shortSince: null, flow });
  }

  /** A lane has leased new events. */
  took(lane: number, events: number): void {
    const known = this.#known.get(lane);
    const now = this.#core.now();
    if (known) known.flow = { at: now, events: decayed(known, now) + events };
  }

  /** A lane's log has told of its last sequence. */
  tellOf(lane: number, last: number): void {
    const known = this.#known.get(lane);
    if (known) known.last = Math.max(known.last, last);
  }

  /**
   * Where much comes, or deliveries are under way, a lane waits for a whole lease, or a while, so that events share reads and
   * leases: a lease costs as many calls for one event as for fifty.
   */
  isWorthReading(lane: LaneRow, free: number, now: number): boolean {
    const known = this.#known.get(lane.id);
    // Who pulls has waited long enough.
    if (known === undefined || this.#core.isPulled) return true;
    const company = this.#comingWithin(known.flow.events);
    if (company === null && this.#core.sql.inFlight().leases === 0) return true;
    const waiting = known.last - lane.next + 1;
    if (Math.min(free, waiting) >= this.#whole) return true;
    if (waiting <= free) return Math.abs(now - known.readAt) >= (company ?? LINGER_MS);
    // A lease is made of few slots once, and then of as few each time it is settled, unless others join them.
    known.shortSince ??= now;
    return Math.abs(now - known.shortSince) >= SHORT_OF_SLOTS_MS;
  }

  /** Does so much come that a lane that could be read at once should rather wait? */
  isBusy(lane: LaneRow, now: number): boolean {
    const known = this.#known.get(lane.id);
    return known !== undefined && decayed(known, now) >= COMPANY_MIN;
  }

  /** In how many milliseconds a lease's worth of events will have come; null: not soon enough to wait for them. */
  #comingWithin(flow: number): number | null {
    if (flow < COMPANY_MIN) return null;
    return Math.min(COMPANY_MS, Math.max(LINGER_MS, (COMPANY_MS * this.#whole) / flow));
  }

  get #whole(): number {
    return Math.min(this.#leases.sizes.share, Math.ceil(this.#core.concurrency / 2), this.#throttle.batch);
  }

  /** Without the slots that whole leases leave over; those wait for others, as far as `isWorthReading` lets them. */
  wholeLeases(slots: number): number {
    const { share } = this.#leases.sizes;
    return slots < share ? slots : slots - (slots % share);
  }
}

/** What came longer ago counts for less. */
function decayed({ flow }: Known, now: number): number {
  return flow.events * Math.exp(-Math.max(0, now - flow.at) / COMPANY_MS);
}
