import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import { METRICS_LANES_MAX } from './limits.ts';
import { low } from './low.ts';
import type { LaneStandsAt, SubscriptionMetrics, SubscriptionStatus } from './protocol-views.ts';
import type { StatKeeping } from './stat-keeping.ts';
import { totalsOf } from './stats.ts';

/** What the subscription counts, for whoever watches the hub: from its own tables alone, no log is asked. */
export class Metrics {
  readonly #core: Core;
  readonly #configuration: Configuration;
  readonly #stats: StatKeeping;

  constructor(core: Core, configuration: Configuration, stats: StatKeeping) {
    this.#core = core;
    this.#configuration = configuration;
    this.#stats = stats;
  }

  /** Null if there is no subscription. */
  read(status: SubscriptionStatus): SubscriptionMetrics | null {
    const row = this.#core.present?.row;
    if (!row) return null;
    const { in_flight, retrying } = this.#core.sql.totals();
    const { behind, isWhole } = this.#behind();
    return {
      status,
      failing: this.#core.failing,
      attempts: totalsOf(this.#stats.current()),
      dead: JSON.parse(row.deaths),
      inFlight: in_flight,
      retrying,
      behind,
      isWhole,
      healed: row.healed,
      alarmFailures: row.alarm_failures,
    };
  }

  /** Lanes that are not simply asleep at the end of their topics. */
  #behind(): { behind: LaneStandsAt[]; isWhole: boolean } {
    const behind: LaneStandsAt[] = [];
    for (const lane of this.#configuration.liveLanes()) {
      if (lane.parked !== null && lane.in_flight + lane.retrying + lane.held === 0) continue;
      if (behind.length === METRICS_LANES_MAX) return { behind, isWhole: false };
      const lowest = low(this.#core, lane);
      // A parked lane with nothing below is at the end, wherever that is by now.
      if (lane.parked === null || lowest < lane.next) behind.push({ topic: lane.topic, cursor: lowest - 1 });
    }
    return { behind, isWhole: true };
  }
}
