import { DEATH_REASONS } from '../dead-letters/letters.ts';
import type { SubscriptionMetrics } from '../subscriptions/protocol-views.ts';
import { LATENCY_BOUNDS_MS, type Totals } from '../subscriptions/stats.ts';
import type { TopicMetrics } from '../topics/protocol.ts';
import { VERSION } from '../version.ts';
import type { Asked, RevocationList } from './metrics.ts';
import type { Histogram, HistogramSample, Metric } from './prometheus.ts';

/** What the hub's metrics are called, and what they are made from. docs/observability.md lists them. */

export interface MetricsFacts {
  topics: Asked<TopicMetrics>;
  subscriptions: Asked<SubscriptionMetrics>;
  revocations: RevocationList;
}

/** Some of the bounds that subscriptions count latencies by. */
const BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

export function metricsOf(facts: MetricsFacts): (Metric | Histogram)[] {
  return [
    gauge('millrace_build_info', 'The version that answers; always 1.', [[{ version: VERSION }, 1]]),
    ...topicMetrics(facts.topics.answers),
    ...subscriptionMetrics(facts),
    ...hubMetrics(facts),
  ];
}

function topicMetrics(topics: Map<string, TopicMetrics>): Metric[] {
  const each = (value: (topic: TopicMetrics) => number) =>
    [...topics].map(([topic, metrics]): Entry => [{ topic }, value(metrics)]);
  return [
    counter(
      'millrace_events_published_total',
      'Events recorded in a topic, each once.',
      each((of) => of.published),
    ),
    counter(
      'millrace_duplicates_total',
      'Events sent again within the window.',
      each((of) => of.duplicates),
    ),
    gauge(
      'millrace_topic_size_bytes',
      'A topic on disk; at 9 GB it refuses events.',
      each((of) => of.bytes),
    ),
    counter(
      'millrace_topic_healed_total',
      'Times the sweep found overdue work in a topic.',
      each((of) => of.healed),
    ),
    counter(
      'millrace_topic_failures_total',
      'Alarms and sweeps of a topic that failed.',
      each((of) => of.failures),
    ),
  ];
}

function subscriptionMetrics({ topics, subscriptions }: MetricsFacts): (Metric | Histogram)[] {
  const { answers } = subscriptions;
  const each = (value: (subscription: SubscriptionMetrics) => number) =>
    [...answers].map(([subscription, metrics]): Entry => [{ subscription }, value(metrics)]);
  return [
    gauge(
      'millrace_subscription_status',
      'What a subscription is: active, failing, paused, disabled …; 1 for that.',
      [...answers].map(([subscription, of]) => [{ subscription, status: statusOf(of) }, 1]),
    ),
    counter(
      'millrace_delivered_total',
      'Attempts that the receiver took.',
      each(({ attempts }) => attempts.delivered),
    ),
    counter(
      'millrace_failed_total',
      'Attempts that failed.',
      each(({ attempts }) => attempts.failed),
    ),
    counter(
      'millrace_retried_total',
      'Attempts that were not the first of their event.',
      each(({ attempts }) => attempts.retried),
    ),
    counter(
      'millrace_dead_total',
      'Deliveries given up on: dead letters opened.',
      // Each from 0 on: of a series that begins with 1 Prometheus sees no increase, and the first death rang no bell.
      [...answers].flatMap(([subscription, { dead }]) =>
        DEATH_REASONS.map((reason): Entry => [{ subscription, reason }, dead[reason] ?? 0]),
      ),
    ),
    gauge(
      'millrace_in_flight',
      'Deliveries under way.',
      each((of) => of.inFlight),
    ),
    gauge(
      'millrace_retrying',
      'Deliveries that wait for their retry.',
      each((of) => of.retrying),
    ),
    gauge(
      'millrace_lag',
      'Events from where a subscription stands to the ends of its topics.',
      [...answers].flatMap(([subscription, of]): Entry[] => {
        const lag = lagOf(of, topics);
        return lag === null ? [] : [[{ subscription }, lag]];
      }),
    ),
    {
      name: 'millrace_attempt_duration_seconds',
      help: 'How long attempts took, until the answer or its absence.',
      type: 'histogram',
      samples: [...answers].map(([subscription, metrics]) => durations({ subscription }, metrics.attempts)),
    },
    counter(
      'millrace_subscription_healed_total',
      'Times the sweep found a subscription that stood still.',
      each((of) => of.healed),
    ),
    counter(
      'millrace_subscription_failures_total',
      'Alarms of a subscription that failed.',
      each((of) => of.alarmFailures),
    ),
  ];
}

function hubMetrics({ topics, subscriptions, revocations }: MetricsFacts): Metric[] {
  const kinds = [
    ['topic', topics],
    ['subscription', subscriptions],
  ] as const;
  return [
    gauge(
      'millrace_revocations_age_seconds',
      'Age of the list of revoked keys that the answering isolate goes by.',
      revocations.ageMs === null ? [] : [[{}, revocations.ageMs / 1_000]],
    ),
    gauge('millrace_revocations_failures', 'Reads of the list of revoked keys that failed in a row.', [
      [{}, revocations.failures],
    ]),
    gauge(
      'millrace_metrics_truncated',
      '1: there are more of the kind than one scrape asks.',
      kinds.map(([kind, { truncated }]) => [{ kind }, truncated ? 1 : 0]),
    ),
    gauge(
      'millrace_metrics_unanswered',
      'How many of the kind had no answer in time.',
      kinds.map(([kind, { unanswered }]) => [{ kind }, unanswered]),
    ),
  ];
}

function statusOf({ status, failing }: SubscriptionMetrics): string {
  return status === 'active' && failing ? 'failing' : status;
}

/** Null where it is not known: a topic was not asked or didn't answer, or there are too many. */
function lagOf({ behind, isWhole }: SubscriptionMetrics, topics: Asked<TopicMetrics>): number | null {
  let lag = 0;
  for (const { topic, cursor } of behind) {
    const log = topics.answers.get(topic);
    // One that is named and not made yet has nothing in it.
    if (log === undefined && (topics.truncated || topics.unanswered > 0)) return null;
    lag += Math.max(0, (log?.published ?? 0) - cursor);
  }
  return isWhole ? lag : null;
}

function durations(labels: Record<string, string>, { latencies, latencySumMs }: Totals): HistogramSample {
  const upTo = (boundMs: number) =>
    LATENCY_BOUNDS_MS.reduce((sum, bound, index) => sum + (bound <= boundMs ? (latencies[index] ?? 0) : 0), 0);
  return {
    labels,
    buckets: BUCKETS_MS.map((boundMs) => ({ le: boundMs / 1_000, count: upTo(boundMs) })),
    count: Object.values(latencies).reduce((sum, count) => sum + count, 0),
    sum: latencySumMs / 1_000,
  };
}

type Entry = [labels: Record<string, string>, value: number];

function counter(name: string, help: string, entries: Entry[]): Metric {
  return { name, help, type: 'counter', samples: entries.map(([labels, value]) => ({ labels, value })) };
}

function gauge(name: string, help: string, entries: Entry[]): Metric {
  return { name, help, type: 'gauge', samples: entries.map(([labels, value]) => ({ labels, value })) };
}
