import { z } from 'zod';
import { headerProblem } from '../deliveries/headers.ts';
import { formatDuration } from '../events/duration-text.ts';
import { durationSchema } from '../events/durations.ts';
import { BINDING, BINDING_LENGTH_MAX } from '../events/names.ts';
import type { Delivery } from '../subscriptions/document.ts';
import { BATCH_EVENTS_MAX, LEASE_EVENTS_MAX } from '../subscriptions/limits.ts';
import { parseSecret } from '../subscriptions/webhook-keys.ts';
import { rateLimitBody, rateLimitOut, toRateLimit } from './replay-schema.ts';

/** `delivery` of a subscription as it is written, one schema a kind, and its ways into the core's document and out again. */

export const TIMEOUT_MIN_MS = 100;
export const TIMEOUT_MAX_MS = 30_000;
export const HEADERS_MAX = 20;
export const HEADER_NAME_LENGTH_MAX = 100;
export const HEADER_VALUE_LENGTH_MAX = 2_048;
export const ACK_DEADLINE_MIN_MS = 1_000;
export const ACK_DEADLINE_MAX_MS = 12 * 3_600_000;
export const DELIVERIES_MAX = 1_000;

const DEFAULT_TIMEOUT = '15s';
const DEFAULT_ACK_DEADLINE = '30s';
/** An event may wait in a queue of its consumer's for a while. */
const DEFAULT_CONFIRM_DEADLINE = '5m';
const DEFAULT_CALL_EVENTS = 10;
const DEFAULT_DELIVERIES = 10;

const headers = z
  .preprocess(
    (value, context) => {
      // zod passes over this one name in silence.
      if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
        context.addIssue('__proto__ is no header name.');
      }
      return value;
    },
    z.record(z.string().max(HEADER_NAME_LENGTH_MAX), z.string().max(HEADER_VALUE_LENGTH_MAX)),
  )
  .superRefine((value, context) => {
    const names = Object.keys(value).map((name) => name.toLowerCase());
    if (names.length > HEADERS_MAX) context.addIssue(`At most ${HEADERS_MAX} headers.`);
    if (new Set(names).size < names.length) context.addIssue('Header names differ in more than upper and lower case.');
    for (const [name, text] of Object.entries(value)) {
      const message = headerProblem(name, text);
      if (message !== null) context.addIssue({ code: 'custom', path: [name], message });
    }
  });

const secret = z.string().superRefine((value, context) => {
  const parsed = parseSecret(value);
  if (!parsed.ok) context.addIssue(parsed.detail);
});

const timeout = durationSchema(TIMEOUT_MIN_MS, TIMEOUT_MAX_MS).prefault(DEFAULT_TIMEOUT);
const ackDeadlineOf = (fallback: string) => durationSchema(ACK_DEADLINE_MIN_MS, ACK_DEADLINE_MAX_MS).prefault(fallback);

const rateLimit = rateLimitBody
  .nullable()
  .default(null)
  .describe(
    'At most so many requests started in any such span: of live events, retries, redrives and replays together.',
  );

const binding = z
  .string()
  .max(BINDING_LENGTH_MAX)
  .regex(BINDING, "must be the name of a binding of the hub's Worker, like BILLING")
  .describe("The name of a binding of the hub's Worker.");

const webhookBody = z
  .strictObject({
    kind: z.literal('webhook').default('webhook'),
    url: z.string().describe('An absolute https URL of a public host.'),
    format: z
      .enum(['structured', 'binary', 'batch', 'data'])
      .default('structured')
      .describe('A CloudEvent in JSON; one with its attributes in `ce-` headers; several in JSON; or the data alone.'),
    timeout,
    headers: headers.default({}),
    secret: secret
      .optional()
      .describe(
        '`whsec_…`, or `whsk_…` for Ed25519; a `whsec_…` is made if absent, the present one kept if omitted later.',
      ),
    rateLimit,
    maxBatch: z.int().min(1).max(BATCH_EVENTS_MAX).default(1).describe('Events in a request of the format `batch`.'),
    handshake: z
      .boolean()
      .default(false)
      .describe('Asks the receiver for its consent first, by the handshake of the CloudEvents web-hook specification.'),
  })
  .superRefine(({ format, maxBatch }, context) => {
    if (format === 'batch' || maxBatch <= 1) return;
    context.addIssue({ code: 'custom', path: ['maxBatch'], message: 'is for the format batch alone' });
  });

const queueBody = z.strictObject({
  kind: z.literal('queue'),
  binding,
  confirm: z
    .boolean()
    .default(false)
    .describe('An event is delivered once the consumer says so; else once the queue has taken it.'),
  ackDeadline: ackDeadlineOf(DEFAULT_CONFIRM_DEADLINE).describe(
    'With `confirm`: what the consumer has not settled after this is sent again.',
  ),
  rateLimit,
});

