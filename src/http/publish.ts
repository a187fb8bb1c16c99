import { z } from 'zod';
import { beginIdempotent, IDEMPOTENCY_KEY, requestHash } from '../dedup/idempotency.ts';
import { type DecodeRefusal, decodeRequest, type SentEvents } from '../events/decode.ts';
import { derivedId, uuidMaker } from '../events/ids.ts';
import { PUBLISH_LIMITS } from '../events/limits.ts';
import { isReservedTopic } from '../events/names.ts';
import type { AppendResult } from '../topics/protocol.ts';
import { receiptsOf } from '../topics/receipts.ts';
import { noBody, readBytes } from './body.ts';
import type { Context } from './context.ts';
import { nameField } from './fields.ts';
import { invalid, notSupportedYet, Problem } from './problem.ts';
import { admit } from './quota.ts';
import { type Route, route } from './route.ts';
import { refuseReserved, unknownTopic } from './topics.ts';

/** Publishing, from bytes to receipts. */

const receiptsView = z
  .object({
    events: z.array(
      z.object({
        id: z.string(),
        source: z.string(),
        topic: z.string(),
        sequence: z.int(),
        duplicate: z.boolean().meta({ description: 'It was in the log already, at this sequence.' }),
      }),
    ),
  })
  .meta({ id: 'Receipts' });

// For the docs: events/decode.ts reads them.
const optional = {
  subject: z.string().optional(),
  time: z.string().optional(),
  datacontenttype: z.string().optional(),
  dataschema: z.string().optional(),
  partitionkey: z.string().optional(),
  data: z.unknown().optional(),
};
const sentEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string().optional(),
    source: z.string().optional(),
    type: z.string(),
    ...optional,
    data_base64: z.string().optional(),
  })
  .meta({ id: 'SentEvent', description: 'A CloudEvent 1.0; other attributes are extensions.' });
const shortEvent = z
  .looseObject({ type: z.string(), id: z.string().optional(), source: z.string().optional(), ...optional })
  .meta({ id: 'ShortEvent', description: 'An event without a specversion.' });

export const publishRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/topics/{topic}/events',
    tag: 'Events',
    summary: 'Publish events',
    description:
      'A 2xx means that the events are on disk. A batch is all or nothing. 200 when every event was a duplicate. A topic ' +
      'that does not exist is made with defaults if the key may manage it.',
    params: { topic: nameField },
    query: {},
    body: noBody,
    rawBody: {
      content: {
        'application/cloudevents+json': sentEvent,
        'application/cloudevents-batch+json': z.array(sentEvent),
        'application/json': z.union([shortEvent, z.array(shortEvent)]),
        '*/*': z.unknown(),
      },
      description:
        'CloudEvents 1.0 in structured, batch or binary mode (any content type, with ce-specversion and the other ce- ' +
        'headers), or the short form { "type", "data", … } or an array of it as application/json.',
    },
    headers: {
      'idempotency-key': 'A 2xx is kept for 24 h and given again to a retry with the same body.',
      'expected-last-sequence': "Append only if this is the topic's last sequence; 0: the topic is empty.",
      traceparent: 'With tracestate: becomes that of events that have neither. Carried on to deliveries.',
    },
    laterHeaders: ['expected-last-subject-sequence', 'deliver-at', 'deliver-after'],
    scopes: 'publish:{topic}; topics:{topic} to make the topic',
    needs: ({ topic }) => (isReservedTopic(topic) ? [] : [{ scope: 'publish', on: topic }]),
    responses: { 200: receiptsView, 201: receiptsView },
    problems: [
      'invalid-json',
      'invalid-event',
      'incomplete-body',
      'reserved-topic',
      'unknown-topic',
      'event-id-conflict',
      'request-in-progress',
      'wrong-expected-sequence',
      'payload-too-large',
      'unsupported-media-type',
      'idempotency-key-reused',
      'quota-exceeded',
      'topic-full',
    ],
    handler: async ({ params: { topic } }, context) => {
      refuseReserved(topic);
      const expected = expectedLastSequence(context.request);
      const key = idempotencyKey(context.request);
      const body = await readBytes(context.request, PUBLISH_LIMITS.requestBytes);
      if (key === null) return receiptsResponse(await publish(topic, body, expected, null, context));
      return publishOnce(topic, body, expected, key, context);
    },
  }),
];

interface Receipts {
  status: number;
  body: string;
  /** Where the caller's quota stands; not kept for a retry. */
  headers: Record<string, string>;
}

