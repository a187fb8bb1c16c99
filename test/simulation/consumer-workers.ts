import type { Bindings, ConsumerQueue, ConsumerService } from '../../src/deliveries/bindings.ts';
import type { HandedEvent, HandlingResult, QueuedEvent } from '../../src/events/handed.ts';
import { messageId } from '../../src/events/ids.ts';
import type { Delivery, Outcome } from '../history/operations.ts';
import type { Party } from './object-host.ts';
import type { SeededRandom } from './random.ts';
import { type Receivers, seenEvent } from './receivers.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { HostedSubscription } from './world.ts';

/** What a consumer Worker does with a call or an event, and what becomes of the way to it. */
type Deed = 'take' | 'retry' | 'reject' | 'throw' | 'hang' | 'rubbish' | 'lose the answer';

const HEALTHY: Record<Deed, number> = {
  take: 1,
  retry: 0,
  reject: 0,
  throw: 0,
  hang: 0,
  rubbish: 0,
  'lose the answer': 0,
};
const FAULTY: Record<Deed, number> = {
  take: 8,
  retry: 1,
  reject: 0.3,
  throw: 1,
  hang: 0.5,
  rubbish: 0.5,
  'lose the answer': 1,
};
/** Swift enough for any timeout, unless there are faults. */
const WORK_MAX_MS = { healthy: 30, faulty: 2_000 };
const QUEUED_MAX_MS = 8_000;
/** Longer than any deadline that subscriptions are made with, and than the retry after it: what is confirmed then is late. */
const STUCK_MAX_MS = 60_000;
const STUCK_CHANCE = 0.15;
const LOST_CHANCE = 0.2;
const REPEATED_CHANCE = 0.2;

/** Consumer Workers, one for each subscription, behind service bindings and queues of their own, until the world ends. */
export class ConsumerWorkers {
  readonly #scheduler: Scheduler;
  readonly #receivers: Receivers;
  readonly #random: SeededRandom;
  readonly #subscription: (name: string, from: Party) => HostedSubscription;
  isHealthy = false;

  constructor(
    scheduler: Scheduler,
    receivers: Receivers,
    subscription: (name: string, from: Party) => HostedSubscription,
  ) {
    this.#scheduler = scheduler;
    this.#receivers = receivers;
    this.#random = scheduler.random.fork();
    this.#subscription = subscription;
  }

  /** As the consumer of the hub's queue `life` has them: every name leads somewhere. */
  bindings(life: Life): Bindings {
    return { service: () => this.#service(life), queue: () => this.#queue(life), names: () => [] };
  }

  #deed(): Deed {
    return this.#random.weighted(this.isHealthy ? HEALTHY : FAULTY);
  }

