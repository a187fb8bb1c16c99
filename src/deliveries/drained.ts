import type { DeadLetter, DeadLetters } from '../dead-letters/letters.ts';
import type { QueuedEvent } from '../events/handed.ts';
import { queuedEvent } from '../events/handing.ts';
import { deadLetterId } from '../events/ids.ts';
import { NO_HUB_SECRET } from '../hub-secret.ts';
import type { Log } from '../platform.ts';
import { GIVEN_UP } from '../subscriptions/consumer-deaths.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { TopicLogApi } from '../topics/protocol.ts';
import { clipped } from './clipped.ts';
import type { Seals } from './seal.ts';
import { isOfTest } from './test-event.ts';

/**
 * The dead letter queues of consumers' own queues drain into the hub's dead letters: all that died is in one place. What the
 * hub has not sealed itself is not believed, whoever put it there.
 */

export interface DrainPorts {
  subscription: (name: string) => Pick<SubscriptionApi, 'consumerDied'>;
  topic: (name: string) => Pick<TopicLogApi, 'eventsAt'>;
  letters: Pick<DeadLetters, 'put'>;
  log: Log;
  /** Null: HUB_SECRET is none, so that nothing can be verified. */
  seals: Pick<Seals, 'verify'> | null;
}

/** Of the platform's `Message` what is used here. */
export interface DrainedMessage {
  /** 1 for the first. */
  readonly attempts: number;
  ack(): void;
  retry(options: { delaySeconds: number }): void;
}

/** What can't be kept comes again after this, and each time that much later, up to the other. */
const DELAY_STEP_S = 10;
const DELAY_MAX_S = 3_600;

/** True of what a consumer's queue gave up on, as far as its shape goes. */
export function isQueued(body: unknown): body is QueuedEvent {
  // The hub's own messages, which are by far the most, have no topic.
  return typeof body === 'object' && body !== null && 'topic' in body && queuedEvent.safeParse(body).success;
}

/**
 * Makes a dead letter of it, once however often it comes; of what the hub has not sealed nothing becomes. Where nothing can
 * keep it now, or tell whose it is, it comes again. Never throws.
 */
export async function drain(queued: QueuedEvent, message: DrainedMessage, ports: DrainPorts): Promise<void> {
  const named = {
    subscription: clipped(queued.subscription),
    topic: clipped(queued.topic),
    sequence: queued.sequence,
  };
  try {
    if (ports.seals === null) throw new Error(NO_HUB_SECRET);
    if (await ports.seals.verify(queued)) await bury(queued, ports);
    else ports.log('warn', FORGED, named);
    message.ack();
  } catch (error) {
    ports.log('warn', 'What a consumer gave up on could not be kept yet.', { ...named, error });
    message.retry({ delaySeconds: Math.min(message.attempts * DELAY_STEP_S, DELAY_MAX_S) });
  }
}

async function bury(queued: QueuedEvent, { subscription, topic: log, letters, ...ports }: DrainPorts): Promise<void> {
  // It is in no log and counted nowhere: nothing has died.
  if (isOfTest(queued)) return;
  const { subscription: name, topic, sequence, attempt, replay, sentAt, ackId = null, event } = queued;
  const carried = event === undefined ? null : JSON.stringify(event);
  const death = { v: 1 as const, topic, sequence, attempt, replay, sentAt, ackId, json: carried };
  if (await subscription(name).consumerDied(death)) return;
  // Nobody owns it any more. Where a subscription of this name has left a letter of the event, that stays.
  const json = carried ?? (await log(topic).eventsAt([sequence])).events[0]?.json;
  if (json !== undefined) await letters.put([orphan(queued, json)]);
  else ports.log('error', NOTHING_LEFT, { subscription: name, topic, sequence });
}

const FORGED = 'A message in a dead letter queue is not as the hub sealed it, and is dropped.';
const NOTHING_LEFT = 'A consumer gave up on an event that its topic has no more: nothing is left of it to keep.';

function orphan({ subscription, topic, sequence, attempt, sentAt }: QueuedEvent, json: string): DeadLetter {
  return {
    id: deadLetterId(subscription, topic, sequence),
    subscription,
    topic,
    sequence,
    event: json,
    reason: 'consumer',
    attempts: attempt,
    lastStatus: null,
    lastError: GIVEN_UP,
    firstAttemptAt: sentAt,
    diedAt: sentAt,
    redrivenAt: null,
    resolvedAt: null,
    discardedAt: null,
    version: 0,
  };
}
