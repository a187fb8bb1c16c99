import { HUB_ATTRIBUTES, KNOWN_NAMES } from './attribute-rules.ts';
import type { JsonForm } from './decode-json.ts';
import { CLOSE_ARRAY, CLOSE_OBJECT, COLON, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './json-text.ts';
import { EXTENSIONS_MAX } from './limits.ts';
import { asWritten } from './new-event.ts';
import { NOT_PLAIN, plainEnd, plainStringEnd } from './plain-json.ts';
import { quickAttributes } from './quick-attributes.ts';
import type { Reading } from './reading.ts';

/** A plain event: its text, and where its data is in that of the request; null: it has none. */
interface PlainEvent {
  /** Its members; the value of `data` is not read. */
  names: string[];
  values: unknown[];
  start: number;
  end: number;
  data: { start: number; end: number } | null;
}

/**
 * Decodes a request whose events are all plain JSON (plain-json.ts) and keep every rule: they are never parsed. False if one is
 * not plain or breaks a rule, or if they are sent in another form: then nothing is decoded, and what is to be said of it is for
 * others to find out.
 *
 * @param text the body
 */
export function decodePlain(reading: Reading, text: string, form: JsonForm): boolean {
  const { body } = reading.input;
  // Where each character is a byte, places in the one are places in the other.
  if (text.length !== body.byteLength) return false;
  const inArray = body[0] === OPEN_ARRAY;
  if (form !== 'short' && inArray !== (form === 'batch')) return false;
  const events = eventsIn(text, body, inArray, reading.limits.requestEvents);
  if (events === null) return false;
  const decoded = events.map(({ names, values }) => quickAttributes(names, values, form === 'short'));
  if (decoded.includes(null)) return false;
  const bytes = new DataView(body.buffer, body.byteOffset, body.byteLength);
  reading.expect(events.length, inArray);
  for (const [index, { names, values, start, end, data }] of events.entries()) {
    const sent = decoded[index];
    if (!sent) continue;
    const attributes = reading.traced(sent);
    const written =
      asWritten(names, values, attributes, text.slice(start, end)) ??
      reading.write(index, attributes, data && { kind: 'json', text: text.slice(data.start, data.end) });
    reading.take(index, attributes, written, { bytes, start, end });
  }
  return true;
}

/** The events of a plain body; null if it is none, or there are more than there may be. */
function eventsIn(text: string, bytes: Uint8Array, inArray: boolean, max: number): PlainEvent[] | null {
  const events: PlainEvent[] = [];
  let names: string[] = [];
  for (let at = inArray ? 1 : 0; events.length < max; at++) {
    const event = eventAt(text, bytes, at, names);
    if (event === null) return null;
    events.push(event);
    names = event.names;
    at = event.end;
    if (inArray && bytes[at] === COMMA) continue;
    const end = inArray && bytes[at] === CLOSE_ARRAY ? at + 1 : at;
    return end === bytes.length && (!inArray || end > at) ? events : null;
  }
  return null;
}

/**
 * The plain event that begins there. Most have the members of the one before, `likely`, in the same order: to see that is a
 * tenth of the work of reading their names.
 */
function eventAt(text: string, bytes: Uint8Array, start: number, likely: string[]): PlainEvent | null {
  if (bytes[start] !== OPEN_OBJECT) return null;
  const values: unknown[] = [];
  /** Null: the likely ones. */
  let names: string[] | null = null;
  let data: PlainEvent['data'] = null;
  for (let at = start + 1; values.length < MEMBERS_MAX; at++) {
    let name = names === null ? (likely[values.length] ?? '') : '';
    if (name === '' || !isNameAt(bytes, at, name)) {
      name = nameAt(text, bytes, at);
      names ??= likely.slice(0, values.length);
      if (name === '' || names.includes(name)) return null;
      names.push(name);
    }
    const value = at + name.length + 3;
    if (bytes[value - 1] !== COLON) return null;
    const isData = name === 'data';
    at = isData ? plainEnd(bytes, value) : plainStringEnd(bytes, value);
    if (at === NOT_PLAIN) return null;
    values.push(isData ? undefined : text.slice(value + 1, at - 1));
    if (isData) data = { start: value, end: at };
    if (bytes[at] === CLOSE_OBJECT) {
      names ??= values.length === likely.length ? likely : likely.slice(0, values.length);
      return { names, values, start, end: at + 1, data };
    }
    if (bytes[at] !== COMMA) return null;
  }
  return null;
}

function isNameAt(bytes: Uint8Array, at: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    if (bytes[at + 1 + index] !== name.charCodeAt(index)) return false;
  }
  return bytes[at] === QUOTE && bytes[at + 1 + name.length] === QUOTE;
}

/** An event that keeps the rules has no more members. */
const MEMBERS_MAX = KNOWN_NAMES.size + HUB_ATTRIBUTES.size + EXTENSIONS_MAX;

/** Names as the code has them, which the engine compares at a glance. */
const KNOWN: ReadonlyMap<string, string> = new Map([...KNOWN_NAMES].map((name) => [name, name]));

/** A member's name, if it is a plain one, else the empty string. One of digits would have another place among the members than in the text. */
function nameAt(text: string, bytes: Uint8Array, at: number): string {
  const end = plainStringEnd(bytes, at);
  const name = end === NOT_PLAIN ? '' : text.slice(at + 1, end - 1);
  return KNOWN.get(name) ?? (/^[a-z]/.test(name) ? name : '');
}
