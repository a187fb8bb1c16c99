import type { NewEvent } from '../topics/protocol.ts';
import type { SentAttributes } from './attribute-rules.ts';
import type { EventData } from './data.ts';
import { contentHash, identityHash } from './hashes.ts';

/** What an event gets where its producer left it out. `time` is RFC 3339. */
export interface EventDefaults {
  topic: string;
  time: string;
  makeId: () => string;
}

/** An event ready for the log, with its id for the receipt. */
export interface DecodedEvent {
  id: string;
  event: NewEvent;
}

/** An event as it is stored, before it is hashed. */
export interface WrittenEvent {
  id: string;
  source: string;
  json: string;
}

/** Completes a checked event and writes it out: attributes in one readable order, extensions by name, data last. */
export function writeEvent(
  attributes: SentAttributes,
  data: EventData | null,
  { topic, time, makeId }: EventDefaults,
): WrittenEvent {
  const id = attributes.id ?? makeId();
  const source = attributes.source ?? `/topics/${topic}`;
  const head = JSON.stringify({
    specversion: '1.0',
    id,
    source,
    type: attributes.type,
    // Before `time`: readers of an event's head stop there.
    subject: attributes.subject ?? undefined,
    time: attributes.time ?? time,
    datacontenttype: attributes.datacontenttype ?? undefined,
    dataschema: attributes.dataschema ?? undefined,
    partitionkey: attributes.partitionkey ?? undefined,
  });
  let json = head.slice(0, -1);
  // Names need no escaping: they were checked.
  for (const [name, value] of attributes.extensions) json += `,"${name}":${JSON.stringify(value)}`;
  if (data?.kind === 'json') json += `,"data":${data.text}`;
  if (data?.kind === 'base64') json += `,"data_base64":"${data.text}"`;
  return { id, source, json: `${json}}` };
}

/** A written event made ready for the log. */
export function newEvent(
  attributes: SentAttributes,
  data: EventData | null,
  { id, source, json }: WrittenEvent,
): DecodedEvent {
  const { type, subject, partitionkey } = attributes;
  const event: NewEvent = {
    type,
    source,
    subject,
    key: partitionkey ?? subject,
    identity: identityHash(source, id),
    content: contentHash(attributes, data),
    json,
  };
  return { id, event };
}
