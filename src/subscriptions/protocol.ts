import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type {
  DeliveryKind,
  RateLimit,
  ServiceCall,
  SubscriptionDocument,
  SubscriptionFilter,
  Transform,
  WebhookFormat,
} from './document.ts';
import type { Totals } from './stats.ts';
import type { SignatureScheme } from './webhook-keys.ts';

/** The calls a Subscription answers. Plain values only: they cross RPC, and deploys mix versions (`v`). */
export interface SubscriptionApi extends Acknowledging {
  // Configuration
  put(request: PutRequest): Promise<PutResult>;
  describe(): Promise<SubscriptionView | null>;
  /** How it is configured, known without asking a log. */
  configuration(): Promise<ConfigurationView | null>;
  remove(): Promise<boolean>;
  pause(): Promise<SubscriptionView | null>;
  resume(): Promise<SubscriptionView | null>;
  seek(request: { topic: string | null; to: Position }): Promise<SeekResult>;
  topics(): Promise<TopicStanding[] | null>;
  secret(): Promise<SecretView | NoWebhook | Locked | null>;
  /** Without a scheme: of the present secret's kind. */
  rotateSecret(overlapMs: number, scheme?: SignatureScheme): Promise<RotatedSecret | NoWebhook | Locked | null>;
  /** Seals its secret under the hub secret that seals now. Null: the subscription is gone. */
  reseal(): Promise<{ resealed: boolean } | Locked | null>;
  /** What a `test` would be sent with: the present target, whatever the status. */
  target(): Promise<DeliveryTarget | Locked | null>;
  /**
   * What the receiver is to be asked at present; null if nothing is. `hub` is where the hub is reached, a URL without a path;
   * null where the caller does not know.
   */
  consentRequest(hub: string | null): Promise<ConsentRequest | null>;
  /** False if nobody asked this. */
  consentAnswer(answer: ConsentAnswer): Promise<boolean>;
  attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null>;
  /** What became of one event here. `json` is the whole event, for the filter and its key. */
  delivery(topic: string, sequence: number, json: string): Promise<DeliveryView>;
  /** The same, as soon as it differs from what is known, else when the time is up; sooner if too many wait already. */
  deliveryOtherThan(request: DeliveryWaitRequest): Promise<DeliveryView>;

  /** Counts for whoever watches the hub; null: there is no subscription. */
  metrics(): Promise<SubscriptionMetrics | null>;

  // From the logs
  wake(request: WakeRequest): Promise<WakeAnswer>;
  /** A topic that one of the patterns matches has appeared. Idempotent. */
  topicAppeared(topic: string): Promise<void>;
  overtake(request: OvertakeRequest): Promise<void>;

  // From the queue consumer
  claim(lease: number): Promise<ClaimResult>;
  settle(request: SettleRequest): Promise<SettleResult>;

  // From consumers' own queues
  /** What such a queue gave up on. False: the subscription is gone. @throws if the log can't be read. */
  consumerDied(death: ConsumerDeath): Promise<boolean>;

  // Replays
  startReplay(request: StartReplayRequest): Promise<StartReplayResult>;
  replay(id: string): Promise<ReplayView | null>;
  changeReplay(id: string, rateLimit: RateLimit | null): Promise<ReplayView | null>;
  cancelReplay(id: string): Promise<boolean>;

  // Dead letters
  /** `event` is the whole event from D1: the log may not have it any more. False: the subscription is gone. */
  redrive(letter: { topic: string; sequence: number; event: string }): Promise<boolean>;
  discard(letter: { topic: string; sequence: number }): Promise<boolean>;
  /** Redrives or discards by filter, 100 a step, in the alarm. False: the subscription is gone. */
  startJob(job: LetterJob): Promise<boolean>;

  /** Finds and wakes what has lag and no progress. Called by the cron sweep; true if something had to be healed. */
  sweep(): Promise<boolean>;
}

