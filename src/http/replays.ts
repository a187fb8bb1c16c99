import { z } from 'zod';
import { Catalog } from '../catalog/catalog.ts';
import { base32 } from '../events/ids.ts';
import { positionSchema } from '../events/position.ts';
import type { StartReplayResult } from '../subscriptions/protocol.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import type { Context } from './context.ts';
import { Cursors } from './cursors.ts';
import { filterField, toFilter } from './expression-fields.ts';
import { listOf, listQuery, nameField } from './fields.ts';
import type { Hub } from './hub.ts';
import { invalid, Problem } from './problem.ts';
import { rateLimitBody, replayAnswer, replayOut, toRateLimit } from './replay-schema.ts';
import { type Route, route } from './route.ts';
import { positionProblem, topicNotSubscribed, unknownSubscription } from './subscription-problems.ts';

/** Replays: a range of a topic, once more, to one subscription. */

const tag = 'Replays';
const REPLAY_ID_BYTES = 16;

/** Replays looked through for one page: a key that may read few of many topics gets short pages. */
const REPLAYS_EXAMINED_MAX = 10_000;
const REPLAYS_AT_ONCE = 500;
/** Pages looked through for one with something on it. */
const PAGES_EXAMINED_MAX = 20;

const params = { id: z.string().max(64) };
const scopes = 'replays, and read on its topic';
const needs = () => [{ scope: 'replays' as const }];

/** What a GET returns beside what was asked for; ignored when it is sent back. */
const READ_ONLY_FIELDS = [
  'id',
  'status',
  'total',
  'delivered',
  'failed',
  'filtered',
  'remaining',
  'createdAt',
  'endedAt',
  'error',
];

const start = route({
  method: 'POST',
  path: '/v1/topics/{topic}/replays',
  tag,
  summary: 'Replay a range of a topic to a subscription',
  description:
    "Live delivery goes on beside it. The subscription's own filter applies too; a paused subscription's replay waits. `to` is the last sequence at making by default.",
  params: { topic: nameField },
  query: {},
  body: z.strictObject({
    topic: nameField.optional().describe('Read-only: must be the topic in the path.'),
    subscription: nameField,
    from: positionSchema,
    to: positionSchema.optional(),
    filter: filterField,
    rateLimit: rateLimitBody.nullable().default(null),
  }),
  readOnly: READ_ONLY_FIELDS,
  needs: ({ topic }) => [{ scope: 'replays' }, { scope: 'read', on: topic }],
  scopes: 'replays, and read on the topic and on every topic pattern the subscription names',
  responses: { 202: replayAnswer },
  problems: [
    'unknown-topic',
    'unknown-subscription',
    'topic-not-subscribed',
    'invalid-range',
    'position-ahead',
    'sequence-expired',
  ],
  audit: ({ params: { topic }, body }) => ({ action: 'replay.create', target: `${topic} to ${body.subscription}` }),
  handler: async ({ params: { topic }, body }, context) => {
    const { hub } = context;
    if (body.topic !== undefined && body.topic !== topic) {
      throw invalid([{ path: 'topic', message: 'is not the topic in the path; leave it out' }]);
    }
    if ((await hub.topic(topic).describe()) === null) {
      throw new Problem('unknown-topic', `There is no topic "${topic}".`);
    }
    const subscription = hub.subscription(body.subscription);
    const present = await subscription.configuration();
    if (present === null) throw unknownSubscription(body.subscription);
    for (const on of present.document.topics) context.require({ scope: 'read', on });
    const result = await subscription.startReplay({
      v: 1,
      id: `rpl_${base32(hub.random.bytes(REPLAY_ID_BYTES))}`,
      topic,
      from: body.from,
      to: body.to ?? null,
      filter: toFilter(body.filter),
      rateLimit: toRateLimit(body.rateLimit),
    });
    return { status: 202, body: replayOut(startedOrRefuse(result, topic, body.subscription)) };
  },
});

function startedOrRefuse(result: StartReplayResult, topic: string, subscription: string) {
  switch (result.outcome) {
    case 'started':
      return result.replay;
    case 'unknown-subscription':
      throw unknownSubscription(subscription);
    case 'topic-not-subscribed':
      throw topicNotSubscribed(subscription, topic);
    case 'invalid-range':
      throw invalid([{ path: 'to', message: 'lies before `from`' }], 'invalid-range');
    case 'position-ahead':
      throw positionProblem({ ...result, topic }, result.end);
    case 'sequence-expired':
      throw positionProblem({ ...result, topic }, 'from');
  }
}

const cursors = new Cursors('replays', z.object({ createdAt: z.number(), id: z.string() }));

