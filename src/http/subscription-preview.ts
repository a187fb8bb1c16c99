import { z } from 'zod';
import { type Preview, preview } from '../deliveries/preview.ts';
import { decodeRequest } from '../events/decode.ts';
import { queuedEvent } from '../events/handing.ts';
import { uuidMaker } from '../events/ids.ts';
import { isTopicName, topicMatches } from '../events/names.ts';
import { withHubAttributes } from '../events/stored.ts';
import { formatTime } from '../events/times.ts';
import type { ClaimedEvent } from '../subscriptions/protocol-claims.ts';
import type { Context } from './context.ts';
import { foundOrRefuse } from './events.ts';
import { nameField } from './fields.ts';
import { invalid } from './problem.ts';
import { pulledDelivery } from './pull.ts';
import { type Route, route } from './route.ts';
import { topicNotSubscribed, unknownSubscription, unlocked } from './subscription-problems.ts';
import { wayPorts } from './way-ports.ts';

/** What would be sent or handed over for an event, unsent. */

const EXPECTED = 'must be { "event" }, as it would be published, or { "topic", "sequence" } of one that is stored';

/** An event as it would be published, or where one is stored. */
type Previewed = { event: Record<string, unknown> } | { topic: string; sequence: number };

const previewBody = z
  .strictObject({
    event: z.record(z.string(), z.unknown()).optional().describe('As it would be published.'),
    topic: nameField.optional().describe('Of an event that is stored.'),
    sequence: z.int().min(1).optional().describe('And this.'),
  })
  .transform(({ event, topic, sequence }, context): Previewed => {
    if (event === undefined && topic !== undefined && sequence !== undefined) return { topic, sequence };
    if (event !== undefined && topic === undefined && sequence === undefined) return { event };
    const missing = topic === undefined ? 'topic' : 'sequence';
    const isHalf = event === undefined && (topic !== undefined || sequence !== undefined);
    context.addIssue({ code: 'custom', path: isHalf ? [missing] : [], message: isHalf ? 'is missing' : EXPECTED });
    return z.NEVER;
  });

const sequence = z.int().min(0).describe('0 of an event that is not stored.');
const message = queuedEvent.extend({
  sequence,
  event: pulledDelivery.shape.event.optional().describe('Absent where it is too large for a message: a claim check.'),
});
const handedEvent = message
  .omit({ sentAt: true, ackId: true, seal: true })
  .extend(pulledDelivery.pick({ event: true }).shape);

const previewAnswer = z.object({
  matches: z.boolean().describe('Whether the filter lets it through.'),
  error: z
    .string()
    .nullable()
    .describe(
      'What failed, in the filter, the transform, the URL or the binding: of an expression, a dead letter would say so.',
    ),
  request: z
    .object({
      method: z.literal('POST'),
      url: z.string(),
      headers: z.record(z.string(), z.string()),
      body: z.string(),
      bodyEncoding: z.enum(['utf-8', 'base64']),
    })
    .nullable()
    .describe(
      'As it would go out now, signature included; configured credentials are left out. Null of other kinds than `webhook`.',
    ),
  delivery: z
    .union([
      handedEvent.describe('Of the kind `service`: one of the array that the Worker is called with.'),
      message.describe('Of the kind `queue`: the message.'),
      pulledDelivery.describe('Of the kind `pull`: one of its `deliveries`.'),
    ])
    .nullable()
    .optional()
    .describe('What its consumer would be handed; `…` stands for an ack id and a seal. Absent of the kind `webhook`.'),
});

export const subscriptionPreviewRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/subscriptions/{name}/preview',
    tag: 'Subscriptions',
    summary: 'Show what would be sent for an event',
    description:
      'Runs filter and transform as they are now, and sends nothing: the request of a webhook, or what any other consumer is handed.',
    params: { name: nameField },
    query: {},
    body: previewBody,
    needs: ({ name }) => [{ scope: 'subscriptions', on: name }],
    needsOfInput: ({ body }) => ('topic' in body ? [{ scope: 'read', on: body.topic }] : []),
    scopes: 'subscriptions:{name}, and read on the topic of a stored event',
    responses: { 200: previewAnswer },
    problems: [
      'unknown-subscription',
      'secret-unreadable',
      'topic-not-subscribed',
      'unknown-topic',
      'unknown-event',
      'sequence-expired',
    ],
    handler: async ({ params: { name }, body }, context) => {
      const subscription = context.hub.subscription(name);
      const [present, target] = await Promise.all([subscription.configuration(), subscription.target()]);
      if (present === null) throw unknownSubscription(name);
      const { topics, filter } = present.document;
      if ('topic' in body && !topics.some((pattern) => topicMatches(pattern, body.topic))) {
        throw topicNotSubscribed(name, body.topic);
      }
      const event = 'event' in body ? given(body.event, topics, context) : await stored(body, context);
      const { delivery, ...shown } = await preview(name, unlocked(target, name), filter, event, wayPorts(context));
      return delivery === undefined ? { status: 200, body: shown } : withDelivery(shown, delivery);
    },
  }),
];

/** What is handed over is JSON as it is: a number in it may have more digits than would be left if it was parsed here. */
function withDelivery(shown: Omit<Preview, 'delivery'>, delivery: string | null): Response {
  const body = `${JSON.stringify(shown).slice(0, -1)},"delivery":${delivery}}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

async function stored(
  { topic, sequence }: { topic: string; sequence: number },
  { hub }: Context,
): Promise<ClaimedEvent> {
  return claimed(topic, sequence, foundOrRefuse(await hub.topic(topic).event(sequence), topic, sequence));
}

/** An event as if it were published now. Its sequence, which no log has given it, is 0. @throws Problem `invalid-request` */
function given(event: Record<string, unknown>, topics: string[], { hub }: Context): ClaimedEvent {
  const now = hub.now();
  const topic = topics.find(isTopicName) ?? 'preview';
  const decoded = decodeRequest({
    contentType: 'application/json',
    headers: [],
    body: new TextEncoder().encode(JSON.stringify(event)),
    topic,
    now,
    makeId: uuidMaker(now, (bytes) => hub.random.bytes(bytes)),
  });
  if (decoded.outcome === 'decoded')
    return claimed(topic, 0, withHubAttributes(decoded.events.lines, topic, 0, formatTime(now)));
  if (!('errors' in decoded)) throw invalid([{ path: 'event', message: decoded.detail }]);
  throw invalid(
    decoded.errors.map(({ path, message }) => ({ path: path === '' ? 'event' : `event.${path}`, message })),
  );
}

function claimed(topic: string, sequence: number, json: string): ClaimedEvent {
  return { topic, sequence, json, attempt: 1, replay: null, redriven: false, key: null, notBefore: null };
}
