import { z } from 'zod';
import { formatDuration } from '../events/duration-text.ts';
import { formatPosition } from '../events/position.ts';
import type { SubscriptionDocument } from '../subscriptions/document.ts';
import type { AttemptView, HealthView, SubscriptionView, TopicStanding } from '../subscriptions/protocol-views.ts';
import { deliveryAnswer, deliveryOut } from './delivery-schema.ts';
import { filterOut } from './expression-fields.ts';
import { timeField, timeOf, timeOrNull } from './fields.ts';

/** Subscriptions, their topics and attempts as they are answered. */

const positionAnswer = z.union([z.string(), z.int()]);
const count = z.int().min(0);
const UNANSWERED = 'Null: not known, as the topic does not answer.';

function recently<S extends z.ZodType>(value: S) {
  return z.object({ hour: value, day: value });
}

/** What `GET`, `PUT`, pause and resume answer. */
export const subscriptionAnswer = z.object({
  name: z.string(),
  topics: z.array(z.string()),
  from: positionAnswer,
  filter: z.object({ types: z.array(z.string()), cel: z.string().nullable() }).nullable(),
  transform: z
    .object({ data: z.string().nullable(), headers: z.string().nullable(), path: z.string().nullable() })
    .nullable(),
  ordering: z.enum(['none', 'key', 'topic']),
  maxInFlight: z.int(),
  retry: z.object({ schedule: z.array(z.string()), jitter: z.number() }),
  disableAfter: z.string(),
  attempts: z.object({ maxCount: z.int(), maxAge: z.string() }),
  delivery: deliveryAnswer,
  status: z
    .enum(['attaching', 'pending', 'active', 'paused', 'disabled', 'error'])
    .describe('`pending`: the receiver has not consented.'),
  reason: z
    .string()
    .nullable()
    .describe('Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.'),
  createdAt: timeField,
  updatedAt: timeField,
  unanswered: count.describe(
    'How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.',
  ),
  lag: count,
  waiting: count.describe('Not yet examined.'),
  pending: count.describe('`inFlight` + `retrying` + `held`.'),
  inFlight: count,
  retrying: count,
  held: count,
  delivered: count.describe('Events, each once.'),
  failed: count.describe('Attempts.'),
  dead: count.describe('Open dead letters.'),
  filtered: count,
  skipped: count,
  discarded: count,
  deaths: z
    .record(z.string(), count)
    .describe(
      'How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.',
    ),
  cursor: z
    .int()
    .nullable()
    .describe('The lowest sequence neither settled nor filtered, minus 1; null with several topics.'),
  lagSeconds: z
    .number()
    .nullable()
    .describe('The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.'),
  latency: z
    .object({ p50: z.number().nullable(), p99: z.number().nullable() })
    .describe(
      'Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.',
    ),
  successRate: recently(z.number().nullable()).describe(
    'The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.',
  ),
  attempted: recently(count).describe('How many attempts that were. Replays and redrives are among them.'),
  health: z
    .object({
      state: z
        .enum(['healthy', 'slowed', 'failing'])
        .describe(
          '`slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.',
        ),
      concurrency: z.int().describe('Deliveries that may be under way: `maxInFlight`, or fewer.'),
      since: timeField.nullable().describe('Since when it has not been healthy.'),
      nextProbeAt: timeField.nullable().describe('While failing: when the receiver is tried again.'),
      retryAfter: timeField.nullable().describe('The receiver asked (`Retry-After`) that nothing starts before.'),
    })
    .describe('How the receiver does.'),
});

export const topicStandingAnswer = z.object({
  topic: z.string(),
  status: z.enum(['attaching', 'active']),
  cursor: z.int(),
  lastSequence: z.int().nullable().describe(UNANSWERED),
  lag: count.nullable().describe(UNANSWERED),
  pending: count,
});

export const attemptAnswer = z.object({
  topic: z.string(),
  sequence: z.int(),
  attempt: z.int(),
  at: timeField,
  status: z.int().nullable(),
  outcome: z.enum(['delivered', 'failed', 'timeout', 'network']),
  latencyMs: z.number(),
  response: z.string().describe('The first KiB.'),
  error: z.string().nullable(),
  replay: z.string().nullable(),
  endedAt: timeField.describe('When the answer began, or the attempt failed.'),
  request: z
    .object({ url: z.string(), headers: z.record(z.string(), z.string()) })
    .nullable()
    .describe(
      'What was sent, as it was sent then. `…` stands for what may be secret: a signature, a header of the subscription’s own, a value in the query. Null: nothing was sent, or it is not known.',
    ),
});

/** With every default in it, so that a `GET` can be `PUT` back unchanged. */
export function configOut(document: SubscriptionDocument, secret: string | null) {
  const { filter, retry, delivery } = document;
  return {
    topics: document.topics,
    from: formatPosition(document.from),
    filter: filterOut(filter),
    transform: document.transform,
    ordering: document.ordering,
    maxInFlight: document.maxInFlight,
    retry: { schedule: retry.scheduleMs.map(formatDuration), jitter: retry.jitter },
    disableAfter: formatDuration(document.disableAfterMs),
    attempts: { maxCount: document.attempts.maxCount, maxAge: formatDuration(document.attempts.maxAgeMs) },
    delivery: deliveryOut(delivery, secret),
  };
}

/** `secret` is shown once, to whoever makes the subscription. */
export function subscriptionOut(
  view: SubscriptionView,
  secret: string | null = null,
): z.infer<typeof subscriptionAnswer> {
  return {
    name: view.name,
    ...configOut(view.document, secret),
    status: view.status,
    reason: view.reason,
    createdAt: timeOf(view.createdAt),
    updatedAt: timeOf(view.updatedAt),
    unanswered: view.unanswered,
    lag: view.lag,
    waiting: view.waiting,
    pending: view.pending,
    inFlight: view.inFlight,
    retrying: view.retrying,
    held: view.held,
    delivered: view.delivered,
    failed: view.failed,
    dead: view.dead,
    filtered: view.filtered,
    skipped: view.skipped,
    discarded: view.discarded,
    deaths: view.deaths,
    cursor: view.cursor,
    lagSeconds: view.lagMs === null ? null : view.lagMs / 1000,
    latency: { p50: view.latency.p50, p99: view.latency.p99 },
    successRate: { hour: view.successRate.hour, day: view.successRate.day },
    attempted: { hour: view.attempted.hour, day: view.attempted.day },
    health: healthOut(view.health),
  };
}

function healthOut(health: HealthView): z.infer<typeof subscriptionAnswer>['health'] {
  const { state, concurrency, since, nextProbeAt, retryAfter } = health;
  return {
    state,
    concurrency,
    since: timeOrNull(since),
    nextProbeAt: timeOrNull(nextProbeAt),
    retryAfter: timeOrNull(retryAfter),
  };
}

export function topicStandingOut(standing: TopicStanding): z.infer<typeof topicStandingAnswer> {
  const { topic, status, cursor, lastSequence, lag, pending } = standing;
  return { topic, status, cursor, lastSequence, lag, pending };
}

export function attemptOut(made: AttemptView): z.infer<typeof attemptAnswer> {
  const { topic, sequence, attempt, status, outcome, latencyMs, response, error, replay, request } = made;
  const at = timeOf(made.at);
  const endedAt = timeOf(made.at + latencyMs);
  return { topic, sequence, attempt, at, status, outcome, latencyMs, response, error, replay, endedAt, request };
}