const list = route({
  method: 'GET',
  path: '/v1/replays',
  tag,
  summary: 'List replays, newest first',
  params: {},
  query: listQuery,
  body: noBody,
  needs,
  scopes: 'replays; lists those of topics the key may read',
  responses: { 200: listOf(replayAnswer) },
  handler: async ({ query: { limit, cursor } }, context) => {
    let place = cursor;
    for (let pages = 1; ; pages++) {
      const { found, next } = await readableReplays(context, place, limit);
      const replays = await mapBounded(found, ({ id, subscription }) =>
        context.hub.subscription(subscription).replay(id),
      );
      // Those of a deleted subscription are gone with it, though the catalogue still has them.
      const items = replays.filter((replay) => replay !== null).map(replayOut);
      if (items.length > 0 || next === null || pages === PAGES_EXAMINED_MAX) {
        return { status: 200, body: { items, next } };
      }
      place = next;
    }
  },
});

interface Listed {
  id: string;
  subscription: string;
  topic: string;
  createdAt: number;
}

async function readableReplays(
  context: Context,
  cursor: string | undefined,
  limit: number,
): Promise<{ found: Listed[]; next: string | null }> {
  const catalog = new Catalog(context.hub.db);
  const found: Listed[] = [];
  let last = cursors.placeIn(cursor);
  for (let examined = 0; examined < REPLAYS_EXAMINED_MAX; examined += REPLAYS_AT_ONCE) {
    const page = await catalog.replaysBefore(last, REPLAYS_AT_ONCE);
    for (const replay of page) {
      if (found.length === limit) return { found, next: cursors.after(last) };
      last = { createdAt: replay.createdAt, id: replay.id };
      if (context.may({ scope: 'read', on: replay.topic })) found.push(replay);
    }
    if (page.length < REPLAYS_AT_ONCE) return { found, next: null };
  }
  return { found, next: cursors.after(last) };
}

/** The subscription that has the replay. @throws Problem `forbidden`, `unknown-replay` */
async function ownerOf(id: string, context: Context): Promise<ReturnType<Hub['subscription']>> {
  const entry = await new Catalog(context.hub.db).replay(id);
  if (entry === null) throw unknownReplay(id);
  context.require({ scope: 'read', on: entry.topic });
  return context.hub.subscription(entry.subscription);
}

function unknownReplay(id: string): Problem {
  return new Problem('unknown-replay', `There is no replay "${id}".`);
}

const get = route({
  method: 'GET',
  path: '/v1/replays/{id}',
  tag,
  summary: 'A replay and how far it is',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 200: replayAnswer },
  problems: ['unknown-replay'],
  handler: async ({ params: { id } }, context) => {
    const replay = await (await ownerOf(id, context)).replay(id);
    if (replay === null) throw unknownReplay(id);
    return { status: 200, body: replayOut(replay) };
  },
});

const put = route({
  method: 'PUT',
  path: '/v1/replays/{id}',
  tag,
  summary: "Change a replay's rate",
  params,
  query: {},
  body: z.strictObject({ rateLimit: rateLimitBody.nullable() }),
  readOnly: Object.keys(replayAnswer.shape).filter((field) => field !== 'rateLimit'),
  needs,
  scopes,
  responses: { 200: replayAnswer },
  problems: ['unknown-replay', 'replay-ended'],
  audit: (input) => ({ action: 'replay.update', target: input.params.id }),
  handler: async ({ params: { id }, body }, context) => {
    const owner = await ownerOf(id, context);
    const before = await owner.replay(id);
    if (before !== null && before.status !== 'running') {
      throw new Problem('replay-ended', `The replay "${id}" is ${before.status}: there is no rate left to change.`);
    }
    const replay = await owner.changeReplay(id, toRateLimit(body.rateLimit));
    if (replay === null) throw unknownReplay(id);
    return { status: 200, body: replayOut(replay) };
  },
});

const cancel = route({
  method: 'DELETE',
  path: '/v1/replays/{id}',
  tag,
  summary: 'Cancel a replay',
  description: 'It stops within a second, and stays in the list. One that has ended stays as it is.',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 204: null },
  problems: ['unknown-replay'],
  audit: (input) => ({ action: 'replay.cancel', target: input.params.id }),
  handler: async ({ params: { id } }, context) => {
    const owner = await ownerOf(id, context);
    if (!(await owner.cancelReplay(id)) && (await owner.replay(id)) === null) throw unknownReplay(id);
    return { status: 204, body: null };
  },
});

export const replayRoutes: Route[] = [start, list, get, put, cancel];
