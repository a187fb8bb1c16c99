import { DurableObject } from 'cloudflare:workers';
import { Catalog } from '../catalog/catalog.ts';
import { DeadLetters } from '../dead-letters/letters.ts';
import type { Env } from '../env.ts';
import type { Position } from '../events/position.ts';
import { subscriptionOfName, topicLogName } from '../object-names.ts';
import { clock, log, random } from '../platform-workers.ts';
import type { OvertakeRequest, TopicLogApi, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { RateLimit } from './document.ts';
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
import { Subscription } from './subscription.ts';
import { Vault } from './vault.ts';
import type { SignatureScheme } from './webhook-keys.ts';

/** The Durable Object of one subscription: it gives a Subscription its ports and passes calls on. */
export class SubscriptionObject extends DurableObject<Env> implements SubscriptionApi {
  readonly #subscription: Subscription;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const name = ctx.id.name === undefined ? null : subscriptionOfName(ctx.id.name);
    if (name === null) throw new Error('A subscription is reached by its name, {namespace}/{name}.');
    this.#subscription = new Subscription({
      name,
      storage: ctx.storage,
      clock,
      random,
      background: (task) => ctx.waitUntil(task),
      log,
      catalog: new Catalog(env.DB),
      letters: new DeadLetters(env.DB),
      vault: new Vault(env.HUB_SECRET ?? ''),
      topicLog: (topic): TopicLogApi => env.TOPIC_LOG.getByName(topicLogName(topic)),
      deliveries: env.DELIVERIES,
      retries: env.RETRIES,
      handshakes: env.RETRIES,
    });
  }

  put(request: PutRequest): Promise<PutResult> {
    return this.#subscription.put(request);
  }

  describe(): Promise<SubscriptionView | null> {
    return this.#subscription.describe();
  }

  configuration(): Promise<ConfigurationView | null> {
    return this.#subscription.configuration();
  }

  remove(): Promise<boolean> {
    return this.#subscription.remove();
  }

  pause(): Promise<SubscriptionView | null> {
    return this.#subscription.pause();
  }

  resume(): Promise<SubscriptionView | null> {
    return this.#subscription.resume();
  }

  seek(request: { topic: string | null; to: Position }): Promise<SeekResult> {
    return this.#subscription.seek(request);
  }

  topics(): Promise<TopicStanding[] | null> {
    return this.#subscription.topics();
  }

  secret(): Promise<SecretView | NoWebhook | Locked | null> {
    return this.#subscription.secret();
  }

  rotateSecret(overlapMs: number, scheme?: SignatureScheme): Promise<RotatedSecret | NoWebhook | Locked | null> {
    return this.#subscription.rotateSecret(overlapMs, scheme);
  }

  reseal(): Promise<{ resealed: boolean } | Locked | null> {
    return this.#subscription.reseal();
  }

  target(): Promise<DeliveryTarget | Locked | null> {
    return this.#subscription.target();
  }

  consentRequest(hub: string | null): Promise<ConsentRequest | null> {
    return this.#subscription.consentRequest(hub);
  }

  consentAnswer(answer: ConsentAnswer): Promise<boolean> {
    return this.#subscription.consentAnswer(answer);
  }

  attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null> {
    return this.#subscription.attempts(query);
  }

  delivery(topic: string, sequence: number, json: string): Promise<DeliveryView> {
    return this.#subscription.delivery(topic, sequence, json);
  }

  deliveryOtherThan(request: DeliveryWaitRequest): Promise<DeliveryView> {
    return this.#subscription.deliveryOtherThan(request);
  }

  metrics(): Promise<SubscriptionMetrics | null> {
    return this.#subscription.metrics();
  }

  wake(request: WakeRequest): Promise<WakeAnswer> {
    return this.#subscription.wake(request);
  }

  topicAppeared(topic: string): Promise<void> {
    return this.#subscription.topicAppeared(topic);
  }

  overtake(request: OvertakeRequest): Promise<void> {
    return this.#subscription.overtake(request);
  }

  claim(lease: number): Promise<ClaimResult> {
    return this.#subscription.claim(lease);
  }

  settle(request: SettleRequest): Promise<SettleResult> {
    return this.#subscription.settle(request);
  }

  pull(request: PullRequest): Promise<PullResult> {
    return this.#subscription.pull(request);
  }

  hangUp(puller: string): Promise<void> {
    return this.#subscription.hangUp(puller);
  }

  ack(request: AckRequest): Promise<AckResult> {
    return this.#subscription.ack(request);
  }

  nack(request: NackRequest): Promise<AckResult> {
    return this.#subscription.nack(request);
  }

  extend(request: ExtendRequest): Promise<AckResult> {
    return this.#subscription.extend(request);
  }

  consumerDied(death: ConsumerDeath): Promise<boolean> {
    return this.#subscription.consumerDied(death);
  }

  startReplay(request: StartReplayRequest): Promise<StartReplayResult> {
    return this.#subscription.startReplay(request);
  }

  replay(id: string): Promise<ReplayView | null> {
    return this.#subscription.replay(id);
  }

  changeReplay(id: string, rateLimit: RateLimit | null): Promise<ReplayView | null> {
    return this.#subscription.changeReplay(id, rateLimit);
  }

  cancelReplay(id: string): Promise<boolean> {
    return this.#subscription.cancelReplay(id);
  }

  redrive(letter: { topic: string; sequence: number; event: string }): Promise<boolean> {
    return this.#subscription.redrive(letter);
  }

  discard(letter: { topic: string; sequence: number }): Promise<boolean> {
    return this.#subscription.discard(letter);
  }

  startJob(job: LetterJob): Promise<boolean> {
    return this.#subscription.startJob(job);
  }

  sweep(): Promise<boolean> {
    return this.#subscription.sweep();
  }

  override alarm(): Promise<void> {
    return this.#subscription.alarm();
  }
}
