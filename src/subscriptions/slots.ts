import { settledWithin } from '../topics/timeout.ts';
import type { Core } from './core.ts';
import { LATE_READERS_MAX, LOG_SILENT_MS, PROBE_WITHIN_MS, READ_GIVEN_UP_MS, READERS_MAX } from './limits.ts';
import type { LaneRow } from './rows.ts';
import type { Throttle } from './throttle.ts';

/** A read under way keeps slots free for what it brings. */
export interface Reserved {
  since: number;
  reserved: number;
  /** Its log has been silent for too long: it keeps none free any more. */
  late: boolean;
  replay: boolean;
}

/** Are so many logs being read that another would be too many? Those that are late don't count, as far as they are few. */
export function areTooMany(readings: Iterable<Reserved>): boolean {
  const counts = { timely: 0, late: 0 };
  for (const { late } of readings) counts[late ? 'late' : 'timely'] += 1;
  return counts.timely + Math.max(0, counts.late - LATE_READERS_MAX) >= READERS_MAX;
}

/**
 * How many more deliveries may be out: in all `maxInFlight`, fewer after the receiver pushed back, one while it fails; and no
 * more than may start soon by the rate limit.
 */
export class Slots {
  readonly #core: Core;
  readonly #throttle: Throttle;
  readonly #reading: () => Iterable<Reserved>;

  constructor(core: Core, throttle: Throttle, reading: () => Iterable<Reserved>) {
    this.#core = core;
    this.#throttle = throttle;
    this.#reading = reading;
  }

  /** Slots that new events of any lane may take now. */
  free(now: number): number {
    if (this.#core.isFull || (this.#core.failing && !this.#mayProbeLog(now))) return 0;
    return this.forRetries(now);
  }

  /** How many events this lane may take now: live goes first; a replay gets at most half, and what its own rate allows. */
  of(lane: LaneRow, now: number): number {
    const free = this.free(now);
    if (lane.replay === null || free <= 0) return free;
    const inReplays = this.#core.sql.inFlight().replay + this.#reserved().replay;
    const half = Math.max(1, Math.floor(this.#core.concurrency / 2)) - inReplays;
    return Math.min(free, half, this.#throttle.allowsIn(lane, now));
  }

  /** How many due retries may be leased now. */
  forRetries(now: number): number {
    const { live, replay, leases } = this.#core.sql.inFlight();
    const reserved = this.#reserved();
    const room = this.#core.failing
      ? 1 - leases - reserved.readings
      : this.#core.concurrency - live - replay - reserved.live - reserved.replay;
    const allowed = Math.min(this.#throttle.allows(now), this.#asked());
    return Math.min(room, allowed - reserved.live - reserved.replay);
  }

  /** Where it is pulled: what is asked for, and not leased already. */
  #asked(): number {
    return this.#core.isPulled ? this.#core.asked - this.#core.sql.unclaimed() : Number.POSITIVE_INFINITY;
  }

  /** What a read brings; once its log is late others begin, told by `others`, and its lane backs off from more. */
  async untilRead<T>(lane: number, reading: Reserved, read: Promise<T>, others: () => void): Promise<T> {
    if (!(await settledWithin(this.#core.ports.clock, read, LOG_SILENT_MS))) {
      reading.late = true;
      reading.reserved = 0;
      this.#core.silence.late(lane);
      others();
    }
    return read;
  }

  /** An answer that never comes must not hold its lane, nor the slots kept for it. */
  giveUpIn(readings: Map<number, Reserved>, now: number): void {
    for (const [lane, { since }] of readings) {
      if (Math.abs(now - since) <= READ_GIVEN_UP_MS) continue;
      readings.delete(lane);
      this.#core.silence.failed(lane, 'It has not answered at all.', since + READ_GIVEN_UP_MS);
    }
  }

  /** How many of the slots that were kept for a read are there for what it brought. */
  left(lane: LaneRow, { late }: Reserved, kept: number): number {
    return late ? Math.max(0, Math.min(kept, this.of(lane, this.#core.now()))) : kept;
  }

  #reserved(): { live: number; replay: number; readings: number } {
    const sums = { live: 0, replay: 0, readings: 0 };
    for (const { reserved, replay, late } of this.#reading()) {
      sums[replay ? 'replay' : 'live'] += reserved;
      if (!late) sums.readings += 1;
    }
    return sums;
  }

  /** The next event of the log is the probe only where no retry is due within five minutes. */
  #mayProbeLog(now: number): boolean {
    if (now < this.#core.probeAt(now)) return false;
    const first = this.#core.silence.firstDue(now);
    return first === null || first.due > now + PROBE_WITHIN_MS;
  }
}