/** What a consumer settles by ack ids: what it pulled, or was sent through its queue and has to confirm. */
export interface Acknowledging {
  /** Hands out what there is, at most `max`; waits for the first if there is nothing yet. */
  pull(request: PullRequest): Promise<PullResult>;
  /** Who pulls under this name does not wait for the answer any more. */
  hangUp(puller: string): Promise<void>;
  /** Done. What ran out and was not handed out again yet may still be acknowledged. */
  ack(request: AckRequest): Promise<AckResult>;
  /** Not done: comes again, or is a dead letter `rejected`. */
  nack(request: NackRequest): Promise<AckResult>;
  /** Needs longer: its deadline moves, never to an earlier moment. */
  extend(request: ExtendRequest): Promise<AckResult>;
}

export interface PutRequest {
  v: 1;
  name: string;
  document: SubscriptionDocument;
  ifMatch: string | null;
  /** Pauses it in the same transaction. Absent: it stays as it is. */
  paused?: true;
}

export type PutResult =
  | { outcome: 'created' | 'replaced'; view: SubscriptionView; secret: string | null }
  | { outcome: 'precondition-failed' }
  | { outcome: 'position-ahead'; topic: string; lastSequence: number }
  | { outcome: 'sequence-expired'; topic: string; firstSequence: number }
  /** The secret that is to stay can't be opened. */
  | { outcome: 'locked'; detail: string }
  /** D1 or a log could not be reached and is needed here. */
  | { outcome: 'unavailable'; detail: string };

/**
 * `pending`: the receiver has not consented. `error`: nothing can be delivered, and it isn't the receiver's doing. `reason`
 * says why.
 */
export type SubscriptionStatus = 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';

/** Times are milliseconds since the epoch. */
export interface SubscriptionView {
  name: string;
  /** With every default in it, without the secret. */
  document: SubscriptionDocument;
  etag: string;
  status: SubscriptionStatus;
  reason: string | null;
  createdAt: number;
  updatedAt: number;
  health: HealthView;
  lag: number;
  waiting: number;
  pending: number;
  inFlight: number;
  retrying: number;
  held: number;
  delivered: number;
  failed: number;
  dead: number;
  filtered: number;
  skipped: number;
  discarded: number;
  /** How many dead letters there have been since the making, by reason, whatever became of them. */
  deaths: Record<string, number>;
  cursor: number | null;
  /** Milliseconds since the oldest event that is neither settled nor filtered was recorded; 0: there is none, null: not known. */
  lagMs: number | null;
  latency: { p50: number | null; p99: number | null };
  /** Of the attempts, live and in replays: those delivered, from 0 to 1; null where there was none. */
  successRate: Recently<number | null>;
  attempted: Recently<number>;
}

/** Of the last hour, and of the last day. */
export interface Recently<T> {
  hour: T;
  day: T;
}

export interface ConfigurationView {
  /** With every default in it, without the secret. */
  document: SubscriptionDocument;
  etag: string;
  paused: boolean;
}

/** `attempts` and `dead` (by reason) count since the making, over live delivery, replays and redrives, whatever is sought. */
export interface SubscriptionMetrics {
  status: SubscriptionStatus;
  failing: boolean;
  attempts: Totals;
  dead: Record<string, number>;
  inFlight: number;
  retrying: number;
  /** Where it stands in the topics that it has not come to the end of. `isWhole`: those are all of them. */
  behind: LaneStandsAt[];
  isWhole: boolean;
  healed: number;
  alarmFailures: number;
}

export interface LaneStandsAt {
  topic: string;
  cursor: number;
}

export interface HealthView {
  /**
   * - `slowed`: the receiver pushed back, fewer deliveries are out than `maxInFlight`, or none until `retryAfter`
   * - `failing`: new events wait in the log, one probe at a time goes out
   */
  state: 'healthy' | 'slowed' | 'failing';
  /** Deliveries that may be out. */
  concurrency: number;
  /** Since when it has not been healthy. */
  since: number | null;
  /** While failing: when the receiver is tried again. */
  nextProbeAt: number | null;
  /** The receiver asked that nothing starts before. */
  retryAfter: number | null;
}

