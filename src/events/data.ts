import { inspect } from './json-text.ts';

/** An event's data. JSON stays as it was sent, less white space; text is a JSON string; anything else is base64. */
export interface EventData {
  kind: 'json' | 'base64';
  text: string;
}

export type DataResult = { ok: true; data: EventData } | { ok: false; message: string };

/**
 * Data from compact JSON and what it parses to. Refuses what two readers would read differently: a name twice in one
 * object, and a number beyond the range of a double. Long numbers are kept as they are written.
 */
export function jsonData(text: string, value: unknown): DataResult {
  const { members, overflow } = inspect(text);
  if (overflow !== null) {
    const shown = overflow.length > 40 ? `${overflow.slice(0, 40)}…` : overflow;
    return { ok: false, message: `has a number too large for JSON readers (${shown}); send it as a string` };
  }
  if (members !== countNames(value)) return { ok: false, message: 'has an object in it with the same name twice' };
  return { ok: true, data: { kind: 'json', text } };
}

export function textData(text: string): EventData {
  return { kind: 'json', text: JSON.stringify(text) };
}

export function bytesData(bytes: Uint8Array): EventData {
  return { kind: 'base64', text: toBase64(bytes) };
}

/** Base64 with the standard alphabet and padding (RFC 4648, section 4). */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** The one way to write the bytes of what {@link isBase64} takes: the bits behind the last byte are zero (RFC 4648, section 3.5). */
export function canonicalBase64(text: string): string {
  // Only the last four characters can be written in another way.
  const last = Math.max(0, text.length - 4);
  return text.slice(0, last) + btoa(atob(text.slice(last)));
}

/** The bytes of what {@link isBase64} takes. */
export function base64Bytes(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Characters made of bytes at a time: well below what a call takes as arguments. */
const CHUNK_BYTES = 8_192;

function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES)));
  }
  return btoa(parts.join(''));
}

/** Names in all objects of a parsed value. Recursion is safe: the depth of data is bounded before it is parsed. */
function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce((sum: number, element) => sum + countNames(element), 0);
  const children = Object.values(value);
  return children.reduce((sum: number, child) => sum + countNames(child), children.length);
}
