import { type MadeEvent, packEvents } from '../events/new-event.ts';
import { formatTime } from '../events/times.ts';
import type { AppendRequest, AppendResult } from '../topics/protocol.ts';

/** A system event in the outbox of the object that it is about. */
export interface Notice {
  /** Random and kept with it: told again, it is the same event. */
  id: string;
  /** One of SYSTEM_EVENTS. */
  type: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** JSON, as SYSTEM_EVENTS has it for the type. */
  data: string;
}

/** Notices told in one append. */
export const NOTICES_AT_ONCE = 100;

/** Who tells: a subscription or a topic. */
export interface Teller {
  kind: 'subscription' | 'topic';
  name: string;
}

/**
 * Appends notices to the hub's own topic, in order, and answers when they are durable there. What it has already is left
 * out; false if it is full and none could be appended.
 *
 * @throws if the topic can't be reached
 */
export async function tell(
  notices: readonly Notice[],
  teller: Teller,
  append: (request: AppendRequest) => Promise<AppendResult>,
): Promise<boolean> {
  let events = notices.map((notice) => systemEvent(notice, teller));
  while (events.length > 0) {
    const result = await append({ v: 1, events: packEvents(events), expectedLastSequence: null, create: true });
    // Told before, in words that have become known or unknown since.
    if (result.outcome === 'event-id-conflict') events = events.filter((_, index) => index !== result.index);
    else return result.outcome === 'appended';
  }
  return true;
}

function systemEvent({ id, type, at, data }: Notice, { kind, name }: Teller): MadeEvent {
  const source = `/${kind}s/${name}`;
  const head = JSON.stringify({
    specversion: '1.0',
    id,
    source,
    type,
    subject: name,
    time: formatTime(at),
    datacontenttype: 'application/json',
  });
  return { id, source, key: name, json: `${head.slice(0, -1)},"data":${data}}` };
}
