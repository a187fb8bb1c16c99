import type { HandedEvent } from '../events/handed.ts';
import { parseStored } from '../events/stored.ts';
import type { ClaimedEvent } from '../subscriptions/protocol-claims.ts';

/** An event as a consumer Worker gets it. */
export function handed(subscription: string, event: ClaimedEvent): HandedEvent {
  return { ...about(subscription, event), event: parseStored(event.json) };
}

/** The same as JSON, for which the event isn't parsed. */
export function handedJson(subscription: string, event: ClaimedEvent): string {
  return `${JSON.stringify(about(subscription, event)).slice(0, -1)},"event":${event.json}}`;
}

/** All but the event itself. */
export function about(
  subscription: string,
  { topic, sequence, attempt, replay, redriven }: ClaimedEvent,
): Omit<HandedEvent, 'event'> {
  return { v: 1, subscription, topic, sequence, attempt, replay, redriven };
}
