import { z } from 'zod';
import { formatDuration } from '../events/duration-text.ts';
import { durationSchema } from '../events/durations.ts';
import type { TopicConfig, TopicDescription } from '../topics/protocol.ts';
import { timeField, timeOf } from './fields.ts';
import type { Later } from './parse.ts';

/** The wire form of a topic: what can be set, and what is answered. */

const DAY_MS = 24 * 60 * 60 * 1000;
const WINDOW_MAX_MS = 90 * DAY_MS;
const DESCRIPTION_MAX_CHARACTERS = 2000;

export const topicBody = z.strictObject({
  description: z.string().max(DESCRIPTION_MAX_CHARACTERS).default(''),
  deduplicationWindow: durationSchema(0, WINDOW_MAX_MS)
    .prefault('24h')
    .meta({ description: 'How long the pair (`source`, `id`) is remembered.' }),
  retention: z
    .strictObject({
      maxAge: z.null().optional(),
      maxEvents: z.null().optional(),
      maxBytes: z.null().optional(),
    })
    .nullable()
    .optional(),
  validation: z.literal('off').optional(),
  compaction: z.literal(false).optional(),
  partitions: z.literal(1).optional(),
});

/** The values that api.md promises and that come later; {@link topicBody} takes the defaults. */
export const TOPIC_LATER_FIELDS: Later = {
  'retention.maxAge': durationSchema(1, Number.MAX_SAFE_INTEGER),
  'retention.maxEvents': z.int().min(1),
  'retention.maxBytes': z.int().min(1),
  validation: z.enum(['warn', 'enforce']),
  compaction: z.literal(true),
  partitions: z.int().min(2),
};

export const topicAnswer = z
  .object({
    name: z.string(),
    description: z.string(),
    retention: z.object({ maxAge: z.null(), maxEvents: z.null(), maxBytes: z.null() }),
    deduplicationWindow: z.string(),
    validation: z.literal('off'),
    compaction: z.literal(false),
    partitions: z.literal(1),
    firstSequence: z.number(),
    lastSequence: z.number(),
    events: z.number(),
    bytes: z.number(),
    subscriptions: z.number(),
    createdAt: timeField,
  })
  .meta({ id: 'Topic' });

/** What a `GET` returns beside the configuration; ignored when it is sent back. */
export const TOPIC_READ_ONLY_FIELDS = [
  'name',
  'firstSequence',
  'lastSequence',
  'events',
  'bytes',
  'subscriptions',
  'createdAt',
];

const NO_RETENTION = { maxAge: null, maxEvents: null, maxBytes: null };

export function toTopicConfig(body: z.output<typeof topicBody>): TopicConfig {
  return { description: body.description, deduplicationWindowMs: body.deduplicationWindow };
}

/** With every default in it, so that it can be `PUT` back unchanged. */
export function topicConfigOut(config: TopicConfig) {
  return {
    description: config.description,
    retention: NO_RETENTION,
    deduplicationWindow: formatDuration(config.deduplicationWindowMs),
    validation: 'off' as const,
    compaction: false as const,
    partitions: 1 as const,
  };
}

export function topicOut(topic: TopicDescription): z.output<typeof topicAnswer> {
  return {
    name: topic.name,
    ...topicConfigOut(topic.config),
    firstSequence: topic.firstSequence,
    lastSequence: topic.lastSequence,
    events: topic.events,
    bytes: topic.bytes,
    subscriptions: topic.subscriptions,
    createdAt: timeOf(topic.createdAt),
  };
}
