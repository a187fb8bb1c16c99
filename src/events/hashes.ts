import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import canonicalize from 'canonicalize';
import type { EventData } from './data.ts';

/** Bytes of SHA-256 kept: enough that no two of a log's events meet by chance. */
const HASH_BYTES = 16;

/** Extensions that differ between two sendings of the same event. */
const TRACE_EXTENSIONS = new Set(['traceparent', 'tracestate']);

const encoder = new TextEncoder();

/** What counts as an event's content when the same source and id come again. */
export interface EventContent {
  type: string;
  subject: string | null;
  partitionkey: string | null;
  dataschema: string | null;
  datacontenttype: string | null;
  /** As sent, names in any order, `partitionkey` not among them. */
  extensions: readonly (readonly [name: string, value: string | number | boolean])[];
  data: EventData | null;
}

/** 32 hex digits over source and id: which event this is. */
export function identityHash(source: string, id: string): string {
  return hash(JSON.stringify([source, id]));
}

/**
 * 32 hex digits over an event's content. `sentTime` is the `time` attribute if the producer sent one, else null: a time the
 * hub filled in is no content. The order of keys in data and of extensions doesn't count, nor whether an extension came as
 * a number or as its text in a header.
 */
export function contentHash(event: EventContent, sentTime: string | null): string {
  const extensions = event.extensions
    .filter(([name]) => !TRACE_EXTENSIONS.has(name))
    .map(([name, value]) => [name, String(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const attributes = JSON.stringify([
    event.type,
    event.subject,
    event.partitionkey,
    event.dataschema,
    event.datacontenttype,
    sentTime,
    extensions,
    event.data?.kind ?? null,
  ]);
  // JSON.stringify writes no line break, so the first one ends the attributes.
  return hash(`${attributes}\n${event.data === null ? '' : canonicalData(event.data)}`);
}

/** RFC 8785, and behind it the numbers which that would round, so that two of them never pass as one. */
function canonicalData(data: EventData): string {
  if (data.kind === 'base64') return data.text;
  const value = mayHaveLoneSurrogate(data.text) ? JSON.parse(spellOutLoneSurrogates(data.text)) : data.value;
  return `${canonicalize(value)}\n${data.inexact.toSorted().join(' ')}`;
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

function hash(text: string): string {
  return bytesToHex(sha256(encoder.encode(text)).subarray(0, HASH_BYTES));
}
