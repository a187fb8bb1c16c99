import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { DeliveryKind, RateLimit, SubscriptionDocument, SubscriptionFilter } from './document.ts';
import type { Acknowledging } from './protocol-acks.ts';
import type { ClaimResult, DeliveryTarget, SettleRequest, SettleResult } from './protocol-claims.ts';
import type {
  AttemptOutcome,
  AttemptView,
  ConfigurationView,
  DeliveryView,
  ReplayView,
  SubscriptionMetrics,
  SubscriptionView,
  TopicStanding,
} from './protocol-views.ts';
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

export type SeekResult =
  | { outcome: 'sought'; topics: { topic: string; cursor: number; skipped: number }[] }
  | { outcome: 'unknown-subscription' }
  | { outcome: 'topic-not-subscribed' }
  /** A number needs `topic` where there are several. */
  | { outcome: 'topic-required' }
  | { outcome: 'sequence-expired'; topic: string; firstSequence: number }
  | { outcome: 'position-ahead'; topic: string; lastSequence: number };

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

export interface DeliveryWaitRequest {
  v: 1;
  topic: string;
  sequence: number;
  /** The whole event, for the filter. */
  json: string;
  known: DeliveryView;
  waitMs: number;
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
  /** `end`: which end of the range it is. */
  | { outcome: 'position-ahead'; end: 'from' | 'to'; lastSequence: number };

export interface LetterJob {
  id: string;
  action: 'redrive' | 'discard';
  topic: string | null;
  reason: string | null;
  /** `diedAt`, milliseconds since the epoch. */
  since: number | null;
  until: number | null;
}
