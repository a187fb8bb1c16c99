import { HUB_ATTRIBUTES, nameProblem, type SentAttributes } from './attribute-rules.ts';
import { attributesOf, headerOf } from './binary.ts';
import { checkAttributes, type EventError } from './cloudevent.ts';
import { bytesData, type EventData, jsonData, textData } from './data.ts';
import { members, valueEnd } from './json-text.ts';
import { DATA_DEPTH_MAX, ERRORS_MAX, PUBLISH_LIMITS, type PublishLimits } from './limits.ts';
import { isJson, isText, isUtf8, type MediaType, parseMediaType } from './media-type.ts';
import { type DecodedEvent, newEvent, type WrittenEvent, writeEvent } from './new-event.ts';
import { quickAttributes } from './quick-attributes.ts';
import { decodeUtf8, isDeeper, readJson } from './read-json.ts';
import { formatTime } from './times.ts';

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
  /** Given to events that have no `traceparent` of their own; ignored unless it is well-formed. */
  traceparent?: string | null;
  limits?: PublishLimits;
}

export type DecodeResult = { outcome: 'decoded'; events: DecodedEvent[] } | DecodeRefusal;

/** `detail` says what to change. */
export type DecodeRefusal =
  | { outcome: 'invalid-event'; detail: string; errors: EventError[] }
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
const BATCH = 'application/cloudevents-batch+json';
const SHORT = 'application/json';
const LINES = 'application/x-ndjson';

/** A request being read; `time` is what an event without one gets. */
interface Reading extends DecodeInput {
  time: string;
  limits: PublishLimits;
}

type Form = 'structured' | 'batch' | 'short';

