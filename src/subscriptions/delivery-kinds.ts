import type { Delivery, RateLimit, WebhookDelivery } from './document.ts';
import { CALLED_EVENTS_MAX, PULL_EVENTS_MAX, SERVICE_CALLS_MAX, SWIFT_EVENTS_MAX } from './limits.ts';
import { callsIn, leaseSize } from './retry.ts';

/** What the core has to know of the kinds of delivery, and all that it knows of them. */

/** Is a lease one request? */
export function isBatch(delivery: Delivery): delivery is WebhookDelivery {
  return delivery.kind === 'webhook' && delivery.format === 'batch';
}

/** How many events a request may hold: what a rate limit counts is requests. */
export function eventsPerRequest(delivery: Delivery): number {
  return isBatch(delivery) ? delivery.maxBatch : 1;
}

/** How long one attempt may keep whoever makes it; 0: no time to speak of. */
export function attemptMaxMs(delivery: Delivery): number {
  switch (delivery.kind) {
    case 'webhook':
    case 'service':
      return delivery.timeoutMs;
    case 'queue':
    case 'pull':
      return 0;
  }
}

/** How events of a lease go out: `alone`, each takes a call of its own; `swift`, calls have taken no time of late. */
interface Going {
  alone: boolean;
  swift: boolean;
}

/** How many events a lease may hold so that whoever claims it can finish them in its time. */
export function leaseEventsMax(delivery: Delivery, { alone, swift }: Going): number {
  switch (delivery.kind) {
    case 'webhook':
      return swift ? SWIFT_EVENTS_MAX : leaseSize(delivery.timeoutMs);
    case 'service': {
      const calls = swift ? SERVICE_CALLS_MAX : Math.min(SERVICE_CALLS_MAX, callsIn(delivery.timeoutMs));
      return alone ? calls : Math.min(CALLED_EVENTS_MAX, calls * delivery.maxBatch);
    }
    case 'queue':
      return CALLED_EVENTS_MAX;
    case 'pull':
      return PULL_EVENTS_MAX;
  }
}

/** The rate limit that is configured; null: there is none. */
export function rateLimitOf(delivery: Delivery): RateLimit | null {
  return delivery.kind === 'pull' ? null : delivery.rateLimit;
}

/** The secret that a configuration gives; null: none. */
export function secretGiven(delivery: Delivery): string | null {
  return delivery.kind === 'webhook' ? delivery.secret : null;
}

/** The configuration as it is stored: the secret has a column of its own. */
export function withoutSecret(delivery: Delivery): Delivery {
  return delivery.kind === 'webhook' ? { ...delivery, secret: null } : delivery;
}

/**
 * Where it goes, as far as health, a 410 and a consent are of it alone: with another of these nothing is known of the
 * receiver.
 */
export function isSameTarget(a: Delivery, b: Delivery): boolean {
  switch (a.kind) {
    case 'webhook':
      return b.kind === 'webhook' && a.url === b.url;
    case 'queue':
    case 'service':
      return b.kind === a.kind && a.binding === b.binding;
    case 'pull':
      return b.kind === 'pull';
  }
}

/**
 * Are all attempts at a delivery one consumer's, so that it is done by whichever he says so of? Where they are several
 * consumers', what is handed out again is its new holder's alone.
 */
export function isOneConsumers(delivery: Delivery): boolean {
  return delivery.kind === 'queue';
}

/**
 * For how long each delivery of a claim is held by its ack id before it is leased again, milliseconds; null: whoever claims
 * settles, and renews the claim meanwhile.
 */
export function ackDeadlineOf(delivery: Delivery): number | null {
  switch (delivery.kind) {
    case 'webhook':
    case 'service':
      return null;
    case 'queue':
      return delivery.confirm ? delivery.ackDeadlineMs : null;
    case 'pull':
      return delivery.ackDeadlineMs;
  }
}
