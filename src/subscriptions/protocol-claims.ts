import type { ServiceCall, Transform, WebhookFormat } from './document.ts';

/** What a Subscription and the queue consumer say to each other of a lease. Plain values only, as all that crosses RPC. */

/** What a queue message says: names only. */
export interface LeaseMessage {
  v: 1;
  subscription: string;
  lease: number;
}

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

export interface SettleRequest {
  v: 1;
  lease: number;
  token: string;
  /** May be empty: a renewal. */
  outcomes: DeliveryOutcome[];
  /** Absent where nothing was sent. */
  request?: SharedRequest;
  /** With nothing left of this lease the claimer would go on with another. */
  goesOn?: true;
}

export type SettleResult =
  /**
   * `remaining` events are still the claimer's, or were taken away from it and may be under way; its deadline is renewed. `stop`:
   * it shall start no more of them and release what it has not started: paused, disabled, or all of them taken away. `next`: another lease, if the claimer would go on and there
   * is one.
   */
  | { outcome: 'settled'; remaining: number; stop?: boolean; next?: NextLease }
  /** The lease is no longer the claimer's: start nothing more of it. */
  | { outcome: 'fenced' };

/** A lease that is claimed already, by whoever is told of it. */
export interface NextLease {
  lease: number;
  claim: Claim;
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

/** What became of an event, without its name. */
export type Unnamed<Outcome extends DeliveryOutcome> = Outcome extends unknown
  ? Omit<Outcome, 'topic' | 'sequence'>
  : never;
