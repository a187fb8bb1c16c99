import type { Position } from '../events/position.ts';
import type { OvertakeRequest, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { RateLimit, SubscriptionDocument, Transform, WebhookFormat } from './document.ts';

/** The calls a Subscription answers. Plain values only: they cross RPC, and deploys mix versions (`v`). */
export interface SubscriptionApi {
  // Configuration
  put(request: PutRequest): Promise<PutResult>;
  describe(): Promise<SubscriptionView | null>;
  remove(): Promise<boolean>;
  pause(): Promise<SubscriptionView | null>;
  resume(): Promise<SubscriptionView | null>;
  seek(request: { topic: string | null; to: Position }): Promise<SeekResult>;
  topics(): Promise<TopicStanding[] | null>;
  secret(): Promise<SecretView | Locked | null>;
  rotateSecret(overlapMs: number): Promise<{ secret: string; previousExpiresAt: number } | Locked | null>;
  /** Seals its secret under the hub secret that seals now. Null: the subscription is gone. */
  reseal(): Promise<{ resealed: boolean } | Locked | null>;
  /** What a `test` would be sent with: the present target, whatever the status. */
  target(): Promise<DeliveryTarget | Locked | null>;
  attempts(query: AttemptsQuery): Promise<{ items: AttemptView[]; next: string | null } | null>;
  /** What became of one event here. `type` is the event's, for the filter. */
  delivery(topic: string, sequence: number, type: string): Promise<DeliveryView>;

  // From the logs
  wake(request: WakeRequest): Promise<WakeAnswer>;
  /** A topic that one of the patterns matches has appeared. Idempotent. */
  topicAppeared(topic: string): Promise<void>;
  overtake(request: OvertakeRequest): Promise<void>;

  // From the queue consumer
  claim(lease: number): Promise<ClaimResult>;
  settle(request: SettleRequest): Promise<SettleResult>;

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
}

export type PutResult =
  | { outcome: 'created' | 'replaced'; view: SubscriptionView; secret: string }
  | { outcome: 'precondition-failed' }
  | { outcome: 'position-ahead'; topic: string; lastSequence: number }
  | { outcome: 'sequence-expired'; topic: string; firstSequence: number }
  /** The secret that is to stay can't be opened. */
  | { outcome: 'locked'; detail: string }
  /** D1 or a log could not be reached and is needed here. */
  | { outcome: 'unavailable'; detail: string };

/** `error`: nothing can be delivered, and it isn't the receiver's doing; `reason` says why. */
export type SubscriptionStatus = 'attaching' | 'active' | 'paused' | 'disabled' | 'error';

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
  cursor: number | null;
  latency: { p50: number | null; p99: number | null };
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

/** The stored secret can't be opened, so nothing can be signed: why, and what to change. */
export interface Locked {
  locked: string;
}

export interface SecretView {
  secret: string;
  previous: { secret: string; expiresAt: number } | null;
}

export interface AttemptsQuery {
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

/** What a queue message says: names only. */
export interface LeaseMessage {
  v: 1;
  subscription: string;
  lease: number;
}

export interface DeliveryTarget {
  kind: 'webhook';
  url: string;
  format: WebhookFormat;
  timeoutMs: number;
  headers: Record<string, string>;
  /** `whsec_…`, the current one first; during a rotation the previous one too. */
  secrets: string[];
  maxBatch: number;
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
  /** A rate slot: a request may start from then on, this event's or one's before it that missed its own. */
  notBefore: number | null;
}

export type ClaimResult =
  | { outcome: 'void' }
  | {
      outcome: 'claimed';
      token: string;
      renewEveryMs: number;
      subscription: string;
      events: ClaimedEvent[];
      target: DeliveryTarget;
      /** For how long after its moment a rate slot may still be used. */
      slotLifeMs: number;
    };

/** What became of one event of a lease. Times are milliseconds since the epoch, latencies milliseconds. */
export type DeliveryOutcome =
  | {
      kind: 'delivered';
      topic: string;
      sequence: number;
      at: number;
      latencyMs: number;
      status: number;
      response: string;
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
      /** From `Retry-After`: wait at least this long. */
      retryAfterMs: number | null;
    }
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
}

export type SettleResult =
  /**
   * `remaining` events are still the claimer's; its deadline is renewed. `stop`: paused or disabled, so that it shall
   * start no more of them and release what it has not started.
   */
  | { outcome: 'settled'; remaining: number; stop?: boolean }
  /** The lease is no longer the claimer's: start nothing more of it. */
  | { outcome: 'fenced' };

export interface StartReplayRequest {
  v: 1;
  id: string;
  topic: string;
  from: Position;
  to: Position | null;
  types: string[];
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
  types: string[];
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
