import type { DeadLetter, DeadLetters } from '../dead-letters/letters.ts';
import type { QueuedEvent } from '../events/handed.ts';
import { queuedEvent } from '../events/handing.ts';
import { deadLetterId } from '../events/ids.ts';
import type { Log } from '../platform.ts';
import { GIVEN_UP } from '../subscriptions/consumer-deaths.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { TopicLogApi } from '../topics/protocol.ts';

/** The dead letter queues of consumers' own queues drain into the hub's dead letters: all that died is in one place. */

export interface DrainPorts {
  subscription: (name: string) => Pick<SubscriptionApi, 'consumerDied'>;
  topic: (name: string) => Pick<TopicLogApi, 'eventsAt'>;
  letters: Pick<DeadLetters, 'put'>;
  log: Log;
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

/** The event in a message that a consumer's queue gave up on; null: it is none of the hub's. */
export function readQueued(body: unknown): QueuedEvent | null {
  // The hub's own messages, which are by far the most, have no topic.
  if (typeof body !== 'object' || body === null || !('topic' in body)) return null;
  const parsed = queuedEvent.safeParse(body);
  return parsed.success ? parsed.data : null;
}

/** Makes a dead letter of it, once however often it comes. Where nothing can keep it now it comes again. Never throws. */
export async function drain(queued: QueuedEvent, message: DrainedMessage, ports: DrainPorts): Promise<void> {
  try {
    await bury(queued, ports);
    message.ack();
  } catch (error) {
    const { subscription, topic, sequence } = queued;
    ports.log('warn', 'What a consumer gave up on could not be kept yet.', { subscription, topic, sequence, error });
    message.retry({ delaySeconds: Math.min(message.attempts * DELAY_STEP_S, DELAY_MAX_S) });
  }
}

async function bury(queued: QueuedEvent, { subscription, topic: log, letters, ...ports }: DrainPorts): Promise<void> {
  const { subscription: name, topic, sequence, attempt, replay, sentAt, ackId = null, event } = queued;
  const carried = event === undefined ? null : JSON.stringify(event);
  const death = { v: 1 as const, topic, sequence, attempt, replay, sentAt, ackId, json: carried };
  if (await subscription(name).consumerDied(death)) return;
  // Nobody owns it any more. Where a subscription of this name has left a letter of the event, that stays.
  const json = carried ?? (await log(topic).eventsAt([sequence])).events[0]?.json;
  if (json !== undefined) await letters.put([orphan(queued, json)]);
  else ports.log('error', NOTHING_LEFT, { subscription: name, topic, sequence });
}

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
