import type { DeliveryKind } from './document.ts';
import type { ClaimedEvent, PullTarget } from './protocol-claims.ts';

/** What a consumer settles by ack ids: what it pulled, or was sent through its queue and has to confirm. */
export interface Acknowledging {
  /** Hands out what there is, at most `max`; waits for the first if there is nothing yet. */
  pull(request: PullRequest): Promise<PullResult>;
  /** Who pulls under this name does not wait for the answer any more. */
  hangUp(puller: string): Promise<void>;
  /**
   * Done. What ran out and was not handed out again yet may still be acknowledged; by the consumer of a queue also what was, as
   * long as it is not settled.
   */
  ack(request: AckRequest): Promise<AckResult>;
  /** Not done: comes again, or is a dead letter `rejected`. */
  nack(request: NackRequest): Promise<AckResult>;
  /** Needs longer: its deadline moves, never to an earlier moment. */
  extend(request: ExtendRequest): Promise<AckResult>;
}

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
  /** Packed (packed-deliveries.ts). `target` is how they are to be given out; what its transform fails on is to be told with `nack`. */
  | { outcome: 'pulled'; deliveries: string; ackDeadlineMs: number; target: PullTarget }
  | { outcome: 'unknown-subscription' }
  /** It has these topics, or has been given them meanwhile, of which not all may be read. */
  | { outcome: 'unreadable'; topics: string[] }
  /** It is of another kind. */
  | { outcome: 'not-pulled'; kind: DeliveryKind };

/** What who pulls is told of an event; he settles it by its id. */
export type PulledDelivery = Pick<ClaimedEvent, 'sequence' | 'json' | 'attempt' | 'replay' | 'redriven'> & {
  ackId: string;
};

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
  | { outcome: 'settled'; answers: AckAnswer[] }
  | { outcome: 'unknown-subscription' }
  /** Its deliveries have no ack ids. */
  | { outcome: 'not-acknowledged'; kind: DeliveryKind };

/**
 * What is said of an id:
 * - `invalid-ack-id`: nothing that this hub gives out looks like that
 * - `stale-ack-id`: not, or no longer, one of this subscription's: settled, or handed out again since
 * - `held-too-long`: it can't be extended any further
 */
export type AckAnswer = 'ok' | 'invalid-ack-id' | 'stale-ack-id' | 'held-too-long';
