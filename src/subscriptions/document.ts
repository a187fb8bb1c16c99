import type { Position } from '../events/position.ts';

/**
 * A subscription's configuration as the core understands it: every default filled in, durations in milliseconds. The wire
 * form (strings for durations, fields that come later) is http's; it parses into this.
 */
export interface SubscriptionDocument {
  /** Topic names and patterns. */
  topics: string[];
  from: Position;
  filter: SubscriptionFilter;
  transform: Transform | null;
  ordering: Ordering;
  maxInFlight: number;
  retry: { scheduleMs: number[]; jitter: number };
  /** A receiver that fails for this long without one success is disabled. */
  disableAfterMs: number;
  /** How long attempts are told of, and how many of them. */
  attempts: { maxCount: number; maxAgeMs: number };
  delivery: Delivery;
}

/** An event has to match one of the types, where there are any, and the CEL expression, where there is one. */
export interface SubscriptionFilter {
  types: string[];
  cel: string | null;
}

/** JSONata expressions over the event; null: as it is. */
export interface Transform {
  data: string | null;
  headers: string | null;
  path: string | null;
}

/**
 * - `none`: whatever is free goes
 * - `key`: at most one delivery of a key under way, in order within it
 * - `topic`: strictly one after the other
 */
export type Ordering = 'none' | 'key' | 'topic';

export interface RateLimit {
  /** At most `count` requests started in any span of `spanMs` (1,000 or 60,000). */
  count: number;
  spanMs: number;
}

export type WebhookFormat = 'structured' | 'binary' | 'batch' | 'data';

/** Where deliveries go, and how they are taken. */
export type Delivery = WebhookDelivery | QueueDelivery | ServiceDelivery | PullDelivery;

export type DeliveryKind = Delivery['kind'];

export interface WebhookDelivery {
  kind: 'webhook';
  url: string;
  format: WebhookFormat;
  timeoutMs: number;
  headers: Record<string, string>;
  /** Null: keep the present one, or make one. Never read back. */
  secret: string | null;
  rateLimit: RateLimit | null;
  /** Events in one request of the format `batch`. */
  maxBatch: number;
  /** Asks the receiver for its consent first (CloudEvents web-hook specification). */
  handshake: boolean;
}

/** A consumer Worker on a Cloudflare Queue of its own. */
export interface QueueDelivery {
  kind: 'queue';
  /** The name under which the hub's Worker has the queue. */
  binding: string;
  /** An event is delivered once the consumer says so; else once the queue has taken it. */
  confirm: boolean;
  /** With `confirm`: what the consumer has not settled after this is leased again. */
  ackDeadlineMs: number;
  rateLimit: RateLimit | null;
}

/** A consumer Worker called through a service binding. */
export interface ServiceDelivery {
  kind: 'service';
  /** The name under which the hub's Worker has the other. */
  binding: string;
  call: ServiceCall;
  timeoutMs: number;
  /** Events in one call. */
  maxBatch: number;
  rateLimit: RateLimit | null;
}

/** What is called of a consumer Worker: its method `handle`, or its `fetch` with a POST. */
export type ServiceCall = 'rpc' | 'fetch';

/** Any program that asks for events over HTTP, and settles each by its ack id. */
export interface PullDelivery {
  kind: 'pull';
  /** What was pulled and is not settled after this is leased again. */
  ackDeadlineMs: number;
  /** What was not acknowledged after so many deliveries is a dead letter. */
  maxDeliveries: number;
}
