import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import { settledWithin } from '../topics/timeout.ts';
import { Attaching } from './attaching.ts';
import { Attempts } from './attempts.ts';
import { Chores } from './chores.ts';
import { Claiming } from './claiming.ts';
import { Configuration } from './configuration.ts';
import { Consent } from './consent.ts';
import { ConsumerDeaths } from './consumer-deaths.ts';
import { Core, type SubscriptionPorts } from './core.ts';
import { Deaths } from './deaths.ts';
import { DeliveryWatch } from './delivery-watch.ts';
import type { RateLimit } from './document.ts';
import { nextDue } from './due.ts';
import { Held } from './held.ts';
import { Lanes } from './lanes.ts';
import { Leases } from './leases.ts';
import { LetterWork } from './letter-work.ts';
import { Metrics } from './metrics.ts';
import { Notices } from './notices.ts';
import { Order } from './order.ts';
import { chores } from './owed.ts';
import type {
  AttemptsQuery,
  ConsentAnswer,
  ConsentRequest,
  ConsumerDeath,
  DeliveryWaitRequest,
  LetterJob,
  Locked,
  NoWebhook,
  PutRequest,
  PutResult,
  RotatedSecret,
  SecretView,
  SeekResult,
  StartReplayRequest,
  StartReplayResult,
  SubscriptionApi,
} from './protocol.ts';
import type { AckRequest, AckResult, ExtendRequest, NackRequest, PullRequest, PullResult } from './protocol-acks.ts';
import type { ClaimResult, DeliveryTarget, SettleRequest, SettleResult } from './protocol-claims.ts';
import type {
  AttemptView,
  ConfigurationView,
  DeliveryView,
  ReplayView,
  SubscriptionMetrics,
  SubscriptionView,
  TopicStanding,
} from './protocol-views.ts';
import { Pulling } from './pulling.ts';
import { Receiver } from './receiver.ts';
import { Replays } from './replays.ts';
import { Secrets } from './secrets.ts';
import { seek } from './seek.ts';
import { Settling } from './settling.ts';
import { StatKeeping } from './stat-keeping.ts';
import { Successors } from './successors.ts';
import { Throttle } from './throttle.ts';
import { ToldHealth } from './told-health.ts';
import { Views } from './views.ts';
import { Watch } from './watch.ts';
import type { SignatureScheme } from './webhook-keys.ts';

/**
 * A named, durable consumer: its lanes, its leases and what became of every delivery. Knows no HTTP. Everything it decides is one transaction; everything it owes is a row and an alarm.
 */
