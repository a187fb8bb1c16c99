import { z } from 'zod';
import { toBase64Url } from '../access/key-tokens.ts';
import { readable } from '../access/scopes.ts';
import { transformedEvent } from '../deliveries/transforming.ts';
import { formatDuration } from '../events/duration-text.ts';
import { durationSchema } from '../events/durations.ts';
import { HELD_MAX_MS } from '../events/handing-limits.ts';
import { ACK_IDS_MAX, NACK_DELAY_MAX_MS, PULL_EVENTS_MAX, PULL_WAIT_MAX_MS } from '../subscriptions/limits.ts';
import { asArray, packed, unpacked } from '../subscriptions/packed-deliveries.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { AckAnswer, AckResult, PulledDelivery, PullResult } from '../subscriptions/protocol-acks.ts';
import type { Context } from './context.ts';
import { nameField } from './fields.ts';
import { type Route, route } from './route.ts';
import { unknownSubscription, wrongKind } from './subscription-problems.ts';
import { requireStill, watchCaller } from './watch.ts';

/** Pulling: any program asks for events, and says of each what became of it. */

const tag = 'Subscriptions';
const scopes = 'subscriptions:{name}';
const params = { name: nameField };
const needs = ({ name }: { name: string }) => [{ scope: 'subscriptions' as const, on: name }];

export const ACK_ID_LENGTH_MAX = 200;
export const NACK_REASON_LENGTH_MAX = 1_024;
const DEFAULT_PULL = 100;
/** Of a pull's name. */
const PULLER_BYTES = 12;

export const pulledDelivery = z.object({
  ackId: z.string().describe('Opaque; names this delivery until it is settled or its deadline is over.'),
  attempt: z.int().describe('1 for the first.'),
  replay: z.string().nullable().describe('The replay that it is of.'),
  redriven: z.boolean().describe('It was a dead letter.'),
  event: z.looseObject({}).describe('The CloudEvent, structured.'),
});

const pullAnswer = z.object({
  deliveries: z.array(pulledDelivery),
  ackDeadline: z.string().describe('So long each of them is held.'),
});

const ackIds = z.array(z.string().max(ACK_ID_LENGTH_MAX)).min(1).max(ACK_IDS_MAX);

const ackAnswer = z.object({
  results: z.array(
    z.object({
      ackId: z.string(),
      ok: z.boolean(),
      code: z
        .enum(['invalid-ack-id', 'stale-ack-id', 'held-too-long'])
        .optional()
        .describe(
          '`invalid-ack-id`: no ack id looks like that; `stale-ack-id`: not, or no longer, one of this subscription: settled, or handed out again since; `held-too-long`: it can not be extended so far.',
        ),
    }),
  ),
});

const pull = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/pull',
  tag,
  summary: 'Pull events',
  description:
    `At most \`max\` deliveries, or as many as have 4,194,304 characters; an empty list when there was none for as long as \`wait\`, ` +
    'or while it is paused. Each is held until its deadline, and comes again unless it was acknowledged by then.',
  params,
  query: {},
  body: z.strictObject({
    max: z.int().min(1).max(PULL_EVENTS_MAX).default(DEFAULT_PULL),
    wait: durationSchema(0, PULL_WAIT_MAX_MS)
      .prefault('0s')
      .describe('How long to wait for a first event, at most 60s.'),
  }),
  needs,
  scopes: `${scopes}, and read on every topic pattern it names`,
  responses: { 200: pullAnswer },
  problems: ['unknown-subscription', 'wrong-delivery-kind'],
  handler: async ({ params: { name }, body }, context) => {
    const { hub, request } = context;
    const subscription = hub.subscription(name);
    const puller = toBase64Url(hub.random.bytes(PULLER_BYTES));
    // Who hangs up while he waits takes no events with him.
    const hangUp = () => hub.background(subscription.hangUp(puller));
    request.signal.addEventListener('abort', hangUp);
    // Nor does one whose key has ended meanwhile.
    const unwatch = watchCaller(context, hangUp);
    try {
      const asked = {
        v: 1 as const,
        puller,
        max: body.max,
        waitMs: body.wait,
        mayRead: readable(context.caller.scopes),
      };
      const pulled = pulledOrRefuse(await subscription.pull(asked), name, context);
      if (body.wait > 0) await requireStill(context);
      return pullResponse(await transformed(pulled, subscription), pulled.ackDeadlineMs);
    } finally {
      unwatch();
      request.signal.removeEventListener('abort', hangUp);
    }
  },
});

