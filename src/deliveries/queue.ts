import type { QueuedEvent } from '../events/handed.ts';
import { parseStored } from '../events/stored.ts';
import { NO_HUB_SECRET } from '../hub-secret.ts';
import type { Clock } from '../platform.ts';
import type { ClaimedEvent, DeliveryOutcome, QueueTarget, Unnamed } from '../subscriptions/protocol-claims.ts';
import { describeFailure } from './answer.ts';
import { type Bindings, type ConsumerQueue, missingBinding } from './bindings.ts';
import { about } from './handed.ts';
import { SEAL_BYTES, type Seals } from './seal.ts';
import { Timeouts } from './timeouts.ts';
import { transformedEvents } from './transforming.ts';
import type { Part } from './way.ts';

/** Hands events to a consumer's own queue, in as few calls as its limits allow. */

export interface QueuePorts {
  bindings: Bindings;
  clock: Clock;
  /** Null: HUB_SECRET is none, so that nothing can be sealed. */
  seals: Seals | null;
}

/** The platform takes 128,000 bytes a message, and in a call 100 messages and 256,000 bytes; its own part is some of that. */
export const MESSAGE_BYTES_MAX = 126_000;
export const CALL_BYTES_MAX = 250_000;
export const CALL_MESSAGES_MAX = 100;
/** A call that has no answer for this long has failed. */
export const CALL_TIMEOUT_MS = 10_000;

interface Packed {
  event: ClaimedEvent;
  body: QueuedEvent;
  bytes: number;
}

/**
 * Hands events over; never throws. What the queue has taken is delivered, unless its consumer has to confirm it: of that
 * nothing is to be said yet.
 */
export async function sendToQueue(
  subscription: string,
  target: QueueTarget,
  events: readonly ClaimedEvent[],
  { bindings, clock, seals }: QueuePorts,
): Promise<DeliveryOutcome[]> {
  const queue = bindings.queue(target.binding);
  if (queue === null || seals === null) {
    const obstacle = seals === null ? NO_HUB_SECRET : missingBinding(bindings, 'queue', target.binding);
    return events.map(({ topic, sequence }) => ({ kind: 'released', topic, sequence, obstacle }));
  }
  const { members, invalid: outcomes } = await transformedEvents(target.transform, events);
  const sentAt = clock.now();
  const packing: Promise<Packed>[] = [];
  for (const event of members) {
    const message = messageOf(subscription, target, event, sentAt);
    if (message.ok) packing.push(packed(event, message, seals));
    else outcomes.push({ kind: 'invalid', topic: event.topic, sequence: event.sequence, error: message.error });
  }
  const timeouts = new Timeouts(clock, CALL_TIMEOUT_MS);
  for (const call of callsOf(await Promise.all(packing))) {
    const sent = await send(queue, call, clock, timeouts);
    if (sent.kind === 'delivered' && target.confirm) continue;
    outcomes.push(...call.map(({ event: { topic, sequence } }) => ({ topic, sequence, ...sent })));
  }
  return outcomes;
}

const TOO_LARGE = `transform.data makes an event of more than ${MESSAGE_BYTES_MAX} bytes, which is too large for a message`;

type Message =
  /** Without its seal. `json`: the same as it will be written. */
  | { ok: true; body: QueuedEvent; json: Uint8Array }
  /** None can be made of the event. */
  | { ok: false; error: string };

/** What a queue is given for an event, after its transform: a message with the event, or a claim check where that is too large. */
export function messageOf(
  subscription: string,
  { transform }: QueueTarget,
  event: ClaimedEvent,
  sentAt: number,
): Message {
  const { ackId } = event;
  const body: QueuedEvent = { ...about(subscription, event), sentAt };
  if (ackId !== undefined) body.ackId = ackId;
  body.event = parseStored(event.json);
  // As it will be written: a number like 1e20 takes more room there than in what was published.
  const json = jsonOf(body);
  if (json.length + SEAL_BYTES <= MESSAGE_BYTES_MAX) return { ok: true, body, json };
  // Whoever followed a claim check would find the event as it was published.
  if (transform?.data != null) return { ok: false, error: TOO_LARGE };
  delete body.event;
  return { ok: true, body, json: jsonOf(body) };
}

/** The message of an event, sealed. */
async function packed(
  event: ClaimedEvent,
  { body, json }: Extract<Message, { ok: true }>,
  seals: Seals,
): Promise<Packed> {
  body.seal = await seals.seal(json);
  return { event, body, bytes: json.length + SEAL_BYTES };
}

const encoder = new TextEncoder();

function jsonOf(message: QueuedEvent): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

/** What a message has beside its event, about. */
const ENVELOPE_BYTES = 400;

/** Events in parts that fit into a call each, but for what can't be known before they are packed. */
export function partsOf(events: readonly ClaimedEvent[]): Part[] {
  const sized = events.map((event) => ({ event, bytes: event.json.length + ENVELOPE_BYTES }));
  return callsOf(sized).map(([first, ...others]) => [first.event, ...others.map(({ event }) => event)]);
}

/** Messages by the calls that they fit in, in their order. */
function callsOf<Sized extends { bytes: number }>(messages: readonly Sized[]): [Sized, ...Sized[]][] {
  const calls: [Sized, ...Sized[]][] = [];
  let bytes = 0;
  for (const message of messages) {
    const call = calls.at(-1);
    if (call === undefined || call.length === CALL_MESSAGES_MAX || bytes + message.bytes > CALL_BYTES_MAX) {
      calls.push([message]);
      bytes = message.bytes;
    } else {
      call.push(message);
      bytes += message.bytes;
    }
  }
  return calls;
}

type Sent = Unnamed<Extract<DeliveryOutcome, { kind: 'delivered' | 'failed' }>>;

/** A call is taken as a whole or not at all; one that got no answer may have been taken, and comes again. */
async function send(queue: ConsumerQueue, call: readonly Packed[], clock: Clock, timeouts: Timeouts): Promise<Sent> {
  const at = clock.now();
  const told = () => ({ at, latencyMs: Math.max(0, clock.now() - at), status: null, response: '', request: null });
  const failed = (outcome: 'timeout' | 'network', error: string): Sent => ({
    kind: 'failed',
    ...told(),
    outcome,
    error,
    retryAfterMs: null,
  });
  const timeout = Promise.withResolvers<null>();
  const stop = timeouts.start(() => timeout.resolve(null));
  try {
    const sent = queue.sendBatch(call.map(({ body }) => ({ body, contentType: 'json' }))).then(() => true);
    if (await Promise.race([sent, timeout.promise])) return { kind: 'delivered', ...told() };
    sent.catch(() => undefined);
    return failed('timeout', `The queue did not answer within ${CALL_TIMEOUT_MS} ms.`);
  } catch (error) {
    return failed('network', `The queue did not take it: ${describeFailure(error, [])}`);
  } finally {
    stop();
  }
}