export type SeekResult =
  | { outcome: 'sought'; topics: { topic: string; cursor: number; skipped: number }[] }
  | { outcome: 'unknown-subscription' }
  | { outcome: 'topic-not-subscribed' }
  /** A number needs `topic` where there are several. */
  | { outcome: 'topic-required' }
  | { outcome: 'sequence-expired'; topic: string; firstSequence: number }
  | { outcome: 'position-ahead'; topic: string; lastSequence: number };

export interface TopicStanding {
  topic: string;
  status: 'attaching' | 'active';
  cursor: number;
  lastSequence: number;
  lag: number;
  pending: number;
}

/** It is of another kind, and so has no secret, url and request. */
export interface NoWebhook {
  noWebhook: Exclude<DeliveryKind, 'webhook'>;
}

/** The stored secret can't be opened, so nothing can be signed: why, and what to change. */
export interface Locked {
  locked: string;
}

export interface SecretView {
  secret: string;
  previous: { secret: string; expiresAt: number } | null;
}

export interface RotatedSecret {
  secret: string;
  previousExpiresAt: number;
}

export interface AttemptsQuery {
  topic: string | null;
  /** An HTTP status, or an outcome. */
  status: number | AttemptOutcome | null;
  sequence: number | null;
  limit: number;
  cursor: string | null;
}

export type AttemptOutcome = 'delivered' | 'failed' | 'timeout' | 'network';

export interface AttemptView {
  topic: string;
  sequence: number;
  attempt: number;
  at: number;
  status: number | null;
  outcome: AttemptOutcome;
  latencyMs: number;
  response: string;
  error: string | null;
  replay: string | null;
  /** Null where nothing was sent, or the consumer that sent it did not say. */
  request: SentRequest | null;
}

/** A request as it is told of: where it went, and its headers (lower-case names), without what is secret in them. */
export interface SentRequest {
  url: string;
  headers: Record<string, string>;
}

/** What the requests of a settle have in common. Of a header `true`: what follows from the attempt itself. */
export interface SharedRequest {
  url: string;
  headers: Record<string, string | true>;
}

/** Where one of them differs. Of a header null: it has none. */
export interface RequestDifference {
  url?: string;
  headers?: Record<string, string | true | null>;
}

export type DeliveryStatus =
  | 'pending'
  | 'held'
  | 'delivering'
  | 'retrying'
  | 'delivered'
  | 'dead'
  | 'filtered'
  | 'not-subscribed'
  | 'skipped'
  | 'discarded';

export interface DeliveryView {
  status: DeliveryStatus;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: number | null;
  settledAt: number | null;
  deadLetter: string | null;
}

export interface DeliveryWaitRequest {
  v: 1;
  topic: string;
  sequence: number;
  /** The whole event, for the filter. */
  json: string;
  known: DeliveryView;
  waitMs: number;
}

/** What a queue message says: names only. */
export interface LeaseMessage {
  v: 1;
  subscription: string;
  lease: number;
}

/** Asks for somebody to ask a subscription's receiver for its consent. */
export interface HandshakeMessage {
  v: 1;
  /** The subscription's name. */
  handshake: string;
}

export interface ConsentRequest {
  /** Names this asking; unguessable. */
  token: string;
  url: string;
  /** Where the hub is reached; null: nobody has told. */
  hub: string | null;
  /** How many requests a minute are wanted; null: there is no limit. */
  perMinute: number | null;
}

export interface ConsentAnswer {
  token: string;
  consent: Consented;
}

/** `perMinute`: how many requests are allowed; null: as many as were asked for. */
export type Consented = { given: true; perMinute: number | null } | { given: false; reason: string };

/** Where and how deliveries go at present. */
export type DeliveryTarget = WebhookTarget | QueueTarget | ServiceTarget | PullTarget;