const serviceCall = z
  .enum(['rpc', 'fetch'])
  .describe('What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.');

const serviceBody = z.strictObject({
  kind: z.literal('service'),
  binding,
  call: serviceCall.default('rpc'),
  timeout,
  maxBatch: z
    .int()
    .min(1)
    .max(LEASE_EVENTS_MAX)
    .default(DEFAULT_CALL_EVENTS)
    .describe('Events in one call. In order, or at a limited rate, there is one in each.'),
  rateLimit,
});

const pullBody = z.strictObject({
  kind: z.literal('pull'),
  ackDeadline: ackDeadlineOf(DEFAULT_ACK_DEADLINE).describe(
    'What was pulled and is not settled after this is given to whoever pulls next.',
  ),
  maxDeliveries: z
    .int()
    .min(1)
    .max(DELIVERIES_MAX)
    .default(DEFAULT_DELIVERIES)
    .describe('What was not acknowledged after so many deliveries is a dead letter.'),
});

export const deliveryBody = z.discriminatedUnion('kind', [webhookBody, queueBody, serviceBody, pullBody]);

type DeliveryBody = z.infer<typeof deliveryBody>;

const rateLimitAnswer = rateLimitBody.nullable();

export const deliveryAnswer = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('webhook'),
    url: z.string(),
    format: z.enum(['structured', 'binary', 'batch', 'data']),
    timeout: z.string(),
    headers: z.record(z.string(), z.string()),
    secret: z.string().optional().describe('Only in the 201.'),
    rateLimit: rateLimitAnswer,
    maxBatch: z.int(),
    handshake: z.boolean(),
  }),
  z.object({
    kind: z.literal('queue'),
    binding: z.string(),
    confirm: z.boolean(),
    ackDeadline: z.string(),
    rateLimit: rateLimitAnswer,
  }),
  z.object({
    kind: z.literal('service'),
    binding: z.string(),
    call: serviceCall,
    timeout: z.string(),
    maxBatch: z.int(),
    rateLimit: rateLimitAnswer,
  }),
  z.object({ kind: z.literal('pull'), ackDeadline: z.string(), maxDeliveries: z.int() }),
]);

export function toDelivery(body: DeliveryBody): Delivery {
  switch (body.kind) {
    case 'webhook': {
      const { kind, url, format, timeout: timeoutMs, headers: own, maxBatch, handshake } = body;
      const given = { secret: body.secret ?? null, rateLimit: toRateLimit(body.rateLimit) };
      return { kind, url, format, timeoutMs, headers: own, ...given, maxBatch, handshake };
    }
    case 'queue': {
      const { kind, confirm, ackDeadline: ackDeadlineMs } = body;
      return { kind, binding: body.binding, confirm, ackDeadlineMs, rateLimit: toRateLimit(body.rateLimit) };
    }
    case 'service': {
      const { kind, call, timeout: timeoutMs, maxBatch } = body;
      return { kind, binding: body.binding, call, timeoutMs, maxBatch, rateLimit: toRateLimit(body.rateLimit) };
    }
    case 'pull':
      return { kind: body.kind, ackDeadlineMs: body.ackDeadline, maxDeliveries: body.maxDeliveries };
  }
}

/** With every default in it. `secret`: null leaves it out. */
export function deliveryOut(delivery: Delivery, secret: string | null): z.infer<typeof deliveryAnswer> {
  switch (delivery.kind) {
    case 'webhook':
      return {
        kind: delivery.kind,
        url: delivery.url,
        format: delivery.format,
        timeout: formatDuration(delivery.timeoutMs),
        headers: delivery.headers,
        ...(secret === null ? {} : { secret }),
        rateLimit: rateLimitOut(delivery.rateLimit),
        maxBatch: delivery.maxBatch,
        handshake: delivery.handshake,
      };
    case 'queue':
      return {
        kind: delivery.kind,
        binding: delivery.binding,
        confirm: delivery.confirm,
        ackDeadline: formatDuration(delivery.ackDeadlineMs),
        rateLimit: rateLimitOut(delivery.rateLimit),
      };
    case 'service':
      return {
        kind: delivery.kind,
        binding: delivery.binding,
        call: delivery.call,
        timeout: formatDuration(delivery.timeoutMs),
        maxBatch: delivery.maxBatch,
        rateLimit: rateLimitOut(delivery.rateLimit),
      };
    case 'pull':
      return {
        kind: delivery.kind,
        ackDeadline: formatDuration(delivery.ackDeadlineMs),
        maxDeliveries: delivery.maxDeliveries,
      };
  }
}
