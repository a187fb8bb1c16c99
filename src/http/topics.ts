import { Catalog } from '../catalog/catalog.ts';
import { isReservedTopic } from '../events/names.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import type { Needed } from './context.ts';
import { textCursors } from './cursors.ts';
import { flagField, listOf, listQuery, nameField } from './fields.ts';
import { putGuarded } from './guard.ts';
import { etagHeader } from './headers.ts';
import { namedPage } from './named-page.ts';
import { Problem } from './problem.ts';
import { type Route, route } from './route.ts';
import {
  TOPIC_LATER_FIELDS,
  TOPIC_READ_ONLY_FIELDS,
  topicAnswer,
  topicBody,
  topicOut,
  toTopicConfig,
} from './topic-schema.ts';

/** @throws Problem `reserved-topic`: only the hub makes, publishes to and deletes those. */
export function refuseReserved(topic: string): void {
  if (isReservedTopic(topic)) {
    throw new Problem(
      'reserved-topic',
      `${topic} is the hub's own: read it or subscribe to it, but choose another name.`,
    );
  }
}

export function unknownTopic(topic: string): Problem {
  return new Problem('unknown-topic', `There is no topic ${topic}. PUT /v1/topics/${topic} makes it.`);
}

/** To see a topic a key may read it or manage it. */
function toSee(topic: string): Needed {
  return {
    anyOf: [
      { scope: 'read', on: topic },
      { scope: 'topics', on: topic },
    ],
  };
}

const cursors = textCursors('topics');

export const topicsRoutes: Route[] = [
  route({
    method: 'PUT',
    path: '/v1/topics/{topic}',
    tag: 'Topics',
    summary: 'Make a topic, or replace its configuration',
    params: { topic: nameField },
    query: {},
    body: topicBody,
    readOnly: TOPIC_READ_ONLY_FIELDS,
    laterBody: TOPIC_LATER_FIELDS,
    guarded: true,
    scopes: 'topics:{topic}',
    needs: ({ topic }) => [{ scope: 'topics', on: topic }],
    responses: { 200: topicAnswer, 201: topicAnswer },
    problems: ['reserved-topic'],
    audit: ({ params }, status) => ({ action: status === 201 ? 'topic.create' : 'topic.update', target: params.topic }),
    handler: async ({ params, body: wanted }, { hub, guard }) => {
      refuseReserved(params.topic);
      const config = toTopicConfig(wanted);
      const topic = hub.topic(params.topic);
      const current = async () => (await topic.describe())?.etag ?? null;
      const result = await putGuarded(guard, current, (ifMatch) => topic.configure(config, ifMatch));
      if (result === null) {
        throw new Problem('precondition-failed', 'The topic is not as If-Match says: GET it again.');
      }
      const headers = etagHeader(result.topic.etag);
      const body = topicOut(result.topic);
      return result.outcome === 'created' ? { status: 201, body, headers } : { status: 200, body, headers };
    },
  }),

  route({
    method: 'GET',
    path: '/v1/topics/{topic}',
    tag: 'Topics',
    summary: 'A topic: its configuration and what is in it',
    params: { topic: nameField },
    query: {},
    body: noBody,
    scopes: 'read:{topic} or topics:{topic}',
    needs: ({ topic }) => [toSee(topic)],
    responses: { 200: topicAnswer },
    problems: ['unknown-topic'],
    handler: async ({ params }, { hub }) => {
      const topic = await hub.topic(params.topic).describe();
      if (topic === null) throw unknownTopic(params.topic);
      return { status: 200, body: topicOut(topic), headers: etagHeader(topic.etag) };
    },
  }),

  route({
    method: 'GET',
    path: '/v1/topics',
    tag: 'Topics',
    summary: 'The topics the key may see, by name',
    params: {},
    query: listQuery,
    body: noBody,
    scopes: 'any: lists what the key may see',
    responses: { 200: listOf(topicAnswer) },
    handler: async ({ query }, context) => {
      const catalog = new Catalog(context.hub.db);
      const { names, next } = await namedPage(query, {
        cursors,
        namesAfter: (name, limit) => catalog.topicsAfter(name, limit),
        maySee: (name) => context.may(toSee(name)),
      });
      const described = await mapBounded(names, (name) => context.hub.topic(name).describe());
      // The catalogue is a mirror: a topic deleted a moment ago may still stand in it.
      const items = described.filter((topic) => topic !== null).map(topicOut);
      return { status: 200, body: { items, next } };
    },
  }),

  route({
    method: 'DELETE',
    path: '/v1/topics/{topic}',
    tag: 'Topics',
    summary: 'Delete a topic and its events',
    description: 'Made again, it goes on counting from where it was: a sequence is never reused.',
    params: { topic: nameField },
    query: {
      force: flagField.meta({
        description: 'Also where a subscription names it; what is pending becomes dead letters `expired`.',
      }),
    },
    body: noBody,
    scopes: 'topics:{topic}',
    needs: ({ topic }) => [{ scope: 'topics', on: topic }],
    responses: { 204: null },
    problems: ['unknown-topic', 'reserved-topic', 'topic-has-subscriptions'],
    audit: ({ params }) => ({ action: 'topic.delete', target: params.topic }),
    handler: async ({ params, query }, { hub }) => {
      refuseReserved(params.topic);
      const result = await hub.topic(params.topic).remove({ force: query.force });
      if (result.outcome === 'unknown-topic') throw unknownTopic(params.topic);
      if (result.outcome === 'topic-has-subscriptions') {
        throw new Problem(
          'topic-has-subscriptions',
          `Named by ${result.subscriptions.join(', ')}. Take it out of them, or add ?force=true: what is pending becomes dead letters.`,
          { extra: { subscriptions: result.subscriptions } },
        );
      }
      return { status: 204, body: null };
    },
  }),
];
