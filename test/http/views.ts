import type { SubscriptionDocument, WebhookDelivery } from '../../src/subscriptions/document.ts';
import type { ConfigurationView, SubscriptionView } from '../../src/subscriptions/protocol-views.ts';
import type { TopicDescription } from '../../src/topics/protocol.ts';

/** What the fakes of fake-hub.ts answer with. */

const HOUR_MS = 3_600_000;

/** A webhook that has every default of api.md. */
export const WEBHOOK: WebhookDelivery = {
  kind: 'webhook',
  url: 'https://billing.example.net/hook',
  format: 'structured',
  timeoutMs: 15_000,
  headers: {},
  secret: null,
  rateLimit: null,
  maxBatch: 1,
  handshake: false,
};

/** A document that has every default of api.md. */
export function documentOf(topics: string[], changes: Partial<SubscriptionDocument> = {}): SubscriptionDocument {
  const hours = [2, 5, 10, 14, 20, 24].map((count) => count * HOUR_MS);
  return {
    topics,
    from: { kind: 'latest' },
    filter: { types: [], cel: null },
    transform: null,
    ordering: 'none',
    maxInFlight: 64,
    retry: { scheduleMs: [5_000, 300_000, 1_800_000, ...hours], jitter: 0.2 },
    disableAfterMs: 5 * 24 * HOUR_MS,
    attempts: { maxCount: 10_000, maxAgeMs: 7 * 24 * HOUR_MS },
    delivery: WEBHOOK,
    ...changes,
  };
}

export function subscriptionView(
  name: string,
  topics: string[],
  changes: Partial<SubscriptionView> = {},
): SubscriptionView {
  return {
    name,
    document: documentOf(topics),
    etag: 'e1',
    status: 'active',
    reason: null,
    createdAt: Date.UTC(2026, 10, 23),
    updatedAt: Date.UTC(2026, 10, 23),
    health: { state: 'healthy', concurrency: 64, since: null, nextProbeAt: null, retryAfter: null },
    unanswered: 0,
    lag: 0,
    waiting: 0,
    pending: 0,
    inFlight: 0,
    retrying: 0,
    held: 0,
    delivered: 0,
    failed: 0,
    dead: 0,
    filtered: 0,
    skipped: 0,
    discarded: 0,
    deaths: {},
    cursor: 7,
    lagMs: 0,
    latency: { p50: 12, p99: null },
    successRate: { hour: 1, day: null },
    attempted: { hour: 1, day: 0 },
    ...changes,
  };
}

export function topicDescription(name: string): TopicDescription {
  return {
    name,
    config: { description: '', deduplicationWindowMs: 24 * HOUR_MS },
    etag: 't1',
    firstSequence: 1,
    lastSequence: 9,
    events: 9,
    bytes: 900,
    subscriptions: 1,
    createdAt: Date.UTC(2026, 10, 23),
  };
}

/** The configuration of a subscription with that view. */
export function configurationOf({ document, etag }: SubscriptionView): ConfigurationView {
  return { document, etag, paused: false };
}
