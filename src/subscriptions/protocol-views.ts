import type { RateLimit, SubscriptionDocument, SubscriptionFilter } from './document.ts';
import type { Totals } from './stats.ts';

/** What a Subscription tells of itself, its attempts and its deliveries. Times are milliseconds since the epoch. */

/**
 * `pending`: the receiver has not consented. `error`: nothing can be delivered, and it isn't the receiver's doing. `reason`
 * says why.
 */
export type SubscriptionStatus = 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';

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
  /** Of how many topics the log did not answer: in `lag`, `waiting` and `lagMs` they count as if nothing more were in them. */
  unanswered: number;
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

export interface TopicStanding {
  topic: string;
  status: 'attaching' | 'active';
  cursor: number;
  /** As of `lag`, null: not known, because the log does not answer. */
  lastSequence: number | null;
  lag: number | null;
  pending: number;
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