  #workMs(): number {
    return this.#random.between(0, this.isHealthy ? WORK_MAX_MS.healthy : WORK_MAX_MS.faulty);
  }

  #waitMs(): number {
    const isStuck = !this.isHealthy && this.#random.chance(STUCK_CHANCE);
    return this.#random.between(0, isStuck ? STUCK_MAX_MS : QUEUED_MAX_MS);
  }

  #service(life: Life): ConsumerService {
    return {
      handle: async (deliveries) => {
        const consumer = life.name;
        for (const { subscription } of deliveries.slice(0, 1)) {
          this.#receivers.starts.push({ subscription, at: this.#scheduler.elapsed });
        }
        await this.#scheduler.hop('calls a consumer', life);
        const entries = deliveries.map((delivery) => this.#enter(delivery, consumer));
        const deed = this.#deed();
        if (deed === 'hang') return new Promise(() => {});
        await this.#scheduler.sleep('a consumer works', null, this.#workMs());
        const results = entries.map((entry) => this.#deal(entry, deed));
        await this.#scheduler.hop('a consumer answers', life);
        if (deed === 'throw' || deed === 'lose the answer') throw new Error('Network connection lost.');
        return deed === 'rubbish' ? results.slice(1) : results;
      },
      fetch: async () => new Response(null, { status: 501 }),
    };
  }

  /** What is answered of an event; what is not answered well was not taken. */
  #deal(entry: Delivery, deed: Deed): HandlingResult {
    switch (deed) {
      case 'take':
      case 'lose the answer':
        this.#end(entry, 'success');
        return { result: 'ack' };
      case 'retry':
        this.#end(entry, 'failure');
        return { result: 'retry', delay: `${this.#random.between(0, 20)}s` };
      case 'reject':
        this.#end(entry, 'failure');
        // It is dead: what comes behind it in the same call has nothing to wait for.
        if (entry.sender !== null) entry.sender.consumer += ` rejects ${entry.event.sequence}`;
        return { result: 'reject' };
      case 'throw':
      case 'hang':
      case 'rubbish':
        this.#end(entry, 'failure');
        return { result: 'ack' };
    }
  }

  #queue(life: Life): ConsumerQueue {
    return {
      sendBatch: async (messages) => {
        const consumer = life.name;
        await this.#scheduler.hop('sends to a queue', life);
        const deed = this.#deed();
        if (deed === 'hang') await new Promise(() => {});
        if (deed === 'throw') throw new Error('Queue is overloaded.');
        for (const { body } of messages) this.#take(body, consumer);
        if (deed === 'lose the answer') throw new Error('Network connection lost.');
      },
    };
  }

  /** A queue that nobody confirms is trusted: what it has taken is the consumer's. Others lose and repeat. */
  #take(body: QueuedEvent, consumer: string): void {
    if (body.ackId === undefined) {
      this.#end(this.#enter(body, consumer), 'success');
      return;
    }
    const times = this.isHealthy
      ? 1
      : this.#random.chance(LOST_CHANCE)
        ? 0
        : this.#random.chance(REPEATED_CHANCE)
          ? 2
          : 1;
    for (let time = 0; time < times; time += 1) void this.#confirm(body, body.ackId, time);
  }

  async #confirm(body: QueuedEvent, ackId: string, time: number): Promise<void> {
    const party: Party = { life: { name: 'worker', alive: true, pausedUntil: 0, kill: null }, ready: async () => {} };
    await this.#scheduler.sleep('a message waits', null, this.#waitMs());
    const entry = this.#enter(body, `${ackId} ${time}`);
    const deed = this.#deed();
    await this.#scheduler.sleep('a consumer works', null, this.#workMs());
    const { result } = this.#deal(entry, deed);
    if (deed === 'throw' || deed === 'hang' || deed === 'rubbish') return;
    const subscription = this.#subscription(body.subscription, party);
    const told =
      result === 'ack'
        ? subscription.ack({ v: 1, ackIds: [ackId] })
        : subscription.nack({
            v: 1,
            ackIds: [ackId],
            delayMs: null,
            reason: 'no',
            dead: result === 'reject' ? 'rejected' : null,
          });
    // What is lost on the way is leased again.
    await told.catch(() => undefined);
  }

  #enter(
    { subscription, topic, sequence, replay, redriven, event }: HandedEvent | QueuedEvent,
    consumer: string,
  ): Delivery {
    const seen = seenEvent(JSON.stringify(event));
    const entry: Delivery = {
      kind: 'delivery',
      outcome: 'unknown',
      start: this.#scheduler.steps,
      end: Number.POSITIVE_INFINITY,
      subscription,
      topic,
      event: seen.event,
      webhookId: messageId(subscription, topic, sequence),
      replay,
      sender: { consumer, key: seen.key, redriven },
    };
    this.#receivers.books.push(entry);
    return entry;
  }

  #end(entry: Delivery, outcome: Outcome): void {
    entry.outcome = outcome;
    entry.end = this.#scheduler.steps;
    this.#scheduler.trace.add(`a consumer has ${outcome} ${entry.subscription} ${entry.topic} ${entry.event.sequence}`);
  }
}
