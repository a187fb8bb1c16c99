import type { Attempted } from './attempts.ts';
import type { Core } from './core.ts';
import { attemptMaxMs, isBatch, leaseEventsMax } from './delivery-kinds.ts';
import { LEASE_EVENTS_MIN, LEASES_WANTED, LEASES_WANTED_SWIFT, POOL_SIZE, SWIFT_LATENCY_MS } from './limits.ts';
import type { LeaseRow } from './rows.ts';
import type { Throttle } from './throttle.ts';

/** How large leases are, by what is delivered how and how the receiver has answered of late. */
export class LeaseSizes {
  readonly #core: Core;
  readonly #throttle: Throttle;
  /** How a target has answered of late. */
  #learned: { target: number; latencyMs: number; swift: boolean } | null = null;

  constructor(core: Core, throttle: Throttle) {
    this.#core = core;
    this.#throttle = throttle;
  }

  /**
   * How many events a lease may hold: what the consumer can finish even if each call runs into its timeout; where the
   * receiver has answered swiftly of late, as many as any. Should it begin to hang, the rest of one lease goes back.
   */
  get #most(): number {
    const { delivery, ordering } = this.#core.document;
    const alone = ordering !== 'none' || this.#throttle.distance !== null;
    return Math.min(leaseEventsMax(delivery, { alone, swift: this.swift }), this.#pacedSize);
  }

  /** Has the present target answered swiftly of late? */
  get swift(): boolean {
    return this.#present?.swift ?? false;
  }

  /** How many retries a lease may hold. */
  get retriesMax(): number {
    return Math.min(leaseEventsMax(this.#core.document.delivery, { alone: true, swift: false }), this.#pacedSize);
  }

  /**
   * With a rate limit a lease holds no more than the consumer can start at their slots: as many as its pool, unless that is
   * free again each time it is needed.
   */
  get #pacedSize(): number {
    const { distance } = this.#throttle;
    const latency = this.#present?.latencyMs ?? attemptMaxMs(this.#core.document.delivery);
    return distance === null || latency <= POOL_SIZE * distance ? Number.POSITIVE_INFINITY : POOL_SIZE;
  }

  /** What was learned of the present target. */
  get #present() {
    return this.#learned?.target === this.#core.row?.target_version ? this.#learned : null;
  }

  /**
   * How many events a new lease holds at most. Each lease is sent six at a time, so that more of them
   * are faster; each costs a settle, and a message and a claim unless it follows another, so that fewer of them are cheaper.
   */
  get share(): number {
    const { delivery } = this.#core.document;
    if (isBatch(delivery)) return delivery.maxBatch;
    // Nobody sends it: it is as large as what somebody asks for.
    if (delivery.kind === 'pull') return Math.max(1, this.#core.askedNext);
    const wanted = this.swift ? LEASES_WANTED_SWIFT : LEASES_WANTED;
    const share = Math.floor(this.#core.concurrency / wanted);
    return Math.min(this.#most, Math.max(share, LEASE_EVENTS_MIN));
  }

  /** Learns from what became of a lease's events. */
  learn(lease: LeaseRow, attempted: Attempted[]): void {
    if (attempted.length === 0) return;
    const latencyMs = attempted.reduce((sum, outcome) => sum + outcome.latencyMs, 0) / attempted.length;
    const swift =
      attempted.every(({ kind, status }) => kind !== 'failed' || status !== null) && latencyMs <= SWIFT_LATENCY_MS;
    this.#learned = { target: lease.target_version, latencyMs, swift };
  }
}
