import { expect } from 'vitest';
import { drain, isQueued } from '../../src/deliveries/drained.ts';
import type { HandedEvent, QueuedEvent } from '../../src/events/handed.ts';
import type { QueueDelivery, SubscriptionDocument } from '../../src/subscriptions/document.ts';
import type { AckResult } from '../../src/subscriptions/protocol-acks.ts';
import { Delivering } from './delivering.ts';
import { booked, Hub } from './harness.ts';

export const QUEUE: QueueDelivery = {
  kind: 'queue',
  binding: 'MAIL_QUEUE',
  confirm: false,
  ackDeadlineMs: 10_000,
  rateLimit: null,
};
export const CONFIRMED: QueueDelivery = { ...QUEUE, confirm: true };
export const NAME = 'mail';

/** A hub, its queue consumers, a queue MAIL_QUEUE that keeps what it takes, and a consumer Worker BILLING. */
export class Bench {
  readonly hub = new Hub();
  readonly delivering = new Delivering(this.hub);
  /** Messages that the consumer has not looked at. */
  messages: QueuedEvent[] = [];
  /** Thrown at whoever sends to the queue. */
  queueFailure: Error | null = null;
  /** What the queue waits for after it has taken a call, before it says so. */
  queueAnswers: () => Promise<void> = async () => undefined;
  readonly calls: HandedEvent[][] = [];
  handle: (deliveries: HandedEvent[]) => unknown = () => undefined;

  constructor() {
    this.bind();
    this.delivering.bindings.services.set('BILLING', {
      handle: async (deliveries) => {
        this.calls.push(deliveries);
        return this.handle(deliveries);
      },
      fetch: async () => new Response(),
    });
  }

  bind(): void {
    this.delivering.bindings.queues.set('MAIL_QUEUE', {
      sendBatch: async (sent) => {
        if (this.queueFailure !== null) throw this.queueFailure;
        this.messages.push(...sent.map(({ body }) => body));
        await this.queueAnswers();
      },
    });
  }

  subscribe(delivery: SubscriptionDocument['delivery'], changes: Partial<SubscriptionDocument> = {}) {
    return this.hub.subscribe(NAME, { delivery, ...changes });
  }

  get subscription() {
    return this.hub.subscription(NAME);
  }

  /** What has come since the last look. */
  taken(): QueuedEvent[] {
    return this.messages.splice(0);
  }

  idsOf(messages: readonly QueuedEvent[]): string[] {
    return messages.map(({ ackId }) => ackId ?? expect.fail('It has no ack id.'));
  }

  async ack(messages: readonly QueuedEvent[]) {
    return answersOf(await this.subscription.ack({ v: 1, ackIds: this.idsOf(messages) }));
  }

  async nack(messages: readonly QueuedEvent[]) {
    const ackIds = this.idsOf(messages);
    return answersOf(await this.subscription.nack({ v: 1, ackIds, delayMs: null, reason: 'no', dead: null }));
  }

  /** Its queue gives up on a message, and the hub drains what that puts into the dead letter queue. */
  async giveUp(given: QueuedEvent): Promise<string> {
    const body: unknown = structuredClone(given);
    let did = 'nothing';
    const message = { attempts: 1, ack: () => (did = 'ack'), retry: () => (did = 'retry') };
    const ports = {
      subscription: () => this.subscription,
      topic: (topic: string) => this.hub.log(topic),
      letters: this.hub.letters,
      log: () => undefined,
      seals: this.delivering.seals,
    };
    await this.hub.awaiting(drain(isQueued(body) ? body : expect.fail('It is no event.'), message, ports));
    return did;
  }

  async sums() {
    const { delivered, dead, pending, waiting, failed, status, reason, ...view } = await this.hub.view(NAME);
    expect(booked({ ...view, delivered, dead, pending, waiting, failed, status, reason })).toBe(
      (await this.hub.log('orders').describe())?.lastSequence ?? 0,
    );
    return { delivered, dead, pending, waiting, failed, status, reason };
  }

  async letters() {
    await this.hub.advance(100);
    const letters = await this.hub.lettersOf(NAME, 'open');
    return letters.map(({ sequence, reason, attempts, lastError }) => ({ sequence, reason, attempts, lastError }));
  }
}

export const sequencesOf = (messages: readonly { sequence: number }[]) => messages.map(({ sequence }) => sequence);

function answersOf(result: AckResult) {
  return result.outcome === 'settled' ? result.answers : result.outcome;
}
