import { z } from 'zod';
import { isTypePattern, TYPE_PATTERN_RULE, typeMatches } from '../events/filters.ts';
import { SYSTEM_EVENT_TYPES, SYSTEM_TOPIC } from '../system/shapes.ts';
import { TYPES_MAX } from './expression-fields.ts';
import { nameField } from './fields.ts';
import { Problem } from './problem.ts';
import { type Route, route } from './route.ts';
import { subscriptionBody } from './subscription-schema.ts';
import { subscriptionAnswer } from './subscription-view.ts';
import { putSubscription } from './subscriptions.ts';

/** Alerts: a subscription to the hub's own topic by one call. */

/** What somebody has to look at, and that it is over. */
export const ALERT_EVENTS_DEFAULT: readonly string[] = [
  'millrace.subscription.failing',
  'millrace.subscription.disabled',
  'millrace.subscription.error',
  'millrace.subscription.recovered',
  'millrace.delivery.dead',
  'millrace.topic.filling',
];

const alertEvent = z
  .string()
  .refine(isTypePattern, TYPE_PATTERN_RULE)
  .refine((pattern) => SYSTEM_EVENT_TYPES.some((type) => typeMatches([pattern], type)), {
    error: `matches none of the hub's own events: ${SYSTEM_EVENT_TYPES.join(', ')}`,
  });

const alertBody = z
  .strictObject({
    url: z.string().describe('An absolute https URL of a public host.'),
    events: z
      .array(alertEvent)
      .min(1)
      .max(TYPES_MAX)
      .default([...ALERT_EVENTS_DEFAULT])
      .describe("Types of the hub's own events; `*` is any run of characters."),
  })
  .meta({ id: 'Alert' });

export const alertRoutes: Route[] = [
  route({
    method: 'PUT',
    path: '/v1/alerts/{name}',
    tag: 'Subscriptions',
    summary: 'Have the hub call you when something is wrong',
    description:
      'Makes an ordinary subscription of this name to the topic millrace.system, or replaces the configuration of one; from then on it is read, changed and deleted under /v1/subscriptions/{name}.',
    params: { name: nameField },
    query: {},
    body: alertBody,
    guarded: true,
    scopes: `subscriptions:{name}, and read:${SYSTEM_TOPIC}`,
    needs: ({ name }) => [
      { scope: 'subscriptions', on: name },
      { scope: 'read', on: SYSTEM_TOPIC },
    ],
    responses: { 200: subscriptionAnswer, 201: subscriptionAnswer },
    problems: ['url-not-allowed', 'precondition-failed', 'subscription-exists', 'unavailable'],
    audit: ({ params }, status) => ({
      action: status === 201 ? 'subscription.create' : 'subscription.update',
      target: params.name,
    }),
    handler: async ({ params: { name }, body: { url, events } }, context) => {
      const present = await context.hub.subscription(name).configuration();
      if (present?.document.topics.some((topic) => topic !== SYSTEM_TOPIC)) {
        throw new Problem('subscription-exists', `The subscription ${name} has other topics. Choose another name.`);
      }
      const body = subscriptionBody.parse({ topics: [SYSTEM_TOPIC], filter: { types: events }, delivery: { url } });
      return putSubscription(name, body, context, 'url');
    },
  }),
];
