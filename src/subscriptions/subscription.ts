import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import { Attempts } from './attempts.ts';
import { Configuration } from './configuration.ts';
import { CHORES, type Chore, Core, type SubscriptionPorts } from './core.ts';
import { Deaths } from './deaths.ts';
import { Lanes } from './lanes.ts';
import { Leases } from './leases.ts';
import { ATTACH_AT_ONCE, STALLED_MS } from './limits.ts';
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
import { seek } from './seek.ts';
import { Views } from './views.ts';

/**
 * A named, durable consumer: its lanes, its leases and what became of every delivery. Knows no HTTP. Everything it decides is one transaction; everything it owes is a row and an alarm.
 */
export class Subscription implements SubscriptionApi {
  readonly #core: Core;
  readonly #attempts: Attempts;
  readonly #deaths: Deaths;
  readonly #leases: Leases;
  readonly #lanes: Lanes;
  readonly #configuration: Configuration;
  readonly #replays: Replays;
  readonly #views: Views;
  /** Changes of the configuration that wait for logs or D1 come one after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #progressAt: number;

  constructor(ports: SubscriptionPorts) {
    this.#core = new Core(ports);
    this.#attempts = new Attempts(this.#core);
    this.#deaths = new Deaths(this.#core);
    this.#leases = new Leases(this.#core, this.#deaths, this.#attempts);
    this.#lanes = new Lanes(this.#core, this.#leases, this.#deaths);
    this.#configuration = new Configuration(this.#core, this.#leases);
    this.#replays = new Replays(this.#core, this.#configuration);
    this.#views = new Views(this.#core, this.#lanes, this.#configuration, this.#attempts);
    this.#progressAt = this.#core.now();
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
      // Best effort now, the alarm otherwise: it is gone from the lists when the caller looks.
      await this.#configuration.mirrorNow();
      this.#go();
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
    return this.#configuration.secrets();
  }

  async rotateSecret(overlapMs: number): Promise<{ secret: string; previousExpiresAt: number } | null> {
    return this.#configuration.rotateSecret(overlapMs);
  }

  async target(): Promise<DeliveryTarget | null> {
    return this.#core.present ? this.#leases.target() : null;
  }

  async attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null> {
    return this.#core.present ? this.#attempts.list(query) : null;
  }

  async delivery(topic: string, sequence: number, type: string): Promise<DeliveryView> {
    return this.#views.delivery(topic, sequence, type);
  }

  // From the logs

  async wake(request: WakeRequest): Promise<WakeAnswer> {
    this.#progressAt = this.#core.now();
    return this.#lanes.wake(request);
  }

  async topicAppeared(topic: string): Promise<void> {
    await this.#configuration.topicAppeared(topic);
    this.#go();
  }

  async overtake(request: OvertakeRequest): Promise<void> {
    this.#core.tx(() => this.#deaths.overtake(request, this.#takeBack));
    this.#go();
  }

  // From the queue consumer

  async claim(lease: number): Promise<ClaimResult> {
    return this.#leases.claim(lease);
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const result = this.#leases.settle(request);
    if (request.outcomes.length > 0) this.#progressAt = this.#core.now();
    this.#go();
    return result;
  }

  // Replays

  async startReplay(request: StartReplayRequest): Promise<StartReplayResult> {
    const result = await this.#replays.start(request);
    await this.#chore('replays', () => this.#replays.mirror());
    this.#go();
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
    this.#core.tx(() => this.#deaths.discard(letter, this.#takeBack));
    this.#go();
    return true;
  }

  async startJob(job: LetterJob): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#core.sql.addJob(job.id, JSON.stringify(job)));
    this.#go();
    return true;
  }

  readonly #takeBack = (lane: number, sequence: number) => this.#leases.takeBack(lane, sequence);

  // Never in silence

  /** Starts what can be started, and what is owed to D1 and the logs, without waiting for it. */
  #go(): void {
    this.#lanes.pump();
    this.#core.ports.background(this.#chores());
  }

  /** Does what is due. Never throws: a failure is counted, and the alarm is armed again whatever happens. */
  async alarm(): Promise<void> {
    this.#core.forgetAlarm();
    try {
      this.#leases.handleDue();
      this.#lanes.pump();
      this.#markStalled();
      this.#core.ports.background(this.#chores());
    } catch (error) {
      this.#core.ports.log('error', 'an alarm failed', { subscription: this.#core.ports.name, error: String(error) });
      this.#core.tx(() => {
        if (this.#core.row) this.#core.setRow({ alarm_failures: this.#core.row.alarm_failures + 1 });
      });
    } finally {
      this.#core.tx(() => undefined);
    }
  }

  /** One run at a time over everything owed; each chore stops at its own failure and is tried again later. */
  async #chores(): Promise<void> {
    if (this.#core.choresRunning) return;
    const since = this.#core.now();
    this.#core.choresSince = since;
    await this.#runChores();
    if (this.#core.choresSince === since) this.#core.choresSince = null;
    // Arms for what is still owed, and lets the lanes have what a chore changed.
    this.#core.tx(() => undefined);
    this.#lanes.pump();
  }

  async #runChores(): Promise<void> {
    for (const chore of CHORES) {
      while (this.#core.choreDue(chore)) {
        if (!(await this.#chore(chore, () => this.#step(chore)))) break;
      }
    }
  }

  async #step(chore: Chore): Promise<unknown> {
    switch (chore) {
      case 'mirror':
        return this.#configuration.mirror();
      case 'attach':
        return this.#configuration.attachPatterns(ATTACH_AT_ONCE);
      case 'letters':
        return this.#deaths.flush();
      case 'detach':
        return this.#configuration.detach();
      case 'jobs':
        return this.#deaths.jobStep(this.#takeBack);
      case 'replays':
        return this.#replays.mirror();
    }
  }

  /** True if the step succeeded. */
  async #chore(chore: Chore, step: () => Promise<unknown>): Promise<boolean> {
    try {
      await step();
      this.#core.choreDone(chore);
      return true;
    } catch (error) {
      this.#core.choreFailed(chore, error);
      return false;
    }
  }

  /** With something to read and no progress for a minute, the catalogue says so, and the cron sweep comes by. */
  #markStalled(): void {
    const row = this.#core.row;
    if (!this.#core.present || !row) return;
    const now = this.#core.now();
    const behind = this.#core.running && !this.#core.failing && this.#core.sql.unparked(1).length > 0;
    const stalled = behind && now - this.#progressAt > STALLED_MS;
    if (stalled === (row.stalled_at !== null)) return;
    this.#core.tx(() =>
      this.#core.setRow({ stalled_at: stalled ? now : null, mirror_version: row.mirror_version + 1, mirror_dirty: 1 }),
    );
  }

  /**
   * Looks at everything as if nothing were known: alarm, parks, what is overdue. True if something had to be healed.
   *
   * @throws if a log can't be asked
   */
  async sweep(): Promise<boolean> {
    if (!this.#core.row) return false;
    const overdue = (this.#core.nextDue() ?? Number.POSITIVE_INFINITY) < this.#core.now() - STALLED_MS;
    this.#core.forgetAlarm();
    this.#core.tx(() => undefined);
    let healed = overdue;
    for (const lane of [...this.#configuration.liveLanes()]) {
      if (lane.parked === null) continue;
      const { parked } = await this.#core.ports.topicLog(lane.topic).standing(this.#core.ports.name);
      if (parked?.ticket === lane.parked) continue;
      this.#core.tx(() => {
        if (this.#core.sql.lane(lane.id)?.parked !== lane.parked) return;
        this.#core.sql.setLane(lane.id, { parked: null });
        healed = true;
      });
    }
    if (healed) this.#core.tx(() => this.#core.row && this.#core.setRow({ healed: this.#core.row.healed + 1 }));
    await this.alarm();
    return healed;
  }
}
