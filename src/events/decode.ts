import { attributesOf, headerOf } from './binary.ts';
import { checkAttributes } from './cloudevent.ts';
import { bytesData, type EventData, jsonData, textData } from './data.ts';
import { BATCH, decodeJson, type JsonForm } from './decode-json.ts';
import type { EventError } from './event-error.ts';
import { bytesOf } from './fingerprint.ts';
import { DATA_DEPTH_MAX, type PublishLimits } from './limits.ts';
import { isJson, isText, isUtf8, type MediaType, parseMediaType } from './media-type.ts';
import type { DecodedEvents } from './new-event.ts';
import { decodeUtf8, readJson } from './read-json.ts';
import { invalid, Reading, TOO_DEEP } from './reading.ts';
import type { Trace } from './trace.ts';

/** What a request to publish holds. */
export interface DecodeInput {
  /** The content-type header, or null. */
  contentType: string | null;
  /** All headers, for binary mode; `Headers` fits. */
  headers: Iterable<readonly [string, string]>;
  body: Uint8Array;
  /** For the source of an event without one. */
  topic: string;
  /** Milliseconds since the epoch, for the time of an event without one. */
  now: number;
  /** An id for the event at this index of the request, where it has none. */
  makeId: (index: number) => string;
  /** Given to events that have none of their own. */
  trace?: Trace | null;
  limits?: PublishLimits;
}

export type DecodeResult = ({ outcome: 'decoded' } & SentEvents) | DecodeRefusal;

/** `inArray`: they were sent as an array, rather than one by itself. */
export type SentEvents = DecodedEvents & { inArray: boolean };

/** `detail` says what to change; `errors` name the events it is about, where it is about some. */
export type DecodeRefusal =
  | { outcome: 'invalid-event' | 'event-too-large'; detail: string; errors: EventError[] }
  | {
      outcome:
        | 'invalid-json'
        | 'unsupported-media-type'
        | 'not-supported-yet'
        | 'payload-too-large'
        | 'too-many-events';
      detail: string;
    };

const STRUCTURED = 'application/cloudevents+json';
const SHORT = 'application/json';
const LINES = 'application/x-ndjson';

/** Reads a publishing request in any content type of the interface into events for the log. All or nothing; never throws. */
export function decodeRequest(input: DecodeInput): DecodeResult {
  const reading = new Reading(input);
  const { requestBytes } = reading.limits;
  if (input.body.byteLength > requestBytes) {
    return { outcome: 'payload-too-large', detail: `A request is at most ${requestBytes} bytes.` };
  }
  const media = input.contentType === null ? null : parseMediaType(input.contentType);
  const form = formOf(media);
  if (media !== null && form !== null) {
    if (!isUtf8(media)) return unsupported(`JSON is read in UTF-8 only, not in ${media.charset}.`);
    return decodeJson(reading, form);
  }
  if (isBinaryMode(input.headers) && media?.type.startsWith('application/cloudevents') !== true) {
    return decodeBinary(reading, media);
  }
  if (media?.type === SHORT) {
    if (!isUtf8(media)) return unsupported(`JSON is read in UTF-8 only, not in ${media.charset}.`);
    // Binary mode that lacks a header: as the short form it would lose the attributes in the others.
    return hasAttributes(input.headers) ? decodeBinary(reading, media) : decodeJson(reading, 'short');
  }
  if (media?.type === LINES) {
    return { outcome: 'not-supported-yet', detail: `Publishing ${LINES} comes later; send ${BATCH}.` };
  }
  const given = input.contentType === null ? 'There is no content type.' : 'The content type is none of these.';
  return unsupported(
    `${given} Send ${STRUCTURED}, ${BATCH}, ${SHORT}, or any type with ce-specversion and the other ce- headers.`,
  );
}

function unsupported(detail: string): DecodeRefusal {
  return { outcome: 'unsupported-media-type', detail };
}

/** The modes that the content type alone decides. */
function formOf(media: MediaType | null): JsonForm | null {
  if (media?.type === STRUCTURED) return 'structured';
  return media?.type === BATCH ? 'batch' : null;
}

function isBinaryMode(headers: Iterable<readonly [string, string]>): boolean {
  // Asked for one they don't have to be listed.
  if (headers instanceof Headers) return headers.has('ce-specversion');
  for (const [name] of headers) {
    if (name.toLowerCase() === 'ce-specversion') return true;
  }
  return false;
}

function hasAttributes(headers: Iterable<readonly [string, string]>): boolean {
  for (const [name] of headers) {
    if (name.toLowerCase().startsWith('ce-')) return true;
  }
  return false;
}

/** Binary mode: attributes in headers, data in the body. */
function decodeBinary(reading: Reading, media: MediaType | null): DecodeResult {
  const { attributes, errors } = attributesOf(reading.input.headers);
  const { contentType } = reading.input;
  if (contentType !== null) attributes.datacontenttype = contentType;
  const checked = checkAttributes(attributes, false);
  if (!checked.ok) {
    const named = new Set(errors.map(({ path }) => path));
    for (const { path, message } of checked.errors) {
      if (!named.has(headerOf(path))) errors.push({ path: headerOf(path), message });
    }
  }
  if (errors.length > 0 || !checked.ok) return invalid(errors);

  const body = decodeBody(reading.input.body, media);
  switch (body.outcome) {
    case 'data':
      reading.expect(1, false);
      reading.add(0, checked.attributes, body.data, bytesOf(JSON.stringify([checked.attributes, body.data])));
      return reading.result();
    case 'invalid':
      return invalid([{ path: 'data', message: body.message }]);
    default:
      return body;
  }
}

type BodyResult =
  | { outcome: 'data'; data: EventData | null }
  | { outcome: 'invalid'; message: string }
  | { outcome: 'invalid-json' | 'unsupported-media-type'; detail: string };

/** The body of binary mode. Without a content type it is JSON if it can be, else bytes. */
function decodeBody(body: Uint8Array, media: MediaType | null): BodyResult {
  if (body.byteLength === 0) return { outcome: 'data', data: null };
  if (media !== null && !isJson(media)) {
    const text = isText(media) && isUtf8(media) ? decodeUtf8(body, true) : null;
    return { outcome: 'data', data: text === null ? bytesData(body) : textData(text) };
  }
  if (media !== null && !isUtf8(media)) {
    return { outcome: 'unsupported-media-type', detail: `JSON is read in UTF-8 only, not in ${media.charset}.` };
  }
  const read = readJson(decodeUtf8(body, false), DATA_DEPTH_MAX);
  if (read.outcome === 'too-deep') return { outcome: 'invalid', message: TOO_DEEP };
  if (read.outcome === 'invalid-json') return media === null ? { outcome: 'data', data: bytesData(body) } : read;
  const result = jsonData(read.text, read.value);
  return result.ok ? { outcome: 'data', data: result.data } : { outcome: 'invalid', message: result.message };
}
