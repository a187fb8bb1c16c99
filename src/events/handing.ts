import { z } from 'zod';
import { durationSchema } from './durations.ts';
import type { HandlingResult, QueuedEvent } from './handed.ts';
import { REASON_CHARACTERS_MAX, RETRY_DELAY_MAX_MS } from './handing-limits.ts';
import type { StoredEvent } from './stored.ts';

/** The schemas of what the hub and a consumer Worker say to each other: in calls, requests and queue messages alike. */

/** The hub's own words come back: what is left of their shape is enough to know them by. */
const event = z.custom<StoredEvent>(
  (value) =>
    z.looseObject({ specversion: z.literal('1.0'), id: z.string(), type: z.string() }).safeParse(value).success,
  'must be an event of the hub',
);

/** The body of a message on a consumer's own queue. */
export const queuedEvent = z.object({
  v: z.literal(1),
  subscription: z.string(),
  topic: z.string(),
  sequence: z.int().min(1),
  attempt: z.int().min(1).describe('1 for the first.'),
  replay: z.string().nullable().describe('The replay it comes from; null: it does not.'),
  redriven: z.boolean().describe('It was a dead letter, and comes again beside the order of what is live.'),
  event: event
    .optional()
    .describe('Absent where it is too large for a message: a claim check. The hub has it, under topic and sequence.'),
  sentAt: z.int().describe('When it was given to the queue, milliseconds since the epoch.'),
  ackId: z.string().optional().describe('By which it is confirmed, where the subscription wants that.'),
  seal: z.string().optional().describe('By which the hub knows what its dead letter queue brings back.'),
}) satisfies z.ZodType<QueuedEvent>;

const reason = z.string().transform((text) => text.slice(0, REASON_CHARACTERS_MAX));

/** What a consumer answers for one event. */
export const handlingResult = z.discriminatedUnion('result', [
  z.object({ result: z.literal('ack') }),
  z.object({
    result: z.literal('retry'),
    delay: durationSchema(0, RETRY_DELAY_MAX_MS).optional().describe('At least so long; absent: as the schedule says.'),
    reason: reason.optional(),
  }),
  z.object({ result: z.literal('reject'), reason: reason.optional() }),
]) satisfies z.ZodType<unknown, HandlingResult>;