export class Subscription implements SubscriptionApi {
  readonly #core: Core;
  readonly #attempts: Attempts;
  readonly #deaths: Deaths;
  readonly #throttle: Throttle;
  readonly #leases: Leases;
  readonly #claiming: Claiming;
  readonly #receiver: Receiver;
  readonly #settling: Settling;
  readonly #held: Held;
  readonly #secrets: Secrets;
  readonly #attaching: Attaching;
  readonly #lanes: Lanes;
  readonly #pulling: Pulling;
  readonly #successors: Successors;
  readonly #consent: Consent;
  readonly #configuration: Configuration;
  readonly #letterWork: LetterWork;
  readonly #notices: Notices;
  readonly #replays: Replays;
  readonly #views: Views;
  readonly #consumerDeaths: ConsumerDeaths;
  readonly #deliveryWatch: DeliveryWatch;
  readonly #chores: Chores;
  readonly #watch: Watch;
  readonly #metrics: Metrics;
  /** Changes of the configuration that wait for logs or D1 come one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(ports: SubscriptionPorts) {
    const core = new Core(ports);
    this.#core = core;
    const order = new Order(core);
    const stats = new StatKeeping(core);
    this.#attempts = new Attempts(core, stats);
    this.#notices = new Notices(core);
    this.#deaths = new Deaths(core, this.#notices);
    this.#throttle = new Throttle(core);
    this.#leases = new Leases(core, this.#deaths, this.#notices, this.#throttle);
    this.#secrets = new Secrets(core);
    this.#claiming = new Claiming(core, {
      leases: this.#leases,
      deaths: this.#deaths,
      order,
      secrets: this.#secrets,
      throttle: this.#throttle,
    });
    const toldHealth = new ToldHealth(core, this.#notices);
    this.#receiver = new Receiver(core, this.#leases, this.#throttle, toldHealth);
    this.#settling = new Settling(core, {
      leases: this.#leases,
      deaths: this.#deaths,
      attempts: this.#attempts,
      receiver: this.#receiver,
      throttle: this.#throttle,
      toldHealth,
    });
    this.#held = new Held(core, this.#settling);
    this.#attaching = new Attaching(core);
    this.#lanes = new Lanes(core, {
      leases: this.#leases,
      deaths: this.#deaths,
      order,
      attaching: this.#attaching,
      throttle: this.#throttle,
    });
    this.#consent = new Consent(core, this.#leases);
    this.#configuration = new Configuration(
      core,
      this.#leases,
      this.#attaching,
      this.#secrets,
      this.#notices,
      this.#consent,
    );
    this.#pulling = new Pulling(core, {
      leases: this.#leases,
      claiming: this.#claiming,
      lanes: this.#lanes,
      configuration: this.#configuration,
    });
    this.#successors = new Successors(core, this.#claiming, this.#lanes);
    this.#leases.passedOn = (lease) => this.#successors.take(lease);
    this.#lanes.looked = () => {
      this.#pulling.tellWhoRests();
      this.#successors.endInVain();
    };
    this.#letterWork = new LetterWork(core, this.#deaths, this.#leases);
    this.#replays = new Replays(core, this.#leases, this.#notices);
    this.#views = new Views(core, this.#configuration, this.#attempts, stats, this.#receiver);
    this.#consumerDeaths = new ConsumerDeaths(core, {
      attempts: this.#attempts,
      deaths: this.#deaths,
      held: this.#held,
      views: this.#views,
    });
    this.#deliveryWatch = new DeliveryWatch(core);
    this.#metrics = new Metrics(core, this.#configuration, stats);
    this.#watch = new Watch(core, this.#configuration, this.#throttle);
    const work = {
      configuration: this.#configuration,
      attaching: this.#attaching,
      letterWork: this.#letterWork,
      replays: this.#replays,
      notices: this.#notices,
    };
    this.#chores = new Chores(
      {
        now: () => core.now(),
        within: (promise, ms) => settledWithin(ports.clock, promise, ms),
        background: ports.background,
        ended: () => {
          // Arms for what is still owed; a chore may have given others, and the lanes, something to do.
          core.arm();
          this.#go();
        },
        failed: (chore, delayMs, error) =>
          core.warn('a chore failed and will be tried again', { chore, delayMs, error: String(error) }),
      },
      chores(core, work),
    );
    const parts = {
      consent: this.#consent,
      throttle: this.#throttle,
      roomForRetries: (now: number) => this.#lanes.roomForRetries(now),
    };
    core.start(() => nextDue(core, parts, this.#chores.nextDue(core.now())));
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

  async configuration(): Promise<ConfigurationView | null> {
    return this.#configuration.view();
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

  async secret(): Promise<SecretView | NoWebhook | Locked | null> {
    return this.#secrets.view();
  }

  async rotateSecret(overlapMs: number, scheme?: SignatureScheme): Promise<RotatedSecret | NoWebhook | Locked | null> {
    return this.#secrets.rotate(overlapMs, scheme);
  }

  async reseal(): Promise<{ resealed: boolean } | Locked | null> {
    const { present, locked } = this.#core;
    if (present === null) return null;
    if (locked !== null) return { locked };
    const resealed = this.#secrets.reseal();
    // Whoever counts what depends on the old one sees it, if D1 can be reached.
    await this.#core.inTime(this.#configuration.mirror(), 'The catalogue').catch(() => false);
    return { resealed };
  }

  async target(): Promise<DeliveryTarget | Locked | null> {
    const { present, locked } = this.#core;
    if (present === null) return null;
    return locked === null ? this.#claiming.target() : { locked };
  }

  async consentRequest(hub: string | null): Promise<ConsentRequest | null> {
    return this.#consent.request(hub);
  }

  async consentAnswer(answer: ConsentAnswer): Promise<boolean> {
    const known = this.#consent.answer(answer);
    this.#go();
    return known;
  }

  async attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null> {
    return this.#core.present ? this.#attempts.list(query) : null;
  }

  async delivery(topic: string, sequence: number, json: string): Promise<DeliveryView> {
    return this.#views.delivery(topic, { sequence, json });
  }

  async deliveryOtherThan({ topic, sequence, json, known, waitMs }: DeliveryWaitRequest): Promise<DeliveryView> {
    return this.#deliveryWatch.otherThan(known, waitMs, () => this.#views.delivery(topic, { sequence, json }));
  }

  async metrics(): Promise<SubscriptionMetrics | null> {
    return this.#metrics.read(this.#views.status());
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
    const result = await this.#claiming.claim(lease);
    // Whatever it held is free for others.
    if (result.outcome === 'void') this.#go();
    return result;
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const given = request.goesOn === true ? this.#successors.givenAfter(request) : null;
    if (given !== null) return { outcome: 'settled', remaining: 0, next: given };
    const result = this.#settling.settle(request);
    const isDone = result.outcome === 'settled' && result.remaining === 0 && result.stop !== true;
    if (!isDone || request.goesOn !== true) return this.#andGo(result);
    const next = await this.#successors.next(request, () => this.#go());
    return next === null ? result : { ...result, next };
  }

  // By ack ids

  async pull(request: PullRequest): Promise<PullResult> {
    this.#held.handleDue();
    return this.#pulling.pull(request);
  }

  async hangUp(puller: string): Promise<void> {
    this.#pulling.hangUp(puller);
  }

  async ack(request: AckRequest): Promise<AckResult> {
    return this.#andGo(this.#held.ack(request));
  }

  async nack(request: NackRequest): Promise<AckResult> {
    return this.#andGo(this.#held.nack(request));
  }

  async extend(request: ExtendRequest): Promise<AckResult> {
    return this.#held.extend(request);
  }

  #andGo<T>(result: T): T {
    this.#go();
    return result;
  }

  // From consumers' own queues

  async consumerDied(death: ConsumerDeath): Promise<boolean> {
    const known = await this.#consumerDeaths.died(death);
    this.#go();
    return known;
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
      this.#pulling.answerInVain();
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
      () => this.#core.tx(() => this.#throttle.mend(this.#core.now())),
      () => this.#receiver.handleDue(),
      () => this.#leases.handleDue(),
      () => this.#held.handleDue(),
      () => this.#lanes.pump(),
      () => this.#consent.askWhenDue(),
      () => this.#watch.markStalled(),
      () => this.#chores.run(),
    ]);
  }

  /** Looks at everything as if nothing were known: alarm, parks, what is overdue. True if something had to be healed. */
  async sweep(): Promise<boolean> {
    if (!this.#core.row) return false;
    this.#secrets.reseal();
    const healed = await this.#watch.heal();
    this.#core.alarm.forget();
    await this.alarm();
    this.#attempts.trim();
    return healed;
  }
}
