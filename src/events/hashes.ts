import type { SentAttributes } from './attribute-rules.ts';
import { canonical } from './canonical.ts';
import type { EventData } from './data.ts';
import { sha256Half } from './sha256.ts';

/** Extensions that differ between two sendings of the same event. */
const TRACE_EXTENSIONS = new Set(['traceparent', 'tracestate']);

/** 32 hex digits over source and id: which event this is. */
export function identityHash(source: string, id: string): string {
  return sha256Half(JSON.stringify([source, id]));
}

/**
 * 32 hex digits over an event's content: what counts when the same source and id come again. `attributes` are those that
 * were sent: a time the hub filled in is no content. The order of keys in data and of extensions doesn't count, nor whether
 * an extension came as a number or as its text in a header.
 */
export function contentHash(attributes: SentAttributes, data: EventData | null): string {
  const { type, subject, partitionkey, dataschema, datacontenttype, time } = attributes;
  // Sorted by name already.
  const extensions = attributes.extensions
    .filter(([name]) => !TRACE_EXTENSIONS.has(name))
    .map(([name, value]) => [name, String(value)] as const);
  const kind = data?.kind ?? null;
  const head = JSON.stringify([type, subject, partitionkey, dataschema, datacontenttype, time, extensions, kind]);
  // JSON.stringify writes no line break, so the first one ends the attributes.
  return sha256Half(`${head}\n${data === null ? '' : canonicalData(data)}`);
}

/** RFC 8785, and behind it the numbers which that would round, so that two of them never pass as one. */
function canonicalData(data: EventData): string {
  if (data.kind === 'base64') return data.text;
  const value = mayHaveLoneSurrogate(data.text) ? JSON.parse(spellOutLoneSurrogates(data.text)) : data.value;
  return `${canonical(value)}\n${data.inexact.toSorted().join(' ')}`;
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** Half a pair can only be written as an escape: the body was valid UTF-8. */
function mayHaveLoneSurrogate(json: string): boolean {
  return SURROGATE_ESCAPE.test(json);
}

const PAIR_OR_ESCAPE =
  /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)/g;

/** Half a surrogate pair as the six characters of its escape, since RFC 8785 knows no text with halves in it. */
function spellOutLoneSurrogates(json: string): string {
  return json.replace(PAIR_OR_ESCAPE, (found) => (/^\\u[dD].{3}$/.test(found) ? `\\${found}` : found));
}
