import { parseDuration } from '../events/duration-text.ts';
import type { HandedEvent, HandlingResult, QueuedEvent } from '../events/handed.ts';
import { MillraceError } from './errors.ts';
import type { Settlement } from './settling.ts';
import type { HubLink } from './worker-hub.ts';
import { thrown } from './worker-result.ts';

/** A queue of a consumer's own: each message is settled by itself, and confirmed with the hub where it asks for that. */

/** Of the platform's `Message` what is used here. */
export interface QueueMessage {
  readonly body: unknown;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
}

/** A message and what became of its event. */
interface Dealt {
  message: QueueMessage;
  /** Null: it has none. */
  queued: QueuedEvent | null;
  result: HandlingResult;
}

/** The subscription is gone, or is no longer one of this kind: what was leased of it is somebody else's, or nobody's. */
const NOT_WAITED_FOR: readonly string[] = ['unknown-subscription', 'wrong-delivery-kind'];
/** The delay of a message whose event was dealt with while the hub could not be told, seconds. */
const UNTOLD_DELAY_S = 5;

export class QueueConsumer {
  readonly #hub: HubLink | null;
  readonly #handle: (handed: HandedEvent) => Promise<HandlingResult>;

  constructor(hub: HubLink | null, handle: (handed: HandedEvent) => Promise<HandlingResult>) {
    this.#hub = hub;
    this.#handle = handle;
  }

  /** Never throws: whatever happens is a result. */
  async deal(message: QueueMessage): Promise<Dealt> {
    const { body } = message;
    if (!isQueuedEvent(body)) return { message, queued: null, result: FOREIGN };
    try {
      return { message, queued: body, result: await this.#handle(await this.#handed(body)) };
    } catch (error) {
      return { message, queued: body, result: thrown(error) };
    }
  }

  /** @throws Reject where a claim check leads to nothing, and whatever keeps the hub from answering */
  async #handed({
    sentAt: _sentAt,
    ackId: _ackId,
    seal: _seal,
    event,
    ...delivery
  }: QueuedEvent): Promise<HandedEvent> {
    return { ...delivery, event: event ?? (await this.#link().event(delivery.topic, delivery.sequence)) };
  }

  /** Tells hub and queue what became of the messages. What the hub could not be told comes again. */
  async settle(dealt: readonly Dealt[]): Promise<void> {
    const groups = new Map<
      string,
      { subscription: string; settlement: Settlement; members: { message: QueueMessage; ackId: string }[] }
    >();
    for (const { message, queued, result } of dealt) {
      if (queued?.ackId === undefined) {
        tellQueue(message, result);
        continue;
      }
      const settlement = settlementOf(result);
      const name = JSON.stringify([queued.subscription, settlement]);
      const group = groups.get(name) ?? { subscription: queued.subscription, settlement, members: [] };
      group.members.push({ message, ackId: queued.ackId });
      groups.set(name, group);
    }
    await Promise.all(
      [...groups.values()].map(({ subscription, settlement, members }) =>
        this.#confirm(subscription, settlement, members),
      ),
    );
  }

  async #confirm(
    subscription: string,
    settlement: Settlement,
    members: readonly { message: QueueMessage; ackId: string }[],
  ): Promise<void> {
    try {
      const ackIds = members.map(({ ackId }) => ackId);
      const results = await this.#link().settle(subscription, ackIds, settlement);
      // What is told too late has been given out again, or will be: this message has nothing more to say.
      const late = results.filter(({ ok }) => !ok);
      if (late.length > 0)
        console.warn(`${late.length} deliveries of ${subscription} were settled too late: ${late[0]?.code}`);
      for (const { message } of members) message.ack();
    } catch (error) {
      if (error instanceof MillraceError && NOT_WAITED_FOR.includes(error.code)) {
        console.warn(`Nobody waits for ${members.length} deliveries of ${subscription} any more: ${error.code}`);
        for (const { message } of members) message.ack();
        return;
      }
      console.error(`The hub could not be told of ${members.length} deliveries of ${subscription}.`, error);
      for (const { message } of members) message.retry({ delaySeconds: UNTOLD_DELAY_S });
    }
  }

  #link(): HubLink {
    if (this.#hub === null) throw new Error('This consumer needs its hub: give `consumer` the option `hub`.');
    return this.#hub;
  }
}

const FOREIGN: HandlingResult = { result: 'retry', reason: 'The message is no event of a hub.' };

/** How the hub is told of one delivery: those that are settled alike are told together. */
function settlementOf(result: HandlingResult): Settlement {
  if (result.result === 'ack') return { how: 'ack' };
  const { reason = '' } = result;
  if (result.result === 'reject') return { how: 'nack', reason, reject: true };
  return { how: 'nack', reason, ...(result.delay === undefined ? {} : { delay: result.delay }) };
}

/** Without `confirm` the queue alone decides how often something comes again, and what becomes of it then. */
function tellQueue(message: QueueMessage, result: HandlingResult): void {
  if (result.result === 'ack') {
    message.ack();
    return;
  }
  console.error(`An event was not taken: ${result.reason}`);
  const delay = result.result === 'retry' && result.delay !== undefined ? parseDuration(result.delay) : null;
  message.retry(delay === null ? {} : { delaySeconds: Math.ceil(delay / 1_000) });
}

function isQueuedEvent(body: unknown): body is QueuedEvent {
  return (
    typeof body === 'object' &&
    body !== null &&
    'v' in body &&
    body.v === 1 &&
    'subscription' in body &&
    typeof body.subscription === 'string' &&
    'topic' in body &&
    typeof body.topic === 'string' &&
    'sequence' in body &&
    typeof body.sequence === 'number'
  );
}
