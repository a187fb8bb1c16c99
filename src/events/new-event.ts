import type { NewEvents } from '../topics/protocol.ts';
import type { SentAttributes } from './attribute-rules.ts';
import type { DataContent, EventData } from './data.ts';
import { contentHash, EVENT_HASHES_BYTES, HASH_BYTES, identityHash } from './hashes.ts';

/** What an event gets where its producer left it out. `time` is RFC 3339. */
export interface EventDefaults {
  topic: string;
  time: string;
  makeId: (index: number) => string;
}

/** An event as it is stored, before it is hashed. */
export interface WrittenEvent {
  id: string;
  source: string;
  json: string;
}

/**
 * Completes a checked event and writes it out: attributes in one readable order, extensions by name, data last. `index` is
 * its place in the request.
 */
export function writeEvent(
  attributes: SentAttributes,
  data: EventData | null,
  index: number,
  { topic, time, makeId }: EventDefaults,
): WrittenEvent {
  const id = attributes.id ?? makeId(index);
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

/** The attributes in the order of {@link writeEvent}; behind them extensions, then data. */
const WRITTEN_ORDER: readonly string[] = [
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'partitionkey',
];

/**
 * An event that was sent just as {@link writeEvent} would write it, null if this is not so. `attributes` are those of
 * `event`, checked, with those that it gets from its request; `json` is `event` as the engine writes it.
 */
export function asWritten(
  event: Record<string, unknown>,
  { id, source, time, extensions }: SentAttributes,
  json: string,
): WrittenEvent | null {
  if (id === null || source === null || time === null || event.specversion === undefined) return null;
  let place = 0;
  let extended = 0;
  let ended = false;
  for (const name of Object.keys(event)) {
    if (ended) return null;
    if (name === 'data') {
      ended = true;
    } else if (event[name] === null) {
      return null;
    } else if (name === extensions[extended]?.[0]) {
      extended++;
    } else {
      while (place < WRITTEN_ORDER.length && WRITTEN_ORDER[place] !== name) place++;
      if (place === WRITTEN_ORDER.length || extended > 0) return null;
    }
  }
  return extended === extensions.length ? { id, source, json } : null;
}

/** Events ready for the log, with what the receipts name each by. */
export interface DecodedEvents {
  events: NewEvents;
  ids: string[];
  sources: string[];
}

/** No events yet, and room for so many. */
export function roomForEvents(count: number): DecodedEvents {
  return { events: { json: [], keys: [], hashes: new Uint8Array(count * EVENT_HASHES_BYTES) }, ids: [], sources: [] };
}

/** Makes a written event ready for the log, behind those that are there. */
export function addEvent(
  { events, ids, sources }: DecodedEvents,
  attributes: SentAttributes,
  data: DataContent | null,
  { id, source, json }: WrittenEvent,
): void {
  const at = ids.length * EVENT_HASHES_BYTES;
  identityHash(source, id, events.hashes, at);
  contentHash(attributes, data, events.hashes, at + HASH_BYTES);
  events.json.push(json);
  events.keys.push(attributes.partitionkey ?? attributes.subject);
  ids.push(id);
  sources.push(source);
}

/** An event that no producer sent: one that the hub makes itself. */
export interface MadeEvent {
  source: string;
  id: string;
  key: string | null;
  json: string;
}

/** Events that the hub makes itself, packed for the log. Sent again, one is the same to the letter. */
export function packEvents(made: readonly MadeEvent[]): NewEvents {
  const hashes = new Uint8Array(made.length * EVENT_HASHES_BYTES);
  for (const [index, { source, id, json }] of made.entries()) {
    const at = index * EVENT_HASHES_BYTES;
    identityHash(source, id, hashes, at);
    identityHash(source, json, hashes, at + HASH_BYTES);
  }
  return { json: made.map(({ json }) => json), keys: made.map(({ key }) => key), hashes };
}
