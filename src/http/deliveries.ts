import { z } from 'zod';
import { TAIL_CLOSED } from '../events/attribute-rules.ts';
import type { DeliveryView } from '../subscriptions/protocol-views.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import { textCursors } from './cursors.ts';
import { EVENT_STREAM, eventStream, type Send } from './event-stream.ts';
import { foundOrRefuse } from './events.ts';
import {
  countField,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  listOf,
  listQuery,
  nameField,
  timeField,
  timeOrNull,
  tokenField,
} from './fields.ts';
import { follow } from './follow.ts';
import { acceptedTypes } from './headers.ts';
import type { Hub } from './hub.ts';
import { type Route, route } from './route.ts';
import { sequenceInPath } from './sequence.ts';
import { watchCaller } from './watch.ts';

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

/** The id of a stream's last event: whoever comes back with it has seen all. */
const SETTLED = 'settled';
/** Rows that a stream gives at a time, until all present ones are there. */
const ROWS_AT_ONCE = 50;

/** What became of an event at some subscriptions. */
class Deliveries {
  readonly #hub: Hub;
  readonly #event: { topic: string; sequence: number; json: string };

  constructor(hub: Hub, event: { topic: string; sequence: number; json: string }) {
    this.#hub = hub;
    this.#event = event;
  }

  async at(names: readonly string[]): Promise<[string, DeliveryView][]> {
    const { topic, sequence, json } = this.#event;
    return mapBounded(names, async (name) => [
      name,
      await this.#hub.subscription(name).delivery(topic, sequence, json),
    ]);
  }

  /** All rows as they are, `first` first, then each that changes, until none is open. */
  async stream(first: [string, DeliveryView][], rest: string[], send: Send, hungUp: AbortSignal): Promise<void> {
    const views = new Map<string, DeliveryView>();
    const changed = (name: string, view: DeliveryView) =>
      send({ event: 'delivery', data: JSON.stringify(deliveryOut(name, view)) });
    const give = (rows: [string, DeliveryView][]) => {
      for (const [name, view] of rows) {
        views.set(name, view);
        changed(name, view);
      }
    };
    give(first);
    for (let from = 0; from < rest.length && !hungUp.aborted; from += ROWS_AT_ONCE) {
      give(await this.at(rest.slice(from, from + ROWS_AT_ONCE)));
    }
    const isSettled = await follow(views, {
      now: () => this.#hub.now(),
      ask: (name, known, waitMs) =>
        this.#hub.subscription(name).deliveryOtherThan({ v: 1, ...this.#event, known, waitMs }),
      changed,
      stop: hungUp,
    });
    if (isSettled) send({ id: SETTLED });
  }
}

const cursors = textCursors('deliveries');

const list = route({
  method: 'GET',
  path: '/v1/topics/{topic}/events/{sequence}/deliveries',
  tag: 'Events',
  summary: 'What became of an event, by subscription',
  description:
    `As ${EVENT_STREAM} an event \`delivery\` for each row, all present ones first, then each that changes, until none ` +
    'is pending, held, delivering or retrying; of 1,000 subscriptions where `limit` does not say otherwise. A stream that ' +
    'lasts for 15 minutes ends before that. A comment line every 15 s keeps it open. The last line of a stream that is ' +
    'done is `id: settled`; with `Last-Event-ID: settled` the answer is a 204, at which an EventSource comes back no more. ' +
    `Where the key or token expires or is revoked meanwhile, an event \`${TAIL_CLOSED}\` is the last.`,
  params: { topic: nameField, sequence: sequenceInPath },
  queryToken: true,
  query: {
    ...listQuery,
    token: tokenField,
    limit: countField
      .optional()
      .meta({ description: `How many at most: 1 to ${LIST_LIMIT_MAX}, ${LIST_LIMIT_DEFAULT} by default.` }),
  },
  body: noBody,
  headers: { 'last-event-id': 'Of a stream: `settled` where all was seen to be settled.' },
  needs: ({ topic }) => [{ scope: 'read', on: topic }],
  scopes: 'read:{topic}',
  responses: { 200: listOf(deliveryAnswer), 204: null },
  streams: { [EVENT_STREAM]: deliveryAnswer },
  problems: ['unknown-topic', 'unknown-event', 'sequence-expired'],
  handler: async ({ params: { topic, sequence }, query }, context) => {
    const { hub, request, requestId } = context;
    const streams = wantsStream(request);
    if (streams && request.headers.get('last-event-id') === SETTLED) return { status: 204, body: null };
    const log = hub.topic(topic);
    const json = foundOrRefuse(await log.event(sequence), topic, sequence);
    const deliveries = new Deliveries(hub, { topic, sequence, json });
    const after = cursors.placeIn(query.cursor) ?? '';
    const limit = query.limit ?? (streams ? LIST_LIMIT_MAX : LIST_LIMIT_DEFAULT);
    const names = await log.subscribers(after, limit + 1);
    const { items: page, next } = cursors.page(names, limit, (name) => name);
    if (streams) {
      const first = await deliveries.at(page.slice(0, ROWS_AT_ONCE));
      const rest = page.slice(ROWS_AT_ONCE);
      const run = (send: Send, hungUp: AbortSignal) =>
        deliveries.stream(first, rest, send, hungUp).catch((error: unknown) => {
          hub.log('warn', 'A stream of deliveries was cut off.', { requestId, topic, sequence, error });
          throw error;
        });
      return eventStream(run, (ended) => watchCaller(context, ended));
    }
    const items = (await deliveries.at(page)).map(([name, view]) => deliveryOut(name, view));
    return { status: 200, body: { items, next } };
  },
});

function wantsStream(request: Request): boolean {
  return acceptedTypes(request).find((type) => type === EVENT_STREAM || type === 'application/json') === EVENT_STREAM;
}

export const deliveryRoutes: Route[] = [list];
