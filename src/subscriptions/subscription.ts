import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import { settledWithin } from '../topics/timeout.ts';
import { Attaching } from './attaching.ts';
import { Attempts } from './attempts.ts';
import { Chores } from './chores.ts';
import { Claiming } from './claiming.ts';
import { Configuration } from './configuration.ts';
import { Core, type SubscriptionPorts } from './core.ts';
import { Deaths } from './deaths.ts';
import { isOverdue, nextDue } from './due.ts';
import { Lanes } from './lanes.ts';
import { Leases } from './leases.ts';
import { LetterWork } from './letter-work.ts';
import { REDRIVEN_MAX, STALLED_MS, VIEW_CONCURRENCY, WATCHDOG_MS } from './limits.ts';
import { Notices } from './notices.ts';
import { inParallel } from './parallel.ts';
import type {
  AttemptsQuery,
  AttemptView,
  ClaimResult,
  DeliveryTarget,
  DeliveryView,
  LetterJob,
  PutRequest,
  PutResult,
  RateLimit,
  ReplayView,
  SecretView,
  SeekResult,
  SettleRequest,
  SettleResult,
  StartReplayRequest,
  StartReplayResult,
  SubscriptionApi,
  SubscriptionView,
  TopicStanding,
} from './protocol.ts';
import { Replays } from './replays.ts';
import type { LaneRow } from './rows.ts';
import { Secrets } from './secrets.ts';
import { seek } from './seek.ts';
import { Settling } from './settling.ts';
import { Views } from './views.ts';

/**
 * A named, durable consumer: its lanes, its leases and what became of every delivery. Knows no HTTP. Everything it decides is one transaction; everything it owes is a row and an alarm.
 */
