import type { Core } from './core.ts';
import { PROBE_WITHIN_MS } from './limits.ts';
import { rateAllows } from './rate.ts';
import type { LaneRow } from './rows.ts';

/** A read under way keeps slots free for what it brings. */
export interface Reserved {
  reserved: number;
  replay: boolean;
}

/** How many deliveries may be out: `maxInFlight` of a subscription, one while its receiver fails. */
export class Slots {
  readonly #core: Core;
  readonly #reading: () => Iterable<Reserved>;

  constructor(core: Core, reading: () => Iterable<Reserved>) {
    this.#core = core;
    this.#reading = reading;
  }

  /** Slots that new events of any lane may take now. */
  free(now: number): number {
    if (this.#core.tooManyExceptions) return 0;
    const { live, replay, leases } = this.#core.sql.inFlight();
    const reserved = this.#reserved();
    if (this.#core.failing) return leases + reserved.readings === 0 && this.#mayProbeLog(now) ? 1 : 0;
    return this.#core.document.maxInFlight - live - replay - reserved.live - reserved.replay;
  }

  /** How many events this lane may take now: live goes first; a replay gets at most half, and what may start in a second. */
  of(lane: LaneRow, now: number): number {
    const free = this.free(now);
    if (lane.replay === null || free <= 0) return free;
    const inReplays = this.#core.sql.inFlight().replay + this.#reserved().replay;
    const half = Math.max(1, Math.floor(this.#core.document.maxInFlight / 2)) - inReplays;
    const unclaimed = lane.rate_count === null ? 0 : this.#unclaimed(lane.id);
    return Math.min(free, half, rateAllows(lane, now) - unclaimed);
  }

  /** How many due retries may be leased now. */
  forRetries(): number {
    const { live, replay, leases } = this.#core.sql.inFlight();
    const reserved = this.#reserved();
    if (this.#core.failing) return leases + reserved.readings === 0 ? 1 : 0;
    return this.#core.document.maxInFlight - live - replay - reserved.live - reserved.replay;
  }

  #reserved(): { live: number; replay: number; readings: number } {
    const sums = { live: 0, replay: 0, readings: 0 };
    for (const { reserved, replay } of this.#reading()) {
      sums[replay ? 'replay' : 'live'] += reserved;
      sums.readings += 1;
    }
    return sums;
  }

  /** Events of a lane that are leased and have no rate slot yet. */
  #unclaimed(lane: number): number {
    return this.#core.sql.leasesOf(lane).reduce((sum, lease) => sum + (lease.token === null ? lease.count : 0), 0);
  }

  /** The next event of the log is the probe only where no retry is due within five minutes. */
  #mayProbeLog(now: number): boolean {
    if (now < this.#core.probeAt(now)) return false;
    const first = this.#core.sql.firstDue();
    return first === null || first.due > now + PROBE_WITHIN_MS;
  }
}
