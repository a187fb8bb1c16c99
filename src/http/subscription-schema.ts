import { z } from 'zod';
import { durationSchema } from '../events/durations.ts';
import { positionSchema } from '../events/position.ts';
import type { SubscriptionDocument } from '../subscriptions/document.ts';
import { deliveryBody, toDelivery } from './delivery-schema.ts';
import { filterField, toFilter, toTransform, transformField } from './expression-fields.ts';
import { patternField } from './fields.ts';

/** The wire form of a subscription's configuration, and its way into the core's document. */

export const TOPICS_MAX = 100;
export const IN_FLIGHT_MAX = 1_000;
export const SCHEDULE_ENTRIES_MAX = 100;
export const SCHEDULE_ENTRY_MAX_MS = 7 * 24 * 3_600_000;

export const DISABLE_AFTER_MIN_MS = 60_000;
export const DISABLE_AFTER_MAX_MS = 90 * 24 * 3_600_000;
export const ATTEMPTS_MIN = 100;
export const ATTEMPTS_MAX = 100_000;
export const ATTEMPTS_AGE_MIN_MS = 60_000;
export const ATTEMPTS_AGE_MAX_MS = 90 * 24 * 3_600_000;

const DEFAULT_DISABLE_AFTER = '5d';
const DEFAULT_ATTEMPTS = 10_000;
const DEFAULT_ATTEMPTS_AGE = '7d';
/** Where the hub makes the calls, and where consumers take many at a time at their own pace: out of a queue, or by pulling. */
const DEFAULT_IN_FLIGHT = { webhook: 64, service: 64, queue: 1_000, pull: 1_000 };
const DEFAULT_SCHEDULE = ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'];
const DEFAULT_JITTER = 0.2;

/** What a `GET` returns beside the configuration; ignored when it is sent back. */
export const READ_ONLY_FIELDS = [
  'name',
  'status',
  'reason',
  'createdAt',
  'updatedAt',
  'etag',
  'unanswered',
  'lag',
  'waiting',
  'pending',
  'inFlight',
  'retrying',
  'held',
  'delivered',
  'failed',
  'dead',
  'filtered',
  'skipped',
  'discarded',
  'deaths',
  'cursor',
  'lagSeconds',
  'latency',
  'successRate',
  'attempted',
  'health',
];

/** The body of a `PUT` without {@link READ_ONLY_FIELDS}. */
export const subscriptionBody = z
  .strictObject({
    topics: z
      .array(patternField)
      .min(1)
      .max(TOPICS_MAX)
      .describe('Topic names and patterns: `*` is one token, a final `>` one or more.'),
    from: positionSchema
      .prefault('latest')
      .describe(
        'Where topics new to the subscription start. One that a pattern finds starts no later than its first event recorded since the pattern was made.',
      ),
    filter: filterField,
    transform: transformField,
    ordering: z
      .enum(['none', 'key', 'topic'])
      .default('none')
      .describe(
        '`key`: at most one delivery under way of a `partitionkey` (else `subject`), in order within it; `topic`: one after the other.',
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(IN_FLIGHT_MAX)
      .optional()
      .describe(
        `Deliveries under way: ${DEFAULT_IN_FLIGHT.webhook} by default; of the kinds \`queue\` and \`pull\`, ${DEFAULT_IN_FLIGHT.pull}.`,
      ),
    retry: z
      .strictObject({
        schedule: z
          .array(durationSchema(0, SCHEDULE_ENTRY_MAX_MS))
          .max(SCHEDULE_ENTRIES_MAX)
          .prefault(DEFAULT_SCHEDULE)
          .describe('The waits between attempts: N entries make N + 1 attempts at most.'),
        jitter: z.number().min(0).max(1).default(DEFAULT_JITTER),
      })
      .prefault({}),
    disableAfter: durationSchema(DISABLE_AFTER_MIN_MS, DISABLE_AFTER_MAX_MS)
      .prefault(DEFAULT_DISABLE_AFTER)
      .describe('A receiver that fails for this long without one success is disabled.'),
    attempts: z
      .strictObject({
        maxCount: z.int().min(ATTEMPTS_MIN).max(ATTEMPTS_MAX).default(DEFAULT_ATTEMPTS),
        maxAge: durationSchema(ATTEMPTS_AGE_MIN_MS, ATTEMPTS_AGE_MAX_MS).prefault(DEFAULT_ATTEMPTS_AGE),
      })
      .prefault({})
      .describe('How many attempts are kept to be looked at, and how long.'),
    delivery: deliveryBody,
  })
  .superRefine(({ transform, delivery }, context) => {
    const isOneRequest = delivery.kind === 'webhook' && delivery.format !== 'batch';
    if (isOneRequest || typeof transform === 'string') return;
    const message = delivery.kind === 'webhook' ? 'is of one event, and a batch has many' : 'is for webhooks alone';
    for (const part of ['headers', 'path'] as const) {
      if (transform?.[part] != null) context.addIssue({ code: 'custom', path: ['transform', part], message });
    }
  })
  .superRefine(({ ordering, delivery }, context) => {
    if (ordering === 'none' || delivery.kind !== 'queue' || delivery.confirm) return;
    const message =
      'needs delivery.confirm: a queue keeps no order, so that the next event must wait until the consumer has the one before';
    context.addIssue({ code: 'custom', path: ['ordering'], message });
  })
  .meta({ id: 'SubscriptionConfig' });

export type SubscriptionBody = z.infer<typeof subscriptionBody>;

export function toDocument(body: SubscriptionBody): SubscriptionDocument {
  return {
    topics: [...new Set(body.topics)],
    from: body.from,
    filter: toFilter(body.filter),
    transform: toTransform(body.transform),
    ordering: body.ordering,
    maxInFlight: body.maxInFlight ?? DEFAULT_IN_FLIGHT[body.delivery.kind],
    retry: { scheduleMs: body.retry.schedule, jitter: body.retry.jitter },
    disableAfterMs: body.disableAfter,
    attempts: { maxCount: body.attempts.maxCount, maxAgeMs: body.attempts.maxAge },
    delivery: toDelivery(body.delivery),
  };
}