function receiptsResponse({ status, body, headers }: Receipts): Response {
  return new Response(body, { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** Runs under an Idempotency-Key: a kept answer is given again, a refusal forgotten. */
async function publishOnce(
  topic: string,
  body: Uint8Array,
  expected: number | null,
  key: string,
  context: Context,
): Promise<Response> {
  const { hub, caller, request, url } = context;
  const begun = await beginIdempotent(
    { caller: caller.id, path: url.pathname, key, bodyHash: requestHash(request.headers, body) },
    hub,
  );
  switch (begun.outcome) {
    case 'answered':
      return receiptsResponse({ ...begun.answer, headers: { 'idempotent-replayed': 'true' } });
    case 'key-reused':
      throw new Problem('idempotency-key-reused', 'This Idempotency-Key was used with another body. Choose a new key.');
    case 'in-progress':
      throw new Problem(
        'request-in-progress',
        'The first request with this Idempotency-Key has no answer yet. Try again.',
        {
          headers: { 'retry-after': '1' },
        },
      );
    case 'run':
      try {
        const receipts = await publish(topic, body, expected, key, context);
        await begun.keep(receipts);
        return receiptsResponse(receipts);
      } catch (error) {
        await begun.forget();
        throw error;
      }
  }
}

async function publish(
  topic: string,
  body: Uint8Array,
  expected: number | null,
  key: string | null,
  context: Context,
): Promise<Receipts> {
  const { hub, caller, request } = context;
  const now = hub.now();
  const decoded = decodeRequest({
    contentType: request.headers.get('content-type'),
    headers: request.headers,
    body,
    topic,
    now,
    makeId:
      key === null ? uuidMaker(now, (bytes) => hub.random.bytes(bytes)) : (index) => derivedId(caller.id, key, index),
    trace: context.trace,
  });
  if (decoded.outcome !== 'decoded') throw refusal(decoded);
  const admission = await admit(decoded.ids.length, context);
  try {
    const result = await hub.topic(topic).append({
      v: 1,
      events: decoded.events,
      expectedLastSequence: expected,
      create: context.may({ scope: 'topics', on: topic }),
    });
    return { ...answerOf(topic, decoded, result), headers: admission.headers };
  } catch (error) {
    admission.giveBack();
    throw error;
  }
}

/** @throws Problem for every outcome but `appended` */
function answerOf(
  topic: string,
  { ids, sources, inArray }: SentEvents,
  result: AppendResult,
): Omit<Receipts, 'headers'> {
  switch (result.outcome) {
    case 'appended': {
      const events = receiptsOf(result, ids.length).map(({ sequence, duplicate }, index) => ({
        id: ids[index] ?? '',
        source: sources[index] ?? '',
        topic,
        sequence,
        duplicate,
      }));
      const body = JSON.stringify({ events } satisfies z.output<typeof receiptsView>);
      return { status: result.duplicates.length === ids.length ? 200 : 201, body };
    }
    case 'unknown-topic':
      throw unknownTopic(topic);
    case 'wrong-expected-sequence':
      throw new Problem('wrong-expected-sequence', `The last sequence of ${topic} is ${result.lastSequence}.`, {
        extra: { lastSequence: result.lastSequence },
      });
    case 'event-id-conflict': {
      const { index, sequence } = result;
      const other = sequence === null ? 'an earlier event of this request' : `the event at sequence ${sequence}`;
      throw new Problem(
        'event-id-conflict',
        `${inArray ? `Event ${index}` : 'The event'} has the source and id of ${other} and is a different one. Give it another id.`,
        {
          errors: [{ path: inArray ? `[${index}].id` : 'id', message: `used for ${other}` }],
          extra: { index, ...(sequence === null ? {} : { sequence }) },
        },
      );
    }
    case 'topic-full':
      throw new Problem(
        'topic-full',
        `${topic} takes no more events: its log has reached the size the platform allows.`,
      );
  }
}

function refusal(decoded: DecodeRefusal): Problem {
  switch (decoded.outcome) {
    case 'invalid-event':
      return new Problem('invalid-event', decoded.detail, { errors: decoded.errors });
    case 'event-too-large':
      return new Problem('payload-too-large', decoded.detail, { errors: decoded.errors });
    case 'too-many-events':
      return new Problem('payload-too-large', decoded.detail);
    case 'not-supported-yet':
      return notSupportedYet('content-type', decoded.detail);
    default:
      return new Problem(decoded.outcome, decoded.detail);
  }
}

function expectedLastSequence(request: Request): number | null {
  const value = request.headers.get('expected-last-sequence');
  if (value === null) return null;
  if (!/^[0-9]{1,15}$/.test(value)) {
    throw invalid([{ path: 'expected-last-sequence', message: 'must be a sequence, or 0 for an empty topic' }]);
  }
  return Number(value);
}

function idempotencyKey(request: Request): string | null {
  const value = request.headers.get('idempotency-key');
  if (value !== null && !IDEMPOTENCY_KEY.test(value)) {
    throw invalid([{ path: 'idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }]);
  }
  return value;
}