export interface WebhookTarget {
  kind: 'webhook';
  url: string;
  format: WebhookFormat;
  timeoutMs: number;
  headers: Record<string, string>;
  /** `whsec_…` or `whsk_…`, the current one first; during a rotation the previous one too. */
  secrets: string[];
  maxBatch: number;
  transform: Transform | null;
  /** The name under which the hub has asked for the receiver's consent. */
  origin?: string;
}

export interface QueueTarget {
  kind: 'queue';
  binding: string;
  /** Each event has an `ackId`, and is settled by that. */
  confirm: boolean;
  transform: Transform | null;
}

export interface ServiceTarget {
  kind: 'service';
  binding: string;
  call: ServiceCall;
  timeoutMs: number;
  maxBatch: number;
  transform: Transform | null;
}

/** Nothing goes anywhere: it is asked for. */
export interface PullTarget {
  kind: 'pull';
  transform: Transform | null;
}

export interface ClaimedEvent {
  topic: string;
  sequence: number;
  /** The whole structured event. */
  json: string;
  /** 1 for the first. */
  attempt: number;
  replay: string | null;
  /** It was a dead letter, and comes again beside the order of what is live. */
  redriven: boolean;
  /** Events of a claim with the same key go one after the other, each only if the one before was delivered. Null: whenever. */
  key: string | null;
  /** A rate slot: a request may start from then on, this event's or one's before it that missed its own. */
  notBefore: number | null;
  /** By which its consumer settles it; absent where the claimer does. */
  ackId?: string;
}

export type ClaimResult = { outcome: 'void' } | Claim;

/** Of what goes through the queue: nobody sends what is pulled. */
export interface Claim<Target extends DeliveryTarget = Exclude<DeliveryTarget, PullTarget>> {
  outcome: 'claimed';
  token: string;
  renewEveryMs: number;
  subscription: string;
  events: ClaimedEvent[];
  target: Target;
  /** For how long after its moment a rate slot may still be used. */
  slotLifeMs: number;
}

/**
 * What became of one event of a lease. Times are milliseconds since the epoch, latencies milliseconds. `request`: where its
 * request differed from the one of the settle; absent: nowhere, null: none was sent.
 */
export type DeliveryOutcome =
  | {
      kind: 'delivered';
      topic: string;
      sequence: number;
      at: number;
      latencyMs: number;
      /** Null where there is none: nothing was answered by HTTP. */
      status: number | null;
      response: string;
      request?: RequestDifference | null;
    }
  | {
      kind: 'failed';
      topic: string;
      sequence: number;
      at: number;
      latencyMs: number;
      outcome: 'failed' | 'timeout' | 'network';
      status: number | null;
      response: string;
      error: string | null;
      /** From `Retry-After`, or from who could not do it: wait at least this long. */
      retryAfterMs: number | null;
      /** It is not tried again: its consumer says that it never takes it, or its queue gave up on it. */
      dead?: 'rejected' | 'consumer';
      request?: RequestDifference | null;
    }
  /** No request could be made of it: its transform failed, and would fail again. */
  | { kind: 'invalid'; topic: string; sequence: number; error: string }
  /**
   * Not attempted; goes back without an attempt spent. `obstacle`: what stands in the way of all, for a person. `missed`: it
   * needs another rate slot.
   */
  | { kind: 'released'; topic: string; sequence: number; obstacle?: string; missed?: true };

export interface SettleRequest {
  v: 1;
  lease: number;
  token: string;
  /** May be empty: a renewal. */
  outcomes: DeliveryOutcome[];
  /** Absent where nothing was sent. */
  request?: SharedRequest;
}

export type SettleResult =
  /**
   * `remaining` events are still the claimer's; its deadline is renewed. `stop`: paused or disabled, so that it shall
   * start no more of them and release what it has not started.
   */
  | { outcome: 'settled'; remaining: number; stop?: boolean }
  /** The lease is no longer the claimer's: start nothing more of it. */
  | { outcome: 'fenced' };

