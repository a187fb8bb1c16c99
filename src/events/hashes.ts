import type { SentAttributes } from './attribute-rules.ts';
import { writeCanonical } from './canonical.ts';
import type { DataContent } from './data.ts';
import { Message, SHA256_HALF_BYTES } from './sha256.ts';
import { TRACEPARENT, TRACESTATE } from './trace.ts';

/** Bytes of one hash. */
export const HASH_BYTES = SHA256_HALF_BYTES;
/** Of one event in `NewEvents`: identity, then content. */
export const EVENT_HASHES_BYTES = 2 * HASH_BYTES;

/** Extensions that differ between two sendings of the same event. */
const TRACE_EXTENSIONS: ReadonlySet<string> = new Set([TRACEPARENT, TRACESTATE]);

/** What is being hashed. One will do, as nothing is awaited while it is written. */
const message = new Message();

/** Writes the hash over source and id into `out` from `at` on: which event this is. */
export function identityHash(source: string, id: string, out: Uint8Array, at: number): void {
  message.begin();
  message.add('[');
  message.addString(source);
  message.add(',');
  message.addString(id);
  message.add(']');
  message.finish(out, at);
}

/**
 * Writes the hash over an event's content into `out` from `at` on: what counts when the same source and id come again.
 * `attributes` are those that were sent: a time the hub filled in is no content. The order of keys in data and of
 * extensions doesn't count, nor whether an extension came as a number or as its text in a header.
 */
export function contentHash(attributes: SentAttributes, data: DataContent | null, out: Uint8Array, at: number): void {
  message.begin();
  message.add('[');
  message.addString(attributes.type);
  addNext(attributes.subject);
  addNext(attributes.partitionkey);
  addNext(attributes.dataschema);
  addNext(attributes.datacontenttype);
  addNext(attributes.time);
  message.add(',[');
  addExtensions(attributes.extensions);
  message.add(']');
  addNext(data?.kind ?? null);
  // Strings of JSON have no line break in them, so the first one ends the attributes.
  message.add(']\n');
  if (data !== null) addData(data);
  message.finish(out, at);
}

function addNext(text: string | null): void {
  message.add(text === null ? ',null' : ',');
  if (text !== null) message.addString(text);
}

/** Sorted by name already. */
function addExtensions(extensions: SentAttributes['extensions']): void {
  let before = '[';
  for (const [name, value] of extensions) {
    if (TRACE_EXTENSIONS.has(name)) continue;
    message.add(before);
    message.addString(name);
    message.add(',');
    message.addString(String(value));
    message.add(']');
    before = ',[';
  }
}

/** Canonical, but for numbers that RFC 8785 would round: two of them never pass as one. */
function addData(data: DataContent): void {
  if (data.kind === 'base64') {
    message.add(data.text);
    return;
  }
  writeCanonical(data.value, message);
  message.add('\n');
}
