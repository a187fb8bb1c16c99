import { BACKSLASH, CLOSE_ARRAY, CLOSE_OBJECT, COLON, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './json-text.ts';

/**
 * *Plain* JSON is what machines mostly write: printable ASCII, no escapes, no white space between tokens, no name twice in
 * one object, and no number that a reader might round or find too large. Of a text that is plain nothing is lost by keeping it
 * as it is, so that it is enough to walk over its bytes once: no value is made of it. Whatever is not plain may still be JSON.
 */

/** Levels of a plain value, at most. */
const DEPTH_MAX = 32;
/** Names in one object, at most: each is compared with all before it. */
const NAMES_MAX = 32;
/** Characters of a number: so many digits are held by every reader. */
const NUMBER_CHARACTERS_MAX = 15;

const SPACE = 32;
const TILDE = 126;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const NINE = 57;

const LITERALS = ['true', 'false', 'null'].map((text) => new TextEncoder().encode(text));

/** Of each byte whether it may be in a plain string: 1 or 0. One look is faster than three comparisons. */
const IN_STRING = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= SPACE && byte <= TILDE && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

/** Not plain, or not JSON. */
export const NOT_PLAIN = -1;

/** Where the plain value that begins at `at` ends, or {@link NOT_PLAIN}. */
export function plainEnd(bytes: Uint8Array, at: number): number {
  return valueEnd(bytes, at, DEPTH_MAX);
}

/** The same of a string: behind its closing quote. */
export function plainStringEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) return NOT_PLAIN;
  let here = at + 1;
  while (here < bytes.length && IN_STRING[bytes[here] ?? 0] === 1) here++;
  return bytes[here] === QUOTE ? here + 1 : NOT_PLAIN;
}

function valueEnd(bytes: Uint8Array, at: number, depth: number): number {
  switch (bytes[at]) {
    case QUOTE:
      return plainStringEnd(bytes, at);
    case OPEN_OBJECT:
      return depth === 0 ? NOT_PLAIN : objectEnd(bytes, at, depth - 1);
    case OPEN_ARRAY:
      return depth === 0 ? NOT_PLAIN : arrayEnd(bytes, at, depth - 1);
    default:
      return scalarEnd(bytes, at);
  }
}

function arrayEnd(bytes: Uint8Array, at: number, depth: number): number {
  if (bytes[at + 1] === CLOSE_ARRAY) return at + 2;
  for (let here = at + 1; ; here++) {
    here = valueEnd(bytes, here, depth);
    if (here === NOT_PLAIN) return NOT_PLAIN;
    if (bytes[here] === CLOSE_ARRAY) return here + 1;
    if (bytes[here] !== COMMA) return NOT_PLAIN;
  }
}

function objectEnd(bytes: Uint8Array, at: number, depth: number): number {
  if (bytes[at + 1] === CLOSE_OBJECT) return at + 2;
  const names: number[] = [];
  for (let here = at + 1; ; here++) {
    const name = here;
    here = plainStringEnd(bytes, name);
    if (here === NOT_PLAIN || bytes[here] !== COLON) return NOT_PLAIN;
    if (names.length === NAMES_MAX) return NOT_PLAIN;
    for (const other of names) if (isSameString(bytes, other, name)) return NOT_PLAIN;
    names.push(name);
    here = valueEnd(bytes, here + 1, depth);
    if (here === NOT_PLAIN) return NOT_PLAIN;
    if (bytes[here] === CLOSE_OBJECT) return here + 1;
    if (bytes[here] !== COMMA) return NOT_PLAIN;
  }
}

/** Whether two plain strings are the same. */
function isSameString(bytes: Uint8Array, one: number, other: number): boolean {
  for (let index = 1; bytes[one + index] === bytes[other + index]; index++) {
    if (bytes[one + index] === QUOTE) return true;
  }
  return false;
}

function scalarEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first === MINUS || isDigit(first)) return numberEnd(bytes, at);
  for (const literal of LITERALS) {
    if (literal.every((byte, index) => bytes[at + index] === byte)) return at + literal.length;
  }
  return NOT_PLAIN;
}

/** A number without an exponent. */
function numberEnd(bytes: Uint8Array, at: number): number {
  const whole = bytes[at] === MINUS ? at + 1 : at;
  let end = digitsEnd(bytes, whole);
  if (end === whole || (bytes[whole] === ZERO && end > whole + 1)) return NOT_PLAIN;
  if (bytes[end] === POINT) {
    const fraction = end + 1;
    end = digitsEnd(bytes, fraction);
    if (end === fraction) return NOT_PLAIN;
  }
  return end - at > NUMBER_CHARACTERS_MAX ? NOT_PLAIN : end;
}

function digitsEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (isDigit(bytes[end] ?? 0)) end++;
  return end;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}
