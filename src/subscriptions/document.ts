import type { Position } from '../events/position.ts';

/**
 * A subscription's configuration as the core understands it: every default filled in, durations in milliseconds. The wire
 * form (strings for durations, fields that come later) is http's; it parses into this.
 */
export interface SubscriptionDocument {
  /** Topic names and patterns. */
  topics: string[];
  from: Position;
  filter: { types: string[] };
  maxInFlight: number;
  retry: { scheduleMs: number[]; jitter: number };
  delivery: WebhookDelivery;
}

export interface WebhookDelivery {
  kind: 'webhook';
  url: string;
  timeoutMs: number;
  headers: Record<string, string>;
  /** Null: keep the present one, or make one. Never read back. */
  secret: string | null;
}