/** @throws Problem unless something may be pulled */
function pulledOrRefuse(result: PullResult, name: string, context: Context) {
  switch (result.outcome) {
    case 'pulled':
      return result;
    case 'unknown-subscription':
      throw unknownSubscription(name);
    case 'unreadable':
      for (const on of result.topics) context.require({ scope: 'read', on });
      throw new Error('A key that may read all topics was refused them.');
    case 'not-pulled':
      throw wrongKind(name, result.kind, 'is not pulled');
  }
}

/** The deliveries as they are given out, packed. What a transform fails on is none: it becomes a dead letter. */
async function transformed(
  { deliveries, target }: Extract<PullResult, { outcome: 'pulled' }>,
  subscription: Pick<SubscriptionApi, 'nack'>,
): Promise<string> {
  if (target.transform === null) return deliveries;
  const good: PulledDelivery[] = [];
  const bad = new Map<string, string[]>();
  for (const delivery of unpacked(deliveries)) {
    const result = await transformedEvent(target.transform, delivery);
    if (result.ok) good.push(result.event);
    else bad.set(result.error, [...(bad.get(result.error) ?? []), delivery.ackId]);
  }
  for (const [reason, ids] of bad)
    await subscription.nack({ v: 1, ackIds: ids, delayMs: null, reason, dead: 'invalid' });
  return packed(good);
}

/** The events are JSON as it is stored: nobody has to parse and write them for this. */
function pullResponse(deliveries: string, ackDeadlineMs: number): Response {
  const body = `{"deliveries":${asArray(deliveries)},"ackDeadline":${JSON.stringify(formatDuration(ackDeadlineMs))}}`;
  return new Response(body, { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } });
}

const ack = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/ack',
  tag,
  summary: 'Acknowledge deliveries',
  description:
    'Each id is answered by itself. Acknowledging again is ok. One whose deadline is over is ok too, as long as nobody else has the event; of a queue also where it has been handed out again.',
  params,
  query: {},
  body: z.strictObject({ ackIds }),
  needs,
  scopes,
  responses: { 200: ackAnswer },
  problems: ['unknown-subscription', 'wrong-delivery-kind'],
  handler: async ({ params: { name }, body }, { hub }) =>
    settled(await hub.subscription(name).ack({ v: 1, ackIds: body.ackIds }), body, name),
});

const nack = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/nack',
  tag,
  summary: 'Give deliveries back',
  description:
    'They come again after `delay`, at once without one, until they were delivered `maxDeliveries` times; with `reject` never: they are dead letters `rejected`.',
  params,
  query: {},
  body: z
    .strictObject({
      ackIds,
      delay: durationSchema(0, NACK_DELAY_MAX_MS).optional(),
      reason: z.string().max(NACK_REASON_LENGTH_MAX).optional().describe('Kept as the last error.'),
      reject: z.boolean().default(false),
    })
    .superRefine(({ delay, reject }, context) => {
      if (reject && delay !== undefined)
        context.addIssue({ code: 'custom', path: ['delay'], message: 'is for what comes again' });
    }),
  needs,
  scopes,
  responses: { 200: ackAnswer },
  problems: ['unknown-subscription', 'wrong-delivery-kind'],
  handler: async ({ params: { name }, body }, { hub }) => {
    const { delay: delayMs = null, reason = null, reject } = body;
    const request = { v: 1 as const, ackIds: body.ackIds, delayMs, reason };
    return settled(await hub.subscription(name).nack({ ...request, dead: reject ? 'rejected' : null }), body, name);
  },
});

const extend = route({
  method: 'POST',
  path: '/v1/subscriptions/{name}/extend',
  tag,
  summary: 'Hold deliveries for longer',
  description: 'From now on for so long; never shorter than they were held before, and 12 hours in all at most.',
  params,
  query: {},
  body: z.strictObject({ ackIds, by: durationSchema(0, HELD_MAX_MS) }),
  needs,
  scopes,
  responses: { 200: ackAnswer },
  problems: ['unknown-subscription', 'wrong-delivery-kind'],
  handler: async ({ params: { name }, body }, { hub }) =>
    settled(await hub.subscription(name).extend({ v: 1, ackIds: body.ackIds, byMs: body.by }), body, name),
});

/** @throws Problem unless its deliveries have ack ids */
function settled(result: AckResult, { ackIds }: { ackIds: string[] }, name: string) {
  switch (result.outcome) {
    case 'settled':
      return {
        status: 200 as const,
        body: { results: ackIds.map((ackId, index) => told(ackId, result.answers[index])) },
      };
    case 'unknown-subscription':
      throw unknownSubscription(name);
    case 'not-acknowledged':
      throw wrongKind(name, result.kind, 'has no ack ids');
  }
}

function told(ackId: string, answer: AckAnswer = 'invalid-ack-id') {
  return answer === 'ok' ? { ackId, ok: true } : { ackId, ok: false, code: answer };
}

export const pullRoutes: Route[] = [pull, ack, nack, extend];
