import { z } from 'zod';
import { sendTestEvent } from '../deliveries/test-event.ts';
import { durationSchema } from '../events/durations.ts';
import { positionSchema } from '../events/position.ts';
import type { SeekResult } from '../subscriptions/protocol.ts';
import type { AttemptOutcome } from '../subscriptions/protocol-views.ts';
import { publicKeyOf } from '../subscriptions/webhook-keys.ts';
import { noBody } from './body.ts';
import { textCursors } from './cursors.ts';
import { listOf, listQuery, nameField, timeField, timeOf } from './fields.ts';
import { consented } from './handshake.ts';
import { etagHeader } from './headers.ts';
import { invalid } from './problem.ts';
import { type Route, route } from './route.ts';
import { sequenceField } from './sequence.ts';
import {
  ofWebhook,
  positionProblem,
  topicNotSubscribed,
  unknownSubscription,
  unlocked,
  wrongKind,
} from './subscription-problems.ts';
import { attemptAnswer, attemptOut, subscriptionAnswer, subscriptionOut } from './subscription-view.ts';
import { wayPorts } from './way-ports.ts';

/** What can be done with a subscription, and its attempts. */

const tag = 'Subscriptions';
const scopes = 'subscriptions:{name}';
const params = { name: nameField };
const needs = ({ name }: { name: string }) => [{ scope: 'subscriptions' as const, on: name }];

export const OVERLAP_MAX_MS = 30 * 24 * 3_600_000;

/** Pause and resume. */
function switching(action: 'pause' | 'resume', summary: string, description: string): Route {
  return route({
    method: 'POST',
    path: `/v1/subscriptions/{name}/${action}`,
    tag,
    summary,
    description,
    params,
    query: {},
    body: noBody,
    needs,
    scopes,
    responses: { 200: subscriptionAnswer },
    problems: ['unknown-subscription'],
    audit: (input) => ({ action: `subscription.${action}`, target: input.params.name }),
    handler: async ({ params: { name } }, context) => {
      const switched = await context.hub.subscription(name)[action]();
      if (switched === null) throw unknownSubscription(name);
      const view = await consented(switched, context);
      return { status: 200, body: subscriptionOut(view), headers: etagHeader(view.etag) };
    },
  });
}

const pause = switching(
  'pause',
  'Pause a subscription',
  'A second later nothing more is claimed; what was claimed may finish. It keeps its place.',
);
const resume = switching(
  'resume',
  'Resume a subscription',
  'Enables a disabled one too; of one that was disabled or failing, what waits to be tried again goes out at once. A receiver that has not consented yet is asked again.',
);

const seek = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/seek',
  tag,
  summary: 'Move a subscription to another position',
  description: 'What was pending is skipped. A number needs `topic` where the subscription has several.',
  params,
  query: {},
  body: z.strictObject({ topic: nameField.optional(), to: positionSchema }),
  needs,
  scopes: `${scopes}, and read on every topic pattern it names`,
  responses: {
    200: z.object({ topics: z.array(z.object({ topic: z.string(), cursor: z.int(), skipped: z.int() })) }),
  },
  problems: ['unknown-subscription', 'topic-not-subscribed', 'position-ahead', 'sequence-expired'],
  audit: (input) => ({ action: 'subscription.seek', target: input.params.name }),
  handler: async ({ params: { name }, body }, context) => {
    const subscription = context.hub.subscription(name);
    const present = await subscription.configuration();
    if (present === null) throw unknownSubscription(name);
    // To send a topic's events again is to read them.
    for (const on of present.document.topics) context.require({ scope: 'read', on });
    const result = await subscription.seek({ topic: body.topic ?? null, to: body.to });
    return { status: 200, body: { topics: soughtOrRefuse(result, name, body.topic).topics } };
  },
});

function soughtOrRefuse(result: SeekResult, name: string, topic: string | undefined) {
  switch (result.outcome) {
    case 'sought':
      return result;
    case 'unknown-subscription':
      throw unknownSubscription(name);
    case 'topic-not-subscribed':
      throw topicNotSubscribed(name, topic ?? '');
    case 'topic-required':
      throw invalid([{ path: 'topic', message: 'say which: the subscription has several topics' }]);
    case 'position-ahead':
    case 'sequence-expired':
      throw positionProblem(result, 'to');
  }
}

const test = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/test',
  tag,
  summary: 'Send a test event',
  description:
    'One event `millrace.test`, in the way that deliveries go: signed like any other webhook, in a call of a consumer Worker, or ' +
    'in a message on its queue, where there is nothing to confirm. Whatever the status of the subscription; not counted.',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: {
    200: z.object({
      ok: z.boolean().describe('It was taken: of a queue by the queue, which is all that is heard of it.'),
      status: z.int().nullable().describe('Null where nothing was answered by HTTP.'),
      latencyMs: z.number(),
      body: z.string(),
      error: z.string().nullable(),
      request: z
        .object({ url: z.string(), headers: z.record(z.string(), z.string()) })
        .nullable()
        .describe(
          'As it was sent; `…` stands for what may be secret, as in the attempts. Null of other kinds than `webhook`.',
        ),
    }),
  },
  problems: ['unknown-subscription', 'wrong-delivery-kind', 'secret-unreadable'],
  audit: (input) => ({ action: 'subscription.test', target: input.params.name }),
  handler: async ({ params: { name } }, context) => {
    const target = unlocked(await context.hub.subscription(name).target(), name);
    if (target.kind === 'pull')
      throw wrongKind(name, target.kind, 'sends nothing, and gives to who asks. Try a preview');
    return { status: 200, body: await sendTestEvent(name, target, wayPorts(context)) };
  },
});

