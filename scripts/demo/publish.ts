import type { ApiClient, Receipt } from '../hub/api-client.ts';
import type { DemoEvent } from './payloads.ts';
import { Progress } from './progress.ts';

/** Requests on their way at the same time. */
const CONNECTIONS = 8;
/** One in so many is sent a second time, this many requests after its first. */
const REPEAT_EVERY = 10;
const REPEAT_AFTER = 5;

export interface Published {
  /** The receipts of each event, in the order they were sent. */
  receipts: Map<string, Receipt[]>;
  requests: number;
  seconds: number;
}

/** Publishes each event with a request of its own, and a tenth of them twice, as a producer does that missed an answer. */
export async function publishAll(api: ApiClient, topic: string, events: readonly DemoEvent[]): Promise<Published> {
  const queue = withRepeats(events);
  const progress = new Progress('publishing', queue.length);
  const receipts = new Map<string, Receipt[]>();
  const start = Date.now();
  let answered = 0;
  const rest = queue.values();
  const connection = async (): Promise<void> => {
    for (const event of rest) {
      const given = await api.publish(topic, event, { headers: { 'content-type': 'application/cloudevents+json' } });
      receipts.set(event.id, [...(receipts.get(event.id) ?? []), ...given]);
      answered += 1;
      progress.show(answered);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  progress.end();
  return { receipts, requests: queue.length, seconds: (Date.now() - start) / 1000 };
}

function withRepeats(events: readonly DemoEvent[]): DemoEvent[] {
  return events.flatMap((event, index) => {
    const earlier = events[index - REPEAT_AFTER];
    const repeat = earlier !== undefined && (index - REPEAT_AFTER) % REPEAT_EVERY === 0;
    return repeat ? [event, earlier] : [event];
  });
}