/** Reads a publishing request in any content type of the interface into events for the log. All or nothing; never throws. */
export function decodeRequest(input: DecodeInput): DecodeResult {
  const limits = input.limits ?? PUBLISH_LIMITS;
  const reading: Reading = { ...input, limits, time: formatTime(input.now) };
  if (input.body.byteLength > limits.requestBytes) {
    return { outcome: 'payload-too-large', detail: `A request is at most ${limits.requestBytes} bytes.` };
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
    return decodeJson(reading, 'short');
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
function formOf(media: MediaType | null): Form | null {
  if (media?.type === STRUCTURED) return 'structured';
  return media?.type === BATCH ? 'batch' : null;
}

function isBinaryMode(headers: Iterable<readonly [string, string]>): boolean {
  for (const [name] of headers) {
    if (name.toLowerCase() === 'ce-specversion') return true;
  }
  return false;
}

/** Structured mode, batch and short form. */
function decodeJson(reading: Reading, form: Form): DecodeResult {
  const { body, limits } = reading;
  // Around data there is an event, and around that an array.
  const read = readJson(body, DATA_DEPTH_MAX + 2);
  if (read.outcome === 'too-deep') return invalid([{ path: `[${read.index}]`, message: TOO_DEEP }]);
  if (read.outcome === 'invalid-json') return read;
  const { text, value, depth } = read;

  if (!Array.isArray(value)) {
    if (form === 'batch') return invalid([{ path: '', message: 'must be an array of events' }]);
    const short = form === 'short';
    // Not in an array, data may be a level too deep still.
    if (depth > DATA_DEPTH_MAX + 1) return finish([decodeObject(reading, 0, '', text, value, short)]);
    return finish([decodeNext(reading, 0, '', { text, at: 0 }, value, short)]);
  }
  if (form === 'structured') {
    return invalid([{ path: '', message: `must be one event; an array of events is ${BATCH}` }]);
  }
  if (value.length === 0) return invalid([{ path: '', message: 'must have at least one event in it' }]);
  if (value.length > limits.requestEvents) {
    return {
      outcome: 'too-many-events',
      detail: `There are ${value.length} events; a request has at most ${limits.requestEvents}.`,
    };
  }
  const short = form === 'short';
  const cursor: Cursor = { text, at: 1 };
  return finish(
    value.map((element: unknown, index) => {
      const result = decodeNext(reading, index, `[${index}]`, cursor, element, short);
      cursor.at++;
      return result;
    }),
  );
}

/** A place in compact JSON. */
interface Cursor {
  text: string;
  at: number;
}

/** Decodes the value at the cursor, which is `value` parsed, and moves the cursor behind it. */
function decodeNext(
  reading: Reading,
  index: number,
  at: string,
  cursor: Cursor,
  value: unknown,
  short: boolean,
): OneResult {
  const quick = isObject(value) ? decodeFaithful(reading, index, cursor, value, short) : null;
  if (quick !== null) return quick;
  const end = valueEnd(cursor.text, cursor.at);
  const text = cursor.text.slice(cursor.at, end);
  cursor.at = end;
  return decodeObject(reading, index, at, text, value, short);
}

/**
 * Decodes an event that keeps every rule and whose text comes out again when its value is written: then parsing it lost
 * nothing, no name is in it twice and no number was rounded. Most are. Null where that is not so, which says nothing of
 * what may be wrong: {@link decodeObject} finds out.
 */
function decodeFaithful(
  reading: Reading,
  index: number,
  cursor: Cursor,
  value: Record<string, unknown>,
  short: boolean,
): OneResult | null {
  const attributes = quickAttributes(value, short);
  if (attributes === null) return null;
  const { data } = value;
  const event = compose(
    reading,
    index,
    attributes,
    data === undefined ? null : { kind: 'json', text: JSON.stringify(data), value: data, inexact: [] },
  );
  const { text, at } = cursor;
  const sent = text.startsWith(event.written.json, at) ? event.written.json : JSON.stringify(value);
  if (!text.startsWith(sent, at)) return null;
  cursor.at += sent.length;
  return complete(reading, index, event);
}

/** An event, or what is wrong with it. */
type OneResult =
  | { outcome: 'decoded'; event: DecodedEvent }
  | { outcome: 'invalid'; errors: EventError[] }
  | { outcome: 'too-large'; detail: string };

/** One JSON object. `text` is compact; `at` says which event it is, in paths. */
function decodeObject(
  reading: Reading,
  index: number,
  at: string,
  text: string,
  value: unknown,
  short: boolean,
): OneResult {
  if (!isObject(value)) return { outcome: 'invalid', errors: [{ path: at, message: 'must be a JSON object' }] };
  const errors: EventError[] = [];
  const fail = (name: string, message: string) =>
    errors.push({ path: at === '' || name === '' ? `${at}${name}` : `${at}.${name}`, message });
  const sent: Record<string, unknown> = Object.create(null);
  const seen = new Set<string>();
  let data: EventData | null = null;

  for (const member of members(text)) {
    const { name } = member;
    if (HUB_ATTRIBUTES.has(name)) continue;
    const problem = seen.has(name) ? 'is there twice' : nameProblem(name);
    seen.add(name);
    const own = value[name];
    if (problem !== null) fail(name, problem);
    // The JSON format of CloudEvents: an attribute that is null is one that is not there. Data may well be null.
    else if (own !== null) sent[name] = own;
    if (name !== 'data' || problem !== null) continue;
    sent.data = own;
    const result = isDeeper(member.text, DATA_DEPTH_MAX)
      ? { ok: false as const, message: TOO_DEEP }
      : jsonData(member.text, own);
    if (result.ok) data = result.data;
    else fail(name, result.message);
  }

  const checked = checkAttributes(sent, short);
  if (!checked.ok) for (const { path, message } of checked.errors) fail(path, message);
  if (errors.length > 0 || !checked.ok) return { outcome: 'invalid', errors };
  if (typeof sent.data_base64 === 'string') data = { kind: 'base64', text: sent.data_base64 };
  return complete(reading, index, compose(reading, index, checked.attributes, data));
}

/** Binary mode: attributes in headers, data in the body. */
function decodeBinary(reading: Reading, media: MediaType | null): DecodeResult {
  const { attributes, errors } = attributesOf(reading.headers);
  if (reading.contentType !== null) attributes.datacontenttype = reading.contentType;
  const checked = checkAttributes(attributes, false);
  if (!checked.ok) {
    const named = new Set(errors.map(({ path }) => path));
    for (const { path, message } of checked.errors) {
      if (!named.has(headerOf(path))) errors.push({ path: headerOf(path), message });
    }
  }
  if (errors.length > 0 || !checked.ok) return invalid(errors);

  const body = decodeBody(reading.body, media);
  switch (body.outcome) {
    case 'data':
      return finish([complete(reading, 0, compose(reading, 0, checked.attributes, body.data))]);
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
  const read = readJson(body, DATA_DEPTH_MAX);
  if (read.outcome === 'too-deep') return { outcome: 'invalid', message: TOO_DEEP };
  if (read.outcome === 'invalid-json') return media === null ? { outcome: 'data', data: bytesData(body) } : read;
  const result = jsonData(read.text, read.value);
  return result.ok ? { outcome: 'data', data: result.data } : { outcome: 'invalid', message: result.message };
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** An event as it will be stored, not hashed yet. */
interface Composed {
  attributes: SentAttributes;
  data: EventData | null;
  written: WrittenEvent;
}

function compose(
  { topic, time, makeId, traceparent = null }: Reading,
  index: number,
  sent: SentAttributes,
  data: EventData | null,
): Composed {
  const attributes = traceparent === null || !TRACEPARENT.test(traceparent) ? sent : withTrace(sent, traceparent);
  return { attributes, data, written: writeEvent(attributes, data, { topic, time, makeId: () => makeId(index) }) };
}

function complete({ limits }: Reading, index: number, { attributes, data, written }: Composed): OneResult {
  if (!isLongerThan(written.json, limits.eventBytes)) {
    return { outcome: 'decoded', event: newEvent(attributes, data, written) };
  }
  return {
    outcome: 'too-large',
    detail: `Event ${index} is over the limit of ${limits.eventBytes} bytes for one event.`,
  };
}

function withTrace(attributes: SentAttributes, traceparent: string): SentAttributes {
  if (attributes.extensions.some(([name]) => name === 'traceparent')) return attributes;
  return { ...attributes, extensions: [...attributes.extensions, ['traceparent', traceparent]] };
}

/** All of them, or what is wrong with some. */
function finish(results: OneResult[]): DecodeResult {
  const events: DecodedEvent[] = [];
  const errors: EventError[] = [];
  let tooLarge: string | null = null;
  for (const result of results) {
    if (result.outcome === 'decoded') events.push(result.event);
    else if (result.outcome === 'invalid') errors.push(...result.errors);
    else tooLarge ??= result.detail;
  }
  if (errors.length > 0) return invalid(errors);
  return tooLarge === null ? { outcome: 'decoded', events } : { outcome: 'payload-too-large', detail: tooLarge };
}

function invalid(errors: EventError[]): DecodeRefusal {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const where = first === undefined || first.path === '' ? 'The event or list of events' : first.path;
  const detail = `${where} ${first?.message ?? 'is not valid'}${more}.`;
  return { outcome: 'invalid-event', detail, errors: errors.slice(0, ERRORS_MAX) };
}

const TOO_DEEP = `must not be nested more than ${DATA_DEPTH_MAX} levels deep`;

/** Whether `text` takes more than `bytes` in UTF-8; encodes it only where its length leaves that open. */
function isLongerThan(text: string, bytes: number): boolean {
  if (text.length > bytes) return true;
  return text.length * 3 > bytes && new TextEncoder().encode(text).byteLength > bytes;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