/** A secret as it is answered. */
const keyAnswer = {
  secret: z.string(),
  publicKey: z.string().optional().describe('`whpk_…`, for receivers to verify by; of a `whsk_…` only.'),
};

function keyOut(secret: string): { secret: string; publicKey?: string } {
  const publicKey = publicKeyOf(secret);
  return publicKey === null ? { secret } : { secret, publicKey };
}

const secret = route({
  method: 'GET',
  path: '/v1/subscriptions/{name}/secret',
  tag,
  summary: 'The secret that signs the webhooks',
  params,
  query: {},
  body: noBody,
  needs,
  scopes,
  responses: {
    200: z.object({
      ...keyAnswer,
      previous: z.object({ ...keyAnswer, expiresAt: timeField }).optional(),
    }),
  },
  problems: ['unknown-subscription', 'no-webhook', 'secret-unreadable'],
  handler: async ({ params: { name } }, { hub }) => {
    const view = ofWebhook(await hub.subscription(name).secret(), name);
    const { previous } = view;
    const old =
      previous === null ? {} : { previous: { ...keyOut(previous.secret), expiresAt: timeOf(previous.expiresAt) } };
    return { status: 200, body: { ...keyOut(view.secret), ...old }, headers: { 'cache-control': 'no-store' } };
  },
});

const rotateSecret = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/rotate-secret',
  tag,
  summary: 'Make a new secret',
  description: 'During the overlap webhooks carry both signatures, of whatever kinds they are.',
  params,
  query: {},
  body: z.strictObject({
    overlap: durationSchema(0, OVERLAP_MAX_MS).prefault('24h'),
    signature: z
      .enum(['v1', 'v1a'])
      .optional()
      .describe(
        '`v1`: HMAC-SHA256, a `whsec_…`; `v1a`: Ed25519, a `whsk_…`. The kind of the present secret if absent.',
      ),
  }),
  needs,
  scopes,
  responses: { 200: z.object({ ...keyAnswer, previousExpiresAt: timeField }) },
  problems: ['unknown-subscription', 'no-webhook', 'secret-unreadable'],
  audit: (input) => ({ action: 'subscription.rotate-secret', target: input.params.name }),
  handler: async ({ params: { name }, body }, { hub }) => {
    const rotated = ofWebhook(await hub.subscription(name).rotateSecret(body.overlap, body.signature), name);
    const answer = { ...keyOut(rotated.secret), previousExpiresAt: timeOf(rotated.previousExpiresAt) };
    return { status: 200, body: answer, headers: { 'cache-control': 'no-store' } };
  },
});

const OUTCOMES: readonly AttemptOutcome[] = ['delivered', 'failed', 'timeout', 'network'];

const attemptStatus = z
  .string()
  .transform((value, context): number | AttemptOutcome => {
    const outcome = OUTCOMES.find((known) => known === value);
    if (outcome !== undefined) return outcome;
    if (/^[1-5]\d\d$/.test(value)) return Number(value);
    context.addIssue(`must be an HTTP status from 100 to 599, or one of ${OUTCOMES.join(', ')}`);
    return z.NEVER;
  })
  .optional();

const attemptCursors = textCursors('attempts');

const attempts = route({
  method: 'GET',
  path: '/v1/subscriptions/{name}/attempts',
  tag,
  summary: 'The latest attempts, newest first',
  description:
    'As many, and for as long, as the subscription keeps them. A page may be short of its limit and have a next.',
  params,
  query: {
    status: attemptStatus.describe('An HTTP status or an outcome.'),
    topic: nameField.optional(),
    sequence: sequenceField.optional(),
    ...listQuery,
  },
  body: noBody,
  needs,
  scopes,
  responses: { 200: listOf(attemptAnswer) },
  problems: ['unknown-subscription'],
  handler: async ({ params: { name }, query }, { hub }) => {
    const { status = null, topic = null, sequence = null, limit } = query;
    const cursor = attemptCursors.placeIn(query.cursor);
    const page = await hub.subscription(name).attempts({ status, topic, sequence, cursor, limit });
    if (page === null) throw unknownSubscription(name);
    return {
      status: 200,
      body: { items: page.items.map(attemptOut), next: attemptCursors.after(page.next) },
    };
  },
});

export const subscriptionActionRoutes: Route[] = [pause, resume, seek, test, secret, rotateSecret, attempts];
