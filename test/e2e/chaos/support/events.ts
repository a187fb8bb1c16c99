import type { SeenEvent, SentEvent } from '../../../history/operations.ts';

/** An event as the producers send it. */
export interface Made {
  id: string;
  source: string;
  type: string;
  /** What subscriptions in order by key go by. */
  subject: string;
  data: { by: string; number: number };
}

/** An event as the hub gives it back. */
export interface Given extends Made {
  topic: string;
  sequence: string;
}

export function sent(event: Omit<Made, 'subject'>): SentEvent {
  return {
    identity: `${event.source} ${event.id}`,
    content: `${event.type} ${JSON.stringify(event.data)}`,
    type: event.type,
  };
}

export function seen(event: Given): SeenEvent {
  return { ...sent(event), sequence: Number(event.sequence) };
}
