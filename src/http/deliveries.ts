import { z } from 'zod';
import type { DeliveryView } from '../subscriptions/protocol.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import { foundOrRefuse } from './events.ts';
import { cursorOf, listOf, listQuery, nameField, placeOf, timeField, timeOrNull } from './fields.ts';
import { type Route, route } from './route.ts';
import { sequenceField } from './sequence.ts';

/** What became of one event, for each subscription that has its topic. */

const deliveryAnswer = z.object({
  subscription: z.string(),
  status: z.enum([
    'pending',
    'held',
    'delivering',
    'retrying',
    'delivered',
    'dead',
    'filtered',
    'not-subscribed',
    'skipped',
    'discarded',
  ]),
  attempts: z.int(),
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
  nextAttemptAt: timeField.nullable(),
  settledAt: timeField.nullable(),
  deadLetter: z.string().nullable().describe("The dead letter's id."),
});

function deliveryOut(subscription: string, view: DeliveryView): z.infer<typeof deliveryAnswer> {
  const { status, attempts, lastStatus, lastError, nextAttemptAt, settledAt, deadLetter } = view;
  return {
    subscription,
    status,
    attempts,
    lastStatus,
    lastError,
    nextAttemptAt: timeOrNull(nextAttemptAt),
    settledAt: timeOrNull(settledAt),
    deadLetter,
  };
}

const list = route({
  method: 'GET',
  path: '/v1/topics/{topic}/events/{sequence}/deliveries',
  tag: 'Events',
  summary: 'What became of an event, by subscription',
  params: { topic: nameField, sequence: sequenceField },
  query: listQuery,
  body: noBody,
  laterAccept: ['text/event-stream'],
  needs: ({ topic }) => [{ scope: 'read', on: topic }],
  scopes: 'read:{topic}',
  responses: { 200: listOf(deliveryAnswer) },
  problems: ['unknown-topic', 'unknown-event', 'sequence-expired'],
  handler: async ({ params: { topic, sequence }, query }, { hub }) => {
    const log = hub.topic(topic);
    const json = foundOrRefuse(await log.event(sequence), topic, sequence);
    const [after = ''] = placeOf(query.cursor, z.tuple([z.string()])) ?? [];
    const names = await log.subscribers(after, query.limit + 1);
    const page = names.slice(0, query.limit);
    const items = await mapBounded(page, async (name) =>
      deliveryOut(name, await hub.subscription(name).delivery(topic, sequence, json)),
    );
    const last = page.at(-1);
    return {
      status: 200,
      body: { items, next: names.length > page.length && last !== undefined ? cursorOf([last]) : null },
    };
  },
});

export const deliveryRoutes: Route[] = [list];
