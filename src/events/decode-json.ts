import { HUB_ATTRIBUTES, nameProblem } from './attribute-rules.ts';
import { checkAttributes } from './cloudevent.ts';
import { canonicalBase64, type EventData, jsonData } from './data.ts';
import type { DecodeRefusal, DecodeResult } from './decode.ts';
import { decodePlain } from './decode-plain.ts';
import type { EventError } from './event-error.ts';
import { bytesOf } from './fingerprint.ts';
import { members, valueEnd } from './json-text.ts';
import { DATA_DEPTH_MAX, type PublishLimits } from './limits.ts';
import { asWritten } from './new-event.ts';
import { quickAttributes } from './quick-attributes.ts';
import { decodeUtf8, isDeeper, isWithin, parseUnbounded, readJson } from './read-json.ts';
import { invalid, type Reading, TOO_DEEP } from './reading.ts';

/** Events in JSON: structured mode, batch and the short form. */

export const BATCH = 'application/cloudevents-batch+json';

export type JsonForm = 'structured' | 'batch' | 'short';

/** Around data there is an event, and around that an array. */
const REQUEST_DEPTH_MAX = DATA_DEPTH_MAX + 2;

/**
 * Reads the body of a request in one of these forms. Most are plain (decode-plain.ts), and most others are as the engine would
 * write them and keep every rule: they are parsed at once, and each of their events shows by itself that it has no white space
 * in it and is not deep. From the first that does not, the text is gone through before anything else.
 */
export function decodeJson(reading: Reading, form: JsonForm): DecodeResult {
  const short = form === 'short';
  const cursor: Cursor = { text: '', at: 0 };
  let done = 0;

  const text = decodeUtf8(reading.input.body, false);
  if (text !== null && decodePlain(reading, text, form)) return reading.result();
  const sent = text === null ? null : parseUnbounded(text);
  const quick = sent === null ? null : listOf(sent.value, form, reading.limits);
  if (text !== null && quick?.outcome === 'list') {
    begin(reading, cursor, text, quick);
    done = decodeWhileFaithful(reading, cursor, quick.events, short);
    if (done === quick.events.length) return reading.result();
  }

  const read = readJson(text, REQUEST_DEPTH_MAX, sent);
  if (read.outcome === 'too-deep') return invalid([{ path: read.path, message: TOO_DEEP }]);
  if (read.outcome === 'invalid-json') return read;
  const list = listOf(read.value, form, reading.limits);
  if (list.outcome !== 'list') return list;
  // What was decoded has no white space in it, so that the cursor is where it was in the compact text too.
  if (done === 0) begin(reading, cursor, read.text, list);
  else cursor.text = read.text;
  for (let index = done; index < list.events.length; index++) {
    decodeNext(reading, index, list.inArray ? `[${index}]` : '', cursor, list.events[index], short);
    cursor.at++;
  }
  return reading.result();
}

interface SentList {
  outcome: 'list';
  events: readonly unknown[];
  /** They were sent as an array, rather than one by itself. */
  inArray: boolean;
}

/** What is to be events in a parsed body, or why it is not what the form takes. */
function listOf(value: unknown, form: JsonForm, { requestEvents }: PublishLimits): SentList | DecodeRefusal {
  if (!Array.isArray(value)) {
    if (form === 'batch') return invalid([{ path: '', message: 'must be an array of events' }]);
    return { outcome: 'list', events: [value], inArray: false };
  }
  if (form === 'structured') {
    return invalid([{ path: '', message: `must be one event; an array of events is ${BATCH}` }]);
  }
  if (value.length === 0) return invalid([{ path: '', message: 'must have at least one event in it' }]);
  if (value.length > requestEvents) {
    return {
      outcome: 'too-many-events',
      detail: `There are ${value.length} events; a request has at most ${requestEvents}.`,
    };
  }
  return { outcome: 'list', events: value, inArray: true };
}

/** A place in a text. */
interface Cursor {
  text: string;
  at: number;
}

function begin(reading: Reading, cursor: Cursor, text: string, { events, inArray }: SentList): void {
  reading.expect(events.length, inArray);
  cursor.text = text;
  cursor.at = inArray ? 1 : 0;
}

/**
 * Decodes events up to the first that is not faithful, and says how many those were. The text may have white space in it
 * and any depth. Leaves the cursor where the next event would begin without white space between: if there is some, that one
 * is not found there.
 */
function decodeWhileFaithful(reading: Reading, cursor: Cursor, events: readonly unknown[], short: boolean): number {
  let index = 0;
  while (index < events.length && decodeFaithful(reading, index, cursor, events[index], short)) {
    cursor.at++;
    index++;
  }
  return index;
}

/** Decodes the value at the cursor in compact text, which is `value` parsed, and moves the cursor behind it. */
function decodeNext(reading: Reading, index: number, at: string, cursor: Cursor, value: unknown, short: boolean): void {
  if (decodeFaithful(reading, index, cursor, value, short)) return;
  const end = valueEnd(cursor.text, cursor.at);
  const text = cursor.text.slice(cursor.at, end);
  cursor.at = end;
  decodeObject(reading, index, at, text, value, short);
}

/**
 * Decodes an event that keeps every rule and whose text comes out again when its value is written: then parsing it lost
 * nothing, no name is in it twice, no number was rounded and there is no white space in it. Most are. False where that is
 * not so, which says nothing of what may be wrong: {@link decodeObject} finds out. Moves the cursor behind the event.
 */
function decodeFaithful(reading: Reading, index: number, cursor: Cursor, value: unknown, short: boolean): boolean {
  if (!isObject(value)) return false;
  const [names, values] = [Object.keys(value), Object.values(value)];
  const sent = quickAttributes(names, values, short);
  if (sent === null) return false;
  const { data } = value;
  // Before anything is written: the engine does that by recursion.
  if (!isWithin(data, DATA_DEPTH_MAX)) return false;
  const json = JSON.stringify(value);
  const end = cursor.at + json.length;
  // Of all ways to compare them this one is by far the fastest.
  if (cursor.text.slice(cursor.at, end) !== json) return false;
  cursor.at = end;
  const attributes = reading.traced(sent);
  const written =
    asWritten(names, values, attributes, json) ??
    reading.write(index, attributes, data === undefined ? null : { kind: 'json', text: JSON.stringify(data) });
  reading.take(index, attributes, written, bytesOf(json));
  return true;
}

/** One JSON object. `text` is compact; `at` says which event it is, in paths. */
function decodeObject(reading: Reading, index: number, at: string, text: string, value: unknown, short: boolean): void {
  if (!isObject(value)) {
    reading.refuse([{ path: at, message: 'must be a JSON object' }]);
    return;
  }
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
  if (errors.length > 0 || !checked.ok) {
    reading.refuse(errors);
    return;
  }
  if (typeof sent.data_base64 === 'string') data = { kind: 'base64', text: canonicalBase64(sent.data_base64) };
  reading.add(index, checked.attributes, data, bytesOf(text));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
