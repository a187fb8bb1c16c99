import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import { settledWithin } from '../topics/timeout.ts';
import { Chores } from './chores.ts';
import { Core, type SubscriptionPorts } from './core.ts';
import type { RateLimit } from './document.ts';
import { nextDue } from './due.ts';
import { chores } from './owed.ts';
import { type Parts, putTogether } from './parts.ts';
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
import { seek } from './seek.ts';
import { presentTarget } from './target.ts';
import type { SignatureScheme } from './webhook-keys.ts';

/**
 * A named, durable consumer: its lanes, its leases and what became of every delivery. Knows no HTTP. Everything it decides is one
 * transaction; everything it owes is a row and an alarm.
 */
export class Subscription implements SubscriptionApi {
  readonly #core: Core;
  readonly #parts: Parts;
  readonly #chores: Chores;
  /** Changes of the configuration that wait for logs or D1 come one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(ports: SubscriptionPorts) {
    const core = new Core(ports);
    const parts = putTogether(core);
    this.#core = core;
    this.#parts = parts;
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
      chores(core, parts),
    );
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
      const result = await this.#parts.configuration.put(request, async () => {
        const view = await this.#parts.views.describe();
        if (!view) throw new Error('The subscription was deleted while it was being made.');
        return view;
      });
      this.#go();
      return result;
    });
  }

  describe(): Promise<SubscriptionView | null> {
    return this.#parts.views.describe();
  }

  async configuration(): Promise<ConfigurationView | null> {
    return this.#parts.configuration.view();
  }

  async remove(): Promise<boolean> {
    return this.#oneAtATime(async () => {
      if (!this.#parts.configuration.remove()) return false;
      this.#go();
      // It is gone from the lists when the caller looks, if D1 can be reached.
      await this.#core.inTime(this.#parts.configuration.mirror(), 'The catalogue').catch(() => false);
      return true;
    });
  }

  async pause(): Promise<SubscriptionView | null> {
    if (this.#core.present) this.#parts.configuration.pause();
    return this.#parts.views.describe();
  }

  async resume(): Promise<SubscriptionView | null> {
    if (this.#core.present) {
      this.#parts.configuration.resume();
      this.#go();
    }
    return this.#parts.views.describe();
  }

  async seek(request: { topic: string | null; to: Position }): Promise<SeekResult> {
    return this.#oneAtATime(async () => {
      const result = await seek(this.#core, this.#parts.withdrawing, this.#parts.configuration, request);
      this.#go();
      return result;
    });
  }

  topics(): Promise<TopicStanding[] | null> {
    return this.#parts.views.topics();
  }

  async secret(): Promise<SecretView | NoWebhook | Locked | null> {
    return this.#parts.secrets.view();
  }

  async rotateSecret(overlapMs: number, scheme?: SignatureScheme): Promise<RotatedSecret | NoWebhook | Locked | null> {
    return this.#parts.secrets.rotate(overlapMs, scheme);
  }

  async reseal(): Promise<{ resealed: boolean } | Locked | null> {
    const { present, locked } = this.#core;
    if (present === null) return null;
    if (locked !== null) return { locked };
    const resealed = this.#parts.secrets.reseal();
    // Whoever counts what depends on the old one sees it, if D1 can be reached.
    await this.#core.inTime(this.#parts.configuration.mirror(), 'The catalogue').catch(() => false);
    return { resealed };
  }

  async target(): Promise<DeliveryTarget | Locked | null> {
    const { present, locked } = this.#core;
    if (present === null) return null;
    return locked === null ? presentTarget(this.#core, this.#parts.secrets) : { locked };
  }

  async consentRequest(hub: string | null): Promise<ConsentRequest | null> {
    return this.#parts.consent.request(hub);
  }

  async consentAnswer(answer: ConsentAnswer): Promise<boolean> {
    const known = this.#parts.consent.answer(answer);
    this.#go();
    return known;
  }

  async attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null> {
    return this.#core.present ? this.#parts.attempts.list(query) : null;
  }

  async delivery(topic: string, sequence: number, json: string): Promise<DeliveryView> {
    return this.#parts.views.delivery(topic, { sequence, json });
  }

  async deliveryOtherThan({ topic, sequence, json, known, waitMs }: DeliveryWaitRequest): Promise<DeliveryView> {
    return this.#parts.deliveryWatch.otherThan(known, waitMs, () =>
      this.#parts.views.delivery(topic, { sequence, json }),
    );
  }

  async metrics(): Promise<SubscriptionMetrics | null> {
    return this.#parts.metrics.read(this.#parts.views.status());
  }

  // From the logs

  async wake(request: WakeRequest): Promise<WakeAnswer> {
    return this.#parts.lanes.wake(request);
  }

  async topicAppeared(topic: string): Promise<void> {
    await this.#parts.attaching.topicAppeared(topic);
    this.#go();
  }

  async overtake(request: OvertakeRequest): Promise<void> {
    this.#core.tx(() => this.#parts.letterWork.overtake(request));
    this.#go();
  }

  // From the queue consumer

  async claim(lease: number): Promise<ClaimResult> {
    const result = await this.#parts.claiming.claim(lease);
    // Whatever it held is free for others.
    if (result.outcome === 'void') this.#go();
    return result;
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const given = request.goesOn === true ? this.#parts.successors.givenAfter(request) : null;
    if (given !== null) return { outcome: 'settled', remaining: 0, next: given };
    const result = this.#parts.settling.settle(request);
    const isDone = result.outcome === 'settled' && result.remaining === 0 && result.stop !== true;
    if (!isDone || request.goesOn !== true) return this.#andGo(result);
    const next = await this.#parts.successors.next(request, () => this.#go());
    return next === null ? result : { ...result, next };
  }

  // By ack ids

  async pull(request: PullRequest): Promise<PullResult> {
    this.#parts.held.handleDue();
    return this.#parts.pulling.pull(request);
  }

  async hangUp(puller: string): Promise<void> {
    this.#parts.pulling.hangUp(puller);
  }

  async ack(request: AckRequest): Promise<AckResult> {
    return this.#andGo(this.#parts.held.ack(request));
  }

  async nack(request: NackRequest): Promise<AckResult> {
    return this.#andGo(this.#parts.held.nack(request));
  }

  async extend(request: ExtendRequest): Promise<AckResult> {
    return this.#parts.held.extend(request);
  }

  #andGo<T>(result: T): T {
    this.#go();
    return result;
  }

  // From consumers' own queues

  async consumerDied(death: ConsumerDeath): Promise<boolean> {
    const known = await this.#parts.consumerDeaths.died(death);
    this.#go();
    return known;
  }

  // Replays

  async startReplay(request: StartReplayRequest): Promise<StartReplayResult> {
    const result = await this.#parts.replays.start(request);
    this.#go();
    // It is in the lists when the caller looks, if D1 can be reached.
    await this.#core.inTime(this.#parts.replays.mirror(), 'The catalogue').catch(() => false);
    return result;
  }

  async replay(id: string): Promise<ReplayView | null> {
    return this.#parts.replays.view(id);
  }

  async changeReplay(id: string, rateLimit: RateLimit | null): Promise<ReplayView | null> {
    const view = this.#parts.replays.change(id, rateLimit);
    this.#go();
    return view;
  }

  async cancelReplay(id: string): Promise<boolean> {
    return this.#parts.replays.cancel(id);
  }

  // Dead letters

  async redrive(letter: { topic: string; sequence: number; event: string }): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#parts.deaths.redrive(letter));
    this.#go();
    return true;
  }

  async discard(letter: { topic: string; sequence: number }): Promise<boolean> {
    if (!this.#core.present) return false;
    this.#core.tx(() => this.#parts.letterWork.discard(letter));
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
      this.#parts.pulling.answerInVain();
      this.#parts.lanes.pump();
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
      () => this.#core.tx(() => this.#parts.throttle.mend(this.#core.now())),
      () => this.#parts.receiver.handleDue(),
      () => this.#parts.leases.handleDue(),
      () => this.#parts.held.handleDue(),
      () => this.#parts.lanes.pump(),
      () => this.#parts.consent.askWhenDue(),
      () => this.#parts.watch.markStalled(),
      () => this.#chores.run(),
    ]);
  }

  /** Looks at everything as if nothing were known: alarm, parks, what is overdue. True if something had to be healed. */
  async sweep(): Promise<boolean> {
    if (!this.#core.row) return false;
    this.#parts.secrets.reseal();
    const healed = await this.#parts.watch.heal();
    this.#core.alarm.forget();
    await this.alarm();
    this.#parts.attempts.trim();
    return healed;
  }
}
