import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import { isOverdue } from './due.ts';
import { RATE_WAIT_MAX_MS, STALLED_MS, VIEW_CONCURRENCY } from './limits.ts';
import { inParallel } from './parallel.ts';
import type { LaneRow } from './rows.ts';
import type { Throttle } from './throttle.ts';

/** Sees to it that a subscription which stands still is found. */
export class Watch {
  readonly #core: Core;
  readonly #configuration: Configuration;
  readonly #throttle: Throttle;

  constructor(core: Core, configuration: Configuration, throttle: Throttle) {
    this.#core = core;
    this.#configuration = configuration;
    this.#throttle = throttle;
  }

  /** With something to deliver and no progress for a minute, the catalogue says so, and the cron sweep comes by. */
  markStalled(): void {
    const row = this.#core.present?.row;
    if (!row) return;
    const { sql } = this.#core;
    const now = this.#core.now();
    const first = this.#core.silence.firstDue(now);
    const overdue = first !== null && first.due < now - STALLED_MS;
    // A topic in order waits for the retry of its first event, however long that takes.
    const waits = this.#core.ordering === 'topic' && first !== null && first.due > now;
    const more = !waits && (sql.hasUnread() || sql.lanesWithOpenHolds().length > 0);
    const behind = more || sql.inFlight().leases > 0 || overdue;
    if (!behind) this.#core.progressAt = now;
    const held = this.#core.failing || row.obstacle !== null;
    // What waits for a rate slot may well wait for longer.
    const since = Math.max(this.#core.progressAt, Math.min(this.#throttle.readyAt ?? 0, now + RATE_WAIT_MAX_MS));
    // What nobody pulls does not stand still: it is not asked for.
    const stalled = this.#core.running && !this.#core.isPulled && !held && now - since > STALLED_MS;
    if (stalled === (row.stalled_at !== null)) return;
    this.#core.tx(() =>
      this.#core.setRow({ stalled_at: stalled ? now : null, mirror_version: row.mirror_version + 1, mirror_dirty: 1 }),
    );
  }

  /**
   * Looks at parks and at what is overdue as if nothing were known, and counts it if something had to be healed; the alarm's
   * work has to follow.
   */
  async heal(): Promise<boolean> {
    const lost = this.#core.alarm.isLost || isOverdue(this.#core, this.#throttle);
    const parked = [...this.#configuration.liveLanes()].filter((lane) => lane.parked !== null);
    const woken = await inParallel(parked, VIEW_CONCURRENCY, (lane) => this.#wakeIfForgotten(lane));
    const healed = lost || woken.includes(true);
    const row = this.#core.row;
    if (healed && row) this.#core.tx(() => this.#core.setRow({ healed: row.healed + 1 }));
    return healed;
  }

  /** A lane that thinks it is parked where its log does not know it reads again; true if that was so. */
  async #wakeIfForgotten(lane: LaneRow): Promise<boolean> {
    const { sql } = this.#core;
    try {
      const { parked } = await this.#core.ask(lane.topic, (log) => log.standing(this.#core.ports.name));
      if (parked?.ticket === lane.parked || sql.lane(lane.id)?.parked !== lane.parked) return false;
      this.#core.tx(() => sql.setLane(lane.id, { parked: null }));
      return true;
    } catch (error) {
      this.#core.silence.failed(lane.id, error);
      return false;
    }
  }
}
