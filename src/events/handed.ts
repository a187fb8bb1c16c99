import type { StoredEvent } from './stored.ts';

/** The types of what the hub and a consumer Worker say to each other, without the schemas: a consumer has no zod. */

interface Handed {
  v: 1;
  subscription: string;
  topic: string;
  sequence: number;
  /** 1 for the first. */
  attempt: number;
  /** The replay it comes from; null: it does not. */
  replay: string | null;
  /** It was a dead letter, and comes again beside the order of what is live. */
  redriven: boolean;
}

/** One event as a consumer Worker is called with it: `handle` takes an array of these, and so does a `POST`. */
export interface HandedEvent extends Handed {
  event: StoredEvent;
}

/** The body of a message on a consumer's own queue. */
export interface QueuedEvent extends Handed {
  /** Absent where it is too large for a message: a claim check. The hub has it, under topic and sequence. */
  event?: StoredEvent | undefined;
  /** When it was given to the queue, milliseconds since the epoch. */
  sentAt: number;
  /** By which it is confirmed, where the subscription wants that. */
  ackId?: string | undefined;
  /** Of the hub, which knows by it what its dead letter queue brings back. Of no use to anybody else. */
  seal?: string | undefined;
}

/** What a consumer answers for one event. */
export type HandlingResult =
  | { result: 'ack' }
  /** `delay`: at least so long; absent: as the schedule says. */
  | { result: 'retry'; delay?: string | undefined; reason?: string | undefined }
  | { result: 'reject'; reason?: string | undefined };
