import { z } from 'zod';

/** What the hub tells of itself: every type of event on its own topic, and the shape of its data (docs/system-events.md). */

/** The hub's own topic. */
export const SYSTEM_TOPIC = 'millrace.system';

const time = z.iso.datetime();
const count = z.int().min(0);
const subscription = z.string().meta({ description: 'Its name.' });
const topic = z.string().meta({ description: 'Its name.' });

const ofSubscription = z.object({ subscription });
const configured = ofSubscription.extend({ topics: z.array(z.string()).meta({ description: 'Names and patterns.' }) });

const replayEnded = ofSubscription.extend({
  topic,
  replay: z.string().meta({ description: 'Its id.' }),
  from: z.int(),
  to: z.int(),
  total: count,
  delivered: count,
  failed: count.meta({ description: 'Events that became dead letters.' }),
  filtered: count,
  remaining: count,
  error: z.string().nullable(),
});

const oneDead = ofSubscription.extend({
  count: z.literal(1),
  deadLetter: z.string().meta({ description: 'Its id, for `/v1/dead-letters/{id}`.' }),
  topic,
  sequence: z.int(),
  event: z
    .object({ id: z.string(), source: z.string(), type: z.string() })
    .nullable()
    .meta({ description: 'Null where the topic does not have it any more.' }),
  reason: z.string(),
  attempts: count,
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
});

const manyDead = ofSubscription.extend({
  count: z.int().min(1).meta({ description: 'Dead letters that are not told of one by one.' }),
  reasons: z.record(z.string(), count).meta({ description: 'How many of each reason.' }),
  since: time,
  until: time,
});

export const SYSTEM_EVENTS = {
  'millrace.subscription.created': configured,
  'millrace.subscription.updated': configured,
  'millrace.subscription.deleted': ofSubscription,
  'millrace.subscription.paused': ofSubscription,
  'millrace.subscription.resumed': ofSubscription,
  'millrace.subscription.failing': ofSubscription.extend({
    since: time.meta({ description: 'The first failure since the last success.' }),
    failures: count.meta({ description: 'In a row.' }),
  }),
  'millrace.subscription.disabled': ofSubscription.extend({ reason: z.string() }),
  'millrace.subscription.error': ofSubscription.extend({ reason: z.string() }),
  'millrace.subscription.recovered': ofSubscription.extend({
    after: z.enum(['failing', 'disabled', 'error']),
    since: time.meta({ description: 'When that was told.' }),
  }),
  'millrace.delivery.dead': z.union([oneDead, manyDead]),
  'millrace.replay.done': replayEnded,
  'millrace.replay.cancelled': replayEnded,
  'millrace.replay.failed': replayEnded,
  'millrace.topic.created': z.object({ topic }),
  'millrace.topic.deleted': z.object({
    topic,
    lastSequence: count.meta({ description: 'Made again, it goes on from here.' }),
  }),
  'millrace.topic.filling': z.object({
    topic,
    bytes: count.meta({ description: 'Of its log on disk.' }),
    fullAtBytes: count.meta({ description: 'From here on it refuses events.' }),
  }),
} as const;

export type SystemEventType = keyof typeof SYSTEM_EVENTS;

export type SystemEventData<Type extends SystemEventType> = z.output<(typeof SYSTEM_EVENTS)[Type]>;

export const SYSTEM_EVENT_TYPES = Object.keys(SYSTEM_EVENTS);

/** JSON Schema (2020-12) of the data of each type. Further fields are allowed: later versions may add some. */
export function systemEventSchemas(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(SYSTEM_EVENTS).map(([type, shape]) => [type, z.toJSONSchema(shape, { io: 'input' })]),
  );
}
