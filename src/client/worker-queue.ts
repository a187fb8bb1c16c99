import { parseDuration } from '../events/duration-text.ts';
import type { HandedEvent, HandlingResult, QueuedEvent } from '../events/handed.ts';
import { MillraceError } from './errors.ts';
import { Rounds } from './rounds.ts';
import { groupsOf, type Settlement } from './settling.ts';
import type { HubLink } from './worker-hub.ts';
import { thrown } from './worker-result.ts';

/**
 * A queue of a consumer's own: each message is settled by itself, and confirmed with the hub where it asks for that, as soon as
 * its event is dealt with.
 */

/** Of the platform's `Message` what is used here. */
export interface QueueMessage {
  readonly body: unknown;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
}

/** A message whose event the hub is to be told of. */
interface Dealt {
  message: QueueMessage;
  ackId: string;
  settlement: Settlement;
}

/**
 * Requests in which the hub is told of a batch while that is worked on, at most; whatever is left is told at its end, in one for
 * each way to settle. The platform lets one request call 32 Workers, and what is read behind claim checks, or asked again, is
 * among these calls.
 */
const EARLY_REQUESTS_MAX = 12;

/** The subscription is gone, or is no longer one of this kind: what was leased of it is somebody else's, or nobody's. */
const NOT_WAITED_FOR: readonly string[] = ['unknown-subscription', 'wrong-delivery-kind'];
/** The delay of a message whose event was dealt with while the hub could not be told, seconds. */
const UNTOLD_DELAY_S = 5;

export class QueueConsumer {
  readonly #hub: HubLink | null;
  readonly #handle: (handed: HandedEvent) => Promise<HandlingResult>;
  /** So many events that are to be confirmed are told of at a time, unless no more come. */
  readonly #atLeast: number;
  /** By subscription: one is not told later because of another. */
  readonly #confirming = new Map<string, Rounds<Dealt>>();
  #earlyRequests = 0;
  /** By subscription what is told at the end. */
  readonly #left = new Map<string, Dealt[]>();

  /** @param messages how many there are */
  constructor(hub: HubLink | null, handle: (handed: HandedEvent) => Promise<HandlingResult>, messages: number) {
    this.#hub = hub;
    this.#handle = handle;
    this.#atLeast = Math.ceil(messages / EARLY_REQUESTS_MAX);
  }

  /**
   * Has the event of a message handled, and hub or queue told of it; the hub while others are handled. Never throws: whatever
   * happens is a result.
   */
  async deal(message: QueueMessage): Promise<void> {
    const { body } = message;
    const queued = isQueuedEvent(body) ? body : null;
    const result = queued === null ? FOREIGN : await this.#resultOf(queued);
    if (queued?.ackId === undefined) {
      tellQueue(message, result);
      return;
    }
    this.#roundsOf(queued.subscription).add({ message, ackId: queued.ackId, settlement: settlementOf(result) });
  }

  /** Once all messages are dealt with: waits until hub and queue have been told of all of them. Never throws. */
  async end(): Promise<void> {
    await Promise.all([...this.#confirming.values()].map((rounds) => rounds.end()));
    await Promise.all([...this.#left].map(([subscription, dealt]) => this.#tell(subscription, groupsOf(dealt))));
  }

  async #resultOf(queued: QueuedEvent): Promise<HandlingResult> {
    try {
      return await this.#handle(await this.#handed(queued));
    } catch (error) {
      return thrown(error);
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

  #roundsOf(subscription: string): Rounds<Dealt> {
    const present = this.#confirming.get(subscription);
    if (present !== undefined) return present;
    const rounds = new Rounds<Dealt>((dealt) => this.#tellEarly(subscription, dealt), this.#atLeast);
    this.#confirming.set(subscription, rounds);
    return rounds;
  }

  async #tellEarly(subscription: string, dealt: Dealt[]): Promise<void> {
    const groups = groupsOf(dealt);
    if (this.#earlyRequests + groups.length > EARLY_REQUESTS_MAX) {
      this.#left.set(subscription, [...(this.#left.get(subscription) ?? []), ...dealt]);
      return;
    }
    this.#earlyRequests += groups.length;
    await this.#tell(subscription, groups);
  }

  async #tell(subscription: string, groups: [Dealt, ...Dealt[]][]): Promise<void> {
    await Promise.all(groups.map((group) => this.#confirm(subscription, group)));
  }

  /** Tells the hub what became of some in the same way, and then their queue. What the hub could not be told comes again. */
  async #confirm(subscription: string, members: [Dealt, ...Dealt[]]): Promise<void> {
    try {
      const ackIds = members.map(({ ackId }) => ackId);
      const results = await this.#link().settle(subscription, ackIds, members[0].settlement);
      // What is told too late is settled already, or comes again: this message has nothing more to say.
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
