import type { NewEvents } from '../topics/protocol.ts';
import { type SentAttributes, WRITTEN_ORDER } from './attribute-rules.ts';
import { writeMark } from './content.ts';
import type { EventData } from './data.ts';
import { type ByteRange, bytesOf } from './fingerprint.ts';
import { EVENT_HASHES_BYTES, IDENTITY_BYTES, identityHash } from './hashes.ts';

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

/**
 * An event that was sent just as {@link writeEvent} would write it, null if this is not so. `attributes` are those of the
 * event with these members, checked, with those that it gets from its request; `json` is its text.
 */
export function asWritten(
  names: readonly string[],
  values: readonly unknown[],
  { id, source, time, extensions }: SentAttributes,
  json: string,
): WrittenEvent | null {
  if (id === null || source === null || time === null || names[0] !== 'specversion') return null;
  let place = 0;
  let extended = 0;
  let ended = false;
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    if (ended) return null;
    if (name === 'data') {
      ended = true;
    } else if (values[index] === null) {
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

/** Events being made ready for the log, one after the other. */
export class EventList {
  readonly #json: string[] = [];
  readonly #keys: (string | null)[] = [];
  readonly #hashes: Uint8Array<ArrayBuffer>;
  readonly #marks: DataView;
  readonly #ids: string[] = [];
  readonly #sources: string[] = [];

  /** @param room for so many events */
  constructor(room: number) {
    this.#hashes = new Uint8Array(room * EVENT_HASHES_BYTES);
    this.#marks = new DataView(this.#hashes.buffer);
  }

  /** Adds an event with its ordering key. `sent` and `timeSent` as {@link writeMark} has them. */
  add(event: WrittenEvent, key: string | null, sent: ByteRange, timeSent: boolean): void {
    const at = this.#json.length * EVENT_HASHES_BYTES;
    identityHash(event.source, event.id, this.#hashes, at);
    writeMark(sent, timeSent, this.#marks, at + IDENTITY_BYTES);
    this.#json.push(event.json);
    this.#keys.push(key);
    this.#ids.push(event.id);
    this.#sources.push(event.source);
  }

  /** All of them; there have to be as many as there was room for. */
  packed(): DecodedEvents {
    return {
      events: {
        count: this.#json.length,
        lines: this.#json.join('\n'),
        keys: keysText(this.#keys),
        hashes: this.#hashes,
      },
      ids: this.#ids,
      sources: this.#sources,
    };
  }
}

/** Keys as `NewEvents` has them: null where no event has one. */
export function keysText(keys: readonly (string | null)[]): string | null {
  return keys.every((key) => key === null) ? null : JSON.stringify(keys);
}

/** An event that no producer sent: one that the hub makes itself. Its key is what {@link orderingKey} finds in it. */
export interface MadeEvent extends WrittenEvent {
  key: string | null;
}

/** Events that the hub makes itself, packed for the log. */
export function packEvents(made: readonly MadeEvent[]): NewEvents {
  const list = new EventList(made.length);
  for (const event of made) list.add(event, event.key, bytesOf(event.json), true);
  return list.packed().events;
}
