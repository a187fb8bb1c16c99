import { Catalog } from '../catalog/catalog.ts';
import type { PutResult } from '../subscriptions/protocol.ts';
import { mayBind, requireBinding } from './binding-guard.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import type { Context } from './context.ts';
import { textCursors } from './cursors.ts';
import { listOf, listQuery, nameField } from './fields.ts';
import { putGuarded } from './guard.ts';
import { consented } from './handshake.ts';
import { etagHeader } from './headers.ts';
import { namedPage } from './named-page.ts';
import { Problem, unavailable } from './problem.ts';
import { type Route, route } from './route.ts';
import { positionProblem, secretUnreadable, unknownSubscription } from './subscription-problems.ts';
import { READ_ONLY_FIELDS, type SubscriptionBody, subscriptionBody, toDocument } from './subscription-schema.ts';
import { subscriptionAnswer, subscriptionOut, topicStandingAnswer, topicStandingOut } from './subscription-view.ts';
import { checkDelivery } from './webhook-guard.ts';

/** Subscriptions: their configuration and where they stand. */

const tag = 'Subscriptions';
const scopes = 'subscriptions:{name}';
const params = { name: nameField };
const needs = ({ name }: { name: string }) => [{ scope: 'subscriptions' as const, on: name }];

const listCursors = textCursors('subscriptions');
const topicCursors = textCursors('subscription-topics');

const list = route({
  method: 'GET',
  path: '/v1/subscriptions',
  tag,
  summary: 'List subscriptions by name',
  params: {},
  query: listQuery,
  body: noBody,
  scopes: 'lists what `subscriptions:GLOB` of the key matches',
  responses: { 200: listOf(subscriptionAnswer) },
  handler: async ({ query }, context) => {
    const catalog = new Catalog(context.hub.db);
    const { names, next } = await namedPage(query, {
      cursors: listCursors,
      namesAfter: (name, limit) => catalog.subscriptionsAfter(name, limit),
      maySee: (name) => context.may({ scope: 'subscriptions', on: name }),
    });
    const views = await mapBounded(names, (name) => context.hub.subscription(name).describe());
    // The catalogue is a mirror: one deleted a moment ago may still be in it.
    const items = views.filter((view) => view !== null).map((view) => subscriptionOut(view));
    return { status: 200, body: { items, next } };
  },
});

const put = route({
  method: 'PUT',
  path: '/v1/subscriptions/{name}',
  tag,
  summary: 'Make a subscription, or replace its configuration',
  description:
    'The 201 is a barrier: every event acknowledged after it is delivered. A paused subscription stays paused; another url enables a disabled one. An omitted secret stays. What a binding is given is which events it gets (`topics`, `filter`), what is made of them (`transform`), and what is called with them.',
  params,
  query: {},
  body: subscriptionBody,
  readOnly: READ_ONLY_FIELDS,
  guarded: true,
  needs,
  needsOfInput: ({ body }) => body.topics.map((on) => ({ scope: 'read' as const, on })),
  scopes: `${scopes}, and read on every topic pattern it names; bindings:{binding} to make or change what a binding is given`,
  responses: { 200: subscriptionAnswer, 201: subscriptionAnswer },
  problems: [
    'url-not-allowed',
    'precondition-failed',
    'position-ahead',
    'sequence-expired',
    'secret-unreadable',
    'unavailable',
  ],
  audit: ({ params }, status) => ({
    action: status === 201 ? 'subscription.create' : 'subscription.update',
    target: params.name,
  }),
  handler: ({ params: { name }, body }, context) => putSubscription(name, body, context),
});

/**
 * Makes a subscription or replaces its configuration.
 *
 * @param urlField where the caller has the url
 * @throws Problem
 */
export async function putSubscription(
  name: string,
  body: SubscriptionBody,
  context: Context,
  urlField = 'delivery.url',
) {
  const subscription = context.hub.subscription(name);
  const document = toDocument(body);
  const current = async () => {
    const present = await subscription.configuration();
    requireBinding(document, present?.document ?? null, context);
    return present?.etag ?? null;
  };
  let { guard } = context;
  if (!mayBind(document, context)) {
    // Before it is said whether there is such a binding; and what was compared with must be what is replaced.
    await current();
    if (guard === 'none') guard = 'exists';
  }
  await checkDelivery(body.delivery, context, urlField);
  const put = putOrRefuse(
    await putGuarded(guard, current, (ifMatch) => subscription.put({ v: 1, name, document, ifMatch })),
  );
  const { outcome, secret } = put;
  const view = await consented(put.view, context);
  const headers = etagHeader(view.etag);
  return outcome === 'created'
    ? { status: 201 as const, body: subscriptionOut(view, secret), headers }
    : { status: 200 as const, body: subscriptionOut(view), headers };
}

/** @throws Problem for every outcome but `created` and `replaced` */
export function putOrRefuse(result: Exclude<PutResult, { outcome: 'precondition-failed' }> | null) {
  if (result === null) {
    throw new Problem('precondition-failed', 'The subscription is not as If-Match says: GET it again.');
  }
  switch (result.outcome) {
    case 'created':
    case 'replaced':
      return result;
    case 'position-ahead':
    case 'sequence-expired':
      throw positionProblem(result, 'from');
    case 'locked':
      throw secretUnreadable(result.detail);
    case 'unavailable':
      throw unavailable(result.detail);
  }
}

const get = route({
  method: 'GET',
  path: '/v1/subscriptions/{name}',
  tag,
  summary: 'A subscription: its configuration, status and counts',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 200: subscriptionAnswer },
  problems: ['unknown-subscription'],
  handler: async ({ params: { name } }, { hub }) => {
    const view = await hub.subscription(name).describe();
    if (view === null) throw unknownSubscription(name);
    return { status: 200, body: subscriptionOut(view), headers: etagHeader(view.etag) };
  },
});

const remove = route({
  method: 'DELETE',
  path: '/v1/subscriptions/{name}',
  tag,
  summary: 'Delete a subscription',
  description: 'What is pending is dropped. Its dead letters stay, and can only be read and discarded.',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: { 204: null },
  problems: ['unknown-subscription'],
  audit: ({ params }) => ({ action: 'subscription.delete', target: params.name }),
  handler: async ({ params: { name } }, { hub }) => {
    if (!(await hub.subscription(name).remove())) throw unknownSubscription(name);
    return { status: 204, body: null };
  },
});

const topics = route({
  method: 'GET',
  path: '/v1/subscriptions/{name}/topics',
  tag,
  summary: 'Where a subscription stands in each of its topics, by topic',
  params,
  query: listQuery,
  body: noBody,
  needs,
  scopes,
  responses: { 200: listOf(topicStandingAnswer) },
  problems: ['unknown-subscription'],
  handler: async ({ params: { name }, query: { limit, cursor } }, { hub }) => {
    const standings = await hub.subscription(name).topics();
    if (standings === null) throw unknownSubscription(name);
    const after = topicCursors.placeIn(cursor) ?? '';
    const rest = standings.filter(({ topic }) => topic > after).sort((a, b) => (a.topic < b.topic ? -1 : 1));
    const { items, next } = topicCursors.page(rest, limit, ({ topic }) => topic);
    return { status: 200, body: { items: items.map(topicStandingOut), next } };
  },
});

export const subscriptionRoutes: Route[] = [list, put, get, remove, topics];
