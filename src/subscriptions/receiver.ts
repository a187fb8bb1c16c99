import { formatDuration } from '../events/duration-text.ts';
import type { Attempted } from './attempts.ts';
import type { Core } from './core.ts';
import { disableDue, nextProbe } from './due.ts';
import { health, isSuccess } from './health.ts';
import type { Leases } from './leases.ts';
import { SLOW_LATENCY_MS } from './limits.ts';
import { pressure } from './pressure.ts';
import type { HealthView } from './protocol-views.ts';
import type { LeaseRow } from './rows.ts';
import type { Throttle } from './throttle.ts';
import type { ToldHealth } from './told-health.ts';

/** How the receiver does, and what is asked of it because of that. */
export class Receiver {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #throttle: Throttle;
  readonly #toldHealth: ToldHealth;

  constructor(core: Core, leases: Leases, throttle: Throttle, toldHealth: ToldHealth) {
    this.#core = core;
    this.#leases = leases;
    this.#throttle = throttle;
    this.#toldHealth = toldHealth;
  }

  /** Learns from what became of a lease's events. Only inside `tx`. */
  learn(lease: Pick<LeaseRow, 'retry' | 'target_version'>, attempted: Attempted[]): void {
    const row = this.#core.row;
    // A streak counts for the present url only.
    const counts = row?.disabled_reason === null && lease.target_version === row.target_version;
    if (!row || !counts || attempted.length === 0) return;
    const now = this.#core.now();
    const { maxInFlight, disableAfterMs } = this.#core.document;
    const next = {
      ...health(row, attempted, {
        now,
        maxInFlight,
        slowLatencyMs: SLOW_LATENCY_MS,
        probedLog: lease.retry === 0 && now >= this.#core.probeAt(now),
      }),
      ...pressure(row, attempted, { now, maxInFlight }),
    };
    if (Object.entries(next).some(([name, value]) => Reflect.get(row, name) !== value)) this.#core.setRow(next);
    this.#toldHealth.settled(attempted.some(isSuccess));
    if (next.streak > 0 && next.failing_since !== null && now - next.failing_since >= disableAfterMs)
      this.#toldHealth.disable(hopeless(disableAfterMs));
  }

  /** The same of what is settled by ack ids. Of those who pull it says nothing: they ask when they are well. Only inside `tx`. */
  learnHeld(lease: Pick<LeaseRow, 'retry' | 'target_version'>, attempted: Attempted[]): void {
    if (this.#core.document.delivery.kind === 'queue') this.learn(lease, attempted.map(withoutItsWait));
  }

  /** The alarm's part: what waits for it is told when a receiver need not be waited for any more, and when it is no use. */
  handleDue(): void {
    const now = this.#core.now();
    const { row, retryAfter } = this.#core;
    if (row?.retry_after != null && retryAfter === null) {
      this.#core.progressAt = now;
      this.#leases.send(
        this.#core.tx(() => {
          this.#core.setRow({ retry_after: null });
          return this.#core.running ? this.#leases.resendAll() : [];
        }),
      );
    }
    if (this.#core.locked !== null || row?.obstacle != null) this.#core.tx(() => this.#toldHealth.handleDue());
    const disableAt = disableDue(this.#core);
    if (disableAt !== null && disableAt <= now)
      this.#core.tx(() => this.#toldHealth.disable(hopeless(this.#core.document.disableAfterMs)));
  }

  /** @throws if there is no subscription */
  view(): HealthView {
    const { row, failing, concurrency, retryAfter } = this.#core;
    const isSlowed = row?.concurrency != null || retryAfter !== null;
    return {
      state: failing ? 'failing' : isSlowed ? 'slowed' : 'healthy',
      concurrency: failing ? 1 : concurrency,
      since: (failing ? row?.failing_since : row?.slowed_since) ?? null,
      nextProbeAt: failing ? nextProbe(this.#core, this.#throttle) : null,
      retryAfter,
    };
  }
}

/** How long a delivery lay in the queue of its consumer says nothing of how slow that is. */
function withoutItsWait(outcome: Attempted): Attempted {
  return { ...outcome, at: outcome.at + outcome.latencyMs, latencyMs: 0 };
}

function hopeless(disableAfterMs: number): string {
  return `The receiver has failed for ${formatDuration(disableAfterMs)} without one success.`;
}