export interface PullRequest {
  v: 1;
  /** Names this pull, for `hangUp`; nobody else's. */
  puller: string;
  max: number;
  /** For the first, if there is none yet. */
  waitMs: number;
  /** Patterns of the topics whose events may be handed out to who asks; null: all. */
  mayRead: string[] | null;
}

export type PullResult =
  /** `target` is how they are to be given out. What its transform fails on is to be told with `nack`. */
  | { outcome: 'pulled'; deliveries: PulledDelivery[]; ackDeadlineMs: number; target: PullTarget }
  | { outcome: 'unknown-subscription' }
  /** It has these topics, or has been given them meanwhile, of which not all may be read. */
  | { outcome: 'unreadable'; topics: string[] }
  /** It is of another kind. */
  | { outcome: 'not-pulled'; kind: DeliveryKind };

export interface PulledDelivery {
  ackId: string;
  topic: string;
  sequence: number;
  /** The whole structured event. */
  json: string;
  /** 1 for the first. */
  attempt: number;
  replay: string | null;
  redriven: boolean;
}

export interface AckRequest {
  v: 1;
  ackIds: string[];
}

export interface NackRequest {
  v: 1;
  ackIds: string[];
  /** It comes again after this; null: at once, or as the schedule of its kind says. */
  delayMs: number | null;
  /** Kept as what it failed of last. */
  reason: string | null;
  /** It never comes again: a dead letter with this reason. Null: it does. */
  dead: 'rejected' | 'invalid' | 'consumer' | null;
}

export interface ExtendRequest {
  v: 1;
  ackIds: string[];
  /** From now on. */
  byMs: number;
}

export type AckResult =
  /** In the order of the ids. */
  | { outcome: 'settled'; results: AckedId[] }
  | { outcome: 'unknown-subscription' }
  /** Its deliveries have no ack ids. */
  | { outcome: 'not-acknowledged'; kind: DeliveryKind };

export type AckedId =
  | { ackId: string; ok: true }
  /**
   * - `invalid-ack-id`: nothing that this hub gives out looks like that
   * - `stale-ack-id`: not, or no longer, one of this subscription's: settled, or handed out again since
   * - `held-too-long`: it can't be extended any further
   */
  | { ackId: string; ok: false; code: 'invalid-ack-id' | 'stale-ack-id' | 'held-too-long' };

/** A delivery that a consumer's own queue took, and gave up on. */
export interface ConsumerDeath {
  v: 1;
  topic: string;
  sequence: number;
  attempt: number;
  replay: string | null;
  /** When it was given to the queue, milliseconds since the epoch. */
  sentAt: number;
  /** Where it was to be confirmed. */
  ackId: string | null;
  /** The whole event, where its message had it. */
  json: string | null;
}

export interface StartReplayRequest {
  v: 1;
  id: string;
  topic: string;
  from: Position;
  to: Position | null;
  /** Applies beside the subscription's. */
  filter: SubscriptionFilter;
  rateLimit: RateLimit | null;
}

export type StartReplayResult =
  | { outcome: 'started'; replay: ReplayView }
  | { outcome: 'unknown-subscription' }
  | { outcome: 'topic-not-subscribed' }
  | { outcome: 'invalid-range' }
  | { outcome: 'sequence-expired'; firstSequence: number }
  | { outcome: 'position-ahead'; lastSequence: number };

export interface ReplayView {
  id: string;
  topic: string;
  subscription: string;
  status: 'running' | 'done' | 'cancelled' | 'failed';
  from: number;
  to: number;
  filter: SubscriptionFilter;
  rateLimit: RateLimit | null;
  total: number;
  delivered: number;
  failed: number;
  filtered: number;
  remaining: number;
  createdAt: number;
  endedAt: number | null;
  error: string | null;
}

export interface LetterJob {
  id: string;
  action: 'redrive' | 'discard';
  topic: string | null;
  reason: string | null;
  /** `diedAt`, milliseconds since the epoch. */
  since: number | null;
  until: number | null;
}