export class Subscription implements SubscriptionApi {
  readonly #core: Core;
  readonly #attempts: Attempts;
  readonly #deaths: Deaths;
  readonly #leases: Leases;
  readonly #claiming: Claiming;
  readonly #settling: Settling;
  readonly #secrets: Secrets;
  readonly #attaching: Attaching;
  readonly #lanes: Lanes;
  readonly #configuration: Configuration;
  readonly #letterWork: LetterWork;
  readonly #notices: Notices;
  readonly #replays: Replays;
  readonly #views: Views;
  readonly #chores: Chores;
  /** Changes of the configuration that wait for logs or D1 come one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(ports: SubscriptionPorts) {
    const core = new Core(ports);
    this.#core = core;
    this.#attempts = new Attempts(core);
    this.#deaths = new Deaths(core);
    this.#leases = new Leases(core, this.#deaths);
    this.#secrets = new Secrets(core);
    this.#notices = new Notices(core);
    this.#claiming = new Claiming(core, this.#leases, this.#deaths, this.#secrets);
    this.#settling = new Settling(core, this.#leases, this.#deaths, this.#attempts, (reason) =>
      this.#notices.disable(reason),
    );
    this.#attaching = new Attaching(core);
    this.#lanes = new Lanes(core, this.#leases, this.#deaths, this.#attaching);
    this.#configuration = new Configuration(core, this.#leases, this.#attaching, this.#secrets);
    this.#letterWork = new LetterWork(core, this.#deaths, this.#leases);
    this.#replays = new Replays(core, this.#leases);
    this.#views = new Views(core, this.#lanes, this.#configuration, this.#attempts);
    this.#chores = this.#makeChores();
    core.start(() => nextDue(core, this.#chores.nextDue(core.now())));
  }

  /** What is owed to D1 and to the logs. */
  #makeChores(): Chores {
    const core = this.#core;
    const { sql, ports } = core;
    const owedNow = (owed: boolean, now: number) => (owed ? now : null);
    const parts = {
      now: () => core.now(),
      within: (promise: Promise<unknown>, ms: number) => settledWithin(ports.clock, promise, ms),
      background: ports.background,
      ended: () => this.#go(),
      failed: (chore: string, delayMs: number, error: unknown) =>
        core.warn('a chore failed and will be tried again', { chore, delayMs, error: String(error) }),
    };
    return new Chores(parts, [
      {
        name: 'mirror',
        owed: (now) => owedNow(core.row?.mirror_dirty === 1, now),
        step: () => this.#configuration.mirror(),
      },
      {
        name: 'follow-patterns',
        // Topics are held against the patterns only once the catalogue has these.
        owed: (now) => owedNow(!!core.present && core.row?.attach_after != null && core.row.mirror_dirty === 0, now),
        step: () => this.#attaching.followPatterns(),
      },
      {
        name: 'attach-again',
        owed: (now) => owedNow(sql.attachingAfter(0, 1).length > 0, now),
        step: () => this.#attaching.attachAgain(),
      },
      { name: 'detach', owed: () => sql.firstDetachment()?.due ?? null, step: () => this.#attaching.detach() },
      { name: 'letters', owed: (now) => owedNow(sql.hasDirtyLetters(), now), step: () => this.#letterWork.flush() },
      {
        name: 'jobs',
        owed: (now) => {
          if (!core.present || !sql.job()) return null;
          return sql.hasRedriven(REDRIVEN_MAX) || core.tooManyExceptions ? now + WATCHDOG_MS : now;
        },
        step: () => this.#letterWork.jobStep(),
      },
      { name: 'replays', owed: (now) => owedNow(sql.unmirrored() !== null, now), step: () => this.#replays.mirror() },
      { name: 'notices', owed: (now) => owedNow(sql.notice() !== null, now), step: () => this.#notices.publish() },
    ]);
  }

  #oneAtATime<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(change, change);
    this.#changing = result.catch(() => undefined);
    return result;
  }

  // Configuration

  async put(request: PutRequest): Promise<PutResult> {
    return this.#oneAtATime(async () => {
      const result = await this.#configuration.put(request, async () => {
        const view = await this.#views.describe();
        if (!view) throw new Error('The subscription was deleted while it was being made.');
        return view;
      });
      this.#go();
      return result;
    });
  }

  describe(): Promise<SubscriptionView | null> {
    return this.#views.describe();
  }

  async remove(): Promise<boolean> {
    return this.#oneAtATime(async () => {
      if (!this.#configuration.remove()) return false;
      this.#go();
      // It is gone from the lists when the caller looks, if D1 can be reached.
      await this.#core.inTime(this.#configuration.mirror(), 'The catalogue').catch(() => false);
      return true;
    });
  }

  async pause(): Promise<SubscriptionView | null> {
    if (this.#core.present) this.#configuration.pause();
    return this.#views.describe();
  }

  async resume(): Promise<SubscriptionView | null> {
    if (this.#core.present) {
      this.#configuration.resume();
      this.#go();
    }
    return this.#views.describe();
  }

  async seek(request: { topic: string | null; to: Position }): Promise<SeekResult> {
    return this.#oneAtATime(async () => {
      const result = await seek(this.#core, this.#leases, this.#configuration, request);
      this.#go();
      return result;
    });
  }

  topics(): Promise<TopicStanding[] | null> {
    return this.#views.topics();
  }

  async secret(): Promise<SecretView | null> {
    return this.#secrets.view();
  }

  async rotateSecret(overlapMs: number): Promise<{ secret: string; previousExpiresAt: number } | null> {
    return this.#secrets.rotate(overlapMs);
  }

  async target(): Promise<DeliveryTarget | null> {
    return this.#core.present ? this.#claiming.target() : null;
  }

  async attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null> {
    return this.#core.present ? this.#attempts.list(query) : null;
  }

  async delivery(topic: string, sequence: number, type: string): Promise<DeliveryView> {
    return this.#views.delivery(topic, sequence, type);
  }

  // From the logs

  async wake(request: WakeRequest): Promise<WakeAnswer> {
    return this.#lanes.wake(request);
  }

  async topicAppeared(topic: string): Promise<void> {
    await this.#attaching.topicAppeared(topic);
    this.#go();
  }

  async overtake(request: OvertakeRequest): Promise<void> {
    this.#core.tx(() => this.#letterWork.overtake(request));
    this.#go();
  }

  // From the queue consumer

  async claim(lease: number): Promise<ClaimResult> {
    return this.#claiming.claim(lease);
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const result = this.#settling.settle(request);
    this.#go();
    return result;
  }

  // Replays

  async startReplay(request: StartReplayRequest): Promise<StartReplayResult> {
    const result = await this.#replays.start(request);
    this.#go();
    // It is in the lists when the caller looks, if D1 can be reached.
    await this.#core.inTime(this.#replays.mirror(), 'The catalogue').catch(() => false);
    return result;
  }

  async replay(id: string): Promise<ReplayView | null> {
    return this.#replays.view(id);
  }

  async changeReplay(id: string, rateLimit: RateLimit | null): Promise<ReplayView | null> {
    const view = this.#replays.change(id, rateLimit);
    this.#go();
    return view;
  }

  async cancelReplay(id: string): Promise<boolean> {
    return this.#replays.cancel(id);
  }

  // Dead letters

  async redrive(letter: { topic: string; sequence: number; event: string }): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#deaths.redrive(letter));
    this.#go();
    return true;
  }

  async discard(letter: { topic: string; sequence: number }): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#letterWork.discard(letter));
    this.#go();
    return true;
  }

  async startJob(job: LetterJob): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#core.sql.addJob(job.id, JSON.stringify(job)));
    this.#go();
    return true;
  }

  // Never in silence

  /** Starts what can be started, and what is owed to D1 and the logs. Never throws: the alarm tries again. */
  #go(): void {
    try {
      // Arms for what is owed.
      this.#core.tx(() => undefined);
      this.#lanes.pump();
      this.#chores.run();
    } catch (error) {
      this.#core.ports.log('error', 'work could not be started', {
        subscription: this.#core.ports.name,
        error: String(error),
      });
    }
  }

  /** Does what is due. A failure is counted, and the alarm is armed again whatever happens. */
  async alarm(): Promise<void> {
    await this.#core.onAlarm([
      () => this.#leases.handleDue(),
      () => this.#lanes.pump(),
      () => this.#markStalled(),
      () => this.#chores.run(),
    ]);
  }

  /** With something to deliver and no progress for a minute, the catalogue says so, and the cron sweep comes by. */
  #markStalled(): void {
    const row = this.#core.row;
    if (!this.#core.present || !row) return;
    const now = this.#core.now();
    const { sql } = this.#core;
    const first = sql.firstDue();
    const behind = sql.hasUnread() || sql.inFlight().leases > 0 || (first !== null && first.due < now - STALLED_MS);
    const stalled = behind && this.#core.running && !this.#core.failing && now - this.#core.progressAt > STALLED_MS;
    if (!behind) this.#core.progressAt = now;
    if (stalled === (row.stalled_at !== null)) return;
    this.#core.tx(() =>
      this.#core.setRow({ stalled_at: stalled ? now : null, mirror_version: row.mirror_version + 1, mirror_dirty: 1 }),
    );
  }

  /** Looks at everything as if nothing were known: alarm, parks, what is overdue. True if something had to be healed. */
  async sweep(): Promise<boolean> {
    if (!this.#core.row) return false;
    const lost = this.#core.alarmLost || isOverdue(this.#core);
    const parked = [...this.#configuration.liveLanes()].filter((lane) => lane.parked !== null);
    const woken = await inParallel(parked, VIEW_CONCURRENCY, (lane) => this.#wakeIfForgotten(lane));
    const healed = lost || woken.includes(true);
    if (healed) this.#core.tx(() => this.#core.row && this.#core.setRow({ healed: this.#core.row.healed + 1 }));
    await this.alarm();
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
      this.#core.laneFailed(lane.id, error);
      return false;
    }
  }
}
