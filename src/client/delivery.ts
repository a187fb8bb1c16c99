import type { StoredEvent } from '../events/stored.ts';

/** What every way of consuming hands to a program: by webhook, pull, queue or service binding alike. */

/**
 * An event as the hub gives it out: a CloudEvent with `topic`, `sequence` and `recordedtime`. `Data` is what the program
 * knows of its data; nobody checks it here.
 */
export type EventOf<Data = unknown> = StoredEvent & { data: Data };

/** One event on its way to one subscription. */
export interface Delivery<Data = unknown> {
  event: EventOf<Data>;
  topic: string;
  sequence: number;
  /** 1 the first time. It may be higher without this consumer having seen the event before. */
  attempt: number;
  /** The id of the replay that it belongs to; null in live delivery. */
  replay: string | null;
  /** Sent again by a person, after it had been given up on. */
  redriven: boolean;
}

/** Topic and sequence of an event, as it says them itself. */
export function placeOf(event: StoredEvent): { topic: string; sequence: number } {
  return { topic: event.topic, sequence: Number(event.sequence) };
}
