import { z } from 'zod';
import { type DeadLetter, DeadLetters, type LetterFilter } from '../dead-letters/letters.ts';
import { noBody } from './body.ts';
import type { Context } from './context.ts';
import { Cursors } from './cursors.ts';
import { startJobs } from './dead-letter-jobs.ts';
import { jobAnswer, letterAnswer, letterFields, letterText, stateField, toFilter } from './dead-letter-schema.ts';
import { listOf, listQuery } from './fields.ts';
import { Problem } from './problem.ts';
import { type Route, route } from './route.ts';
import { SUBSCRIPTION_GONE, subscriptionGone } from './subscription-problems.ts';

/** Dead letters: deliveries that were given up on, until a person redrives or discards them. */

const tag = 'Dead letters';
const params = { id: z.string().max(64) };
const scopes = 'dead-letters, and read on its topic';
const needs = () => [{ scope: 'dead-letters' as const }];
const needsOfTopic = (topic: string | undefined) =>
  topic === undefined ? [] : [{ scope: 'read' as const, on: topic }];

/** Pages looked through for one with something on it: a key that may read few of many topics gets empty ones. */
const PAGES_EXAMINED_MAX = 20;

const cursors = new Cursors('dead-letters', z.object({ diedAt: z.number(), id: z.string() }));

const list = route({
  method: 'GET',
  path: '/v1/dead-letters',
  tag,
  summary: 'List dead letters, newest first',
  params: {},
  query: { ...letterFields, state: stateField, ...listQuery },
  body: noBody,
  needs,
  needsOfInput: ({ query }) => needsOfTopic(query.topic),
  scopes: 'dead-letters; lists those of topics the key may read',
  responses: { 200: listOf(letterAnswer) },
  problems: ['invalid-range'],
  handler: async ({ query }, context) => {
    const filter = toFilter(query, query.state);
    const { letters, next } = await readableLetters(context, filter, query.cursor, query.limit);
    return jsonText(`{"items":[${letters.map(letterText).join(',')}],"next":${JSON.stringify(next)}}`);
  },
});

async function readableLetters(
  context: Context,
  filter: LetterFilter,
  cursor: string | undefined,
  limit: number,
): Promise<{ letters: DeadLetter[]; next: string | null }> {
  const all = new DeadLetters(context.hub.db);
  let before = cursors.placeIn(cursor);
  let letters: DeadLetter[];
  let pages = 0;
  do {
    const page = await all.page(filter, limit, before);
    letters = page.letters.filter(({ topic }) => context.may({ scope: 'read', on: topic }));
    pages += 1;
    before = page.next;
    // What is found is answered at once: one page is bounded in bytes, and several would not be.
  } while (before !== null && letters.length === 0 && pages < PAGES_EXAMINED_MAX);
  return { letters, next: cursors.after(before) };
}

function jsonText(text: string): Response {
  return new Response(text, { headers: { 'content-type': 'application/json' } });
}

/** @throws Problem `unknown-dead-letter`, `forbidden` */
async function letterOf(id: string, context: Context): Promise<DeadLetter> {
  const letter = await new DeadLetters(context.hub.db).get(id);
  if (letter === null) throw new Problem('unknown-dead-letter', `There is no dead letter "${id}".`);
  context.require({ scope: 'read', on: letter.topic });
  return letter;
}

const get = route({
  method: 'GET',
  path: '/v1/dead-letters/{id}',
  tag,
  summary: 'A dead letter with its whole event',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 200: letterAnswer },
  problems: ['unknown-dead-letter'],
  handler: async ({ params: { id } }, context) => jsonText(letterText(await letterOf(id, context))),
});

const redrive = route({
  method: 'POST',
  path: '/v1/dead-letters/{id}/redrive',
  tag,
  summary: 'Send a dead letter again',
  description:
    'The retry schedule starts afresh, `attempts` counts on. One that is resolved or pending already is not sent twice.',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 202: z.object({ id: z.string(), status: z.literal('pending') }) },
  problems: ['unknown-dead-letter', SUBSCRIPTION_GONE, 'not-redrivable'],
  audit: (input) => ({ action: 'dead-letter.redrive', target: input.params.id }),
  handler: async ({ params: { id } }, context) => {
    const { subscription, topic, sequence, event, resolvedAt, discardedAt } = await letterOf(id, context);
    if (discardedAt !== null) throw new Problem('not-redrivable', `The dead letter "${id}" was discarded.`);
    if (resolvedAt === null && !(await context.hub.subscription(subscription).redrive({ topic, sequence, event }))) {
      throw subscriptionGone(subscription);
    }
    return { status: 202, body: { id, status: 'pending' as const } };
  },
});

const redriveAll = route({
  method: 'POST',
  path: '/v1/dead-letters/redrive',
  tag,
  summary: 'Send the open dead letters that a filter matches again',
  params: {},
  query: {},
  body: z.strictObject(letterFields),
  needs,
  needsOfInput: ({ body }) => needsOfTopic(body.topic),
  scopes: 'dead-letters; takes those of topics the key may read',
  responses: { 202: jobAnswer },
  problems: ['filter-required', 'invalid-range', SUBSCRIPTION_GONE],
  audit: ({ body }) => ({ action: 'dead-letter.redrive-all', target: targetOf(body) }),
  handler: async ({ body }, context) => ({
    status: 202,
    body: await startJobs('redrive', toFilter(body, 'open'), context),
  }),
});

const discard = route({
  method: 'DELETE',
  path: '/v1/dead-letters/{id}',
  tag,
  summary: 'Discard a dead letter',
  description: 'It stays in the list under `state=discarded`. One that is resolved or discarded stays as it is.',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 204: null },
  problems: ['unknown-dead-letter'],
  audit: (input) => ({ action: 'dead-letter.discard', target: input.params.id }),
  handler: async ({ params: { id } }, context) => {
    const { subscription, topic, sequence, resolvedAt, discardedAt } = await letterOf(id, context);
    const settled = resolvedAt !== null || discardedAt !== null;
    if (!settled && !(await context.hub.subscription(subscription).discard({ topic, sequence }))) {
      await new DeadLetters(context.hub.db).discardOrphan(id, context.hub.now());
    }
    return { status: 204, body: null };
  },
});

const discardAll = route({
  method: 'DELETE',
  path: '/v1/dead-letters',
  tag,
  summary: 'Discard the open dead letters that a filter matches',
  params: {},
  query: letterFields,
  body: noBody,
  needs,
  needsOfInput: ({ query }) => needsOfTopic(query.topic),
  scopes: 'dead-letters; takes those of topics the key may read',
  responses: { 202: jobAnswer },
  problems: ['filter-required', 'invalid-range'],
  audit: ({ query }) => ({ action: 'dead-letter.discard-all', target: targetOf(query) }),
  handler: async ({ query }, context) => ({
    status: 202,
    body: await startJobs('discard', toFilter(query, 'open'), context),
  }),
});

/** A filter in the audit: names only. */
function targetOf(fields: { subscription?: string | undefined; topic?: string | undefined }): string {
  return `subscription ${fields.subscription ?? 'any'}, topic ${fields.topic ?? 'any'}`;
}

export const deadLetterRoutes: Route[] = [list, discardAll, redriveAll, get, redrive, discard];
