/**
 * JSON kept as text. An event's data is stored as the producer wrote it, less white space, so that no number in it is
 * rounded on its way through the hub; these functions find their way in such a text without parsing it. None recurses.
 */

const TAB = 9;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
export const QUOTE = 34;
export const COMMA = 44;
const MINUS = 45;
const ZERO = 48;
const NINE = 57;
export const COLON = 58;
export const BACKSLASH = 92;
export const OPEN_ARRAY = 91;
export const CLOSE_ARRAY = 93;
export const OPEN_OBJECT = 123;
export const CLOSE_OBJECT = 125;

export type CompactResult =
  | { outcome: 'compact'; text: string }
  /** `path`: which element of the outermost array it is in, `[2]`, or the name of the member of the outermost object. */
  | { outcome: 'too-deep'; path: string };

/**
 * The text without white space between tokens, on one line. Takes any text, JSON or not; what it gives for a text that is
 * not JSON means nothing, so parse the original first or after. Refuses more than `depthMax` levels.
 */
export function compact(text: string, depthMax: number): CompactResult {
  const parts: string[] = [];
  let kept = 0;
  let depth = 0;
  let index = 0;
  let inArray = false;
  /** Where the name of the outermost object's last member begins. */
  let name = -1;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      if (depth === 1 && name === -1) name = at;
      at = stringEnd(text, at);
      continue;
    }
    if (isSpace(code)) {
      if (at > kept) parts.push(text.slice(kept, at));
      kept = at + 1;
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      depth++;
      if (depth === 1) inArray = code === OPEN_ARRAY;
      if (depth > depthMax) return { outcome: 'too-deep', path: inArray ? `[${index}]` : nameAt(text, name) };
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
      depth--;
    } else if (code === COMMA && depth === 1) {
      index++;
      name = -1;
    }
    at++;
  }
  if (parts.length === 0) return { outcome: 'compact', text: kept === 0 ? text : text.slice(kept) };
  parts.push(text.slice(kept));
  return { outcome: 'compact', text: parts.join('') };
}

/** The name that begins there, as it is written. */
function nameAt(text: string, at: number): string {
  return at === -1 ? '' : text.slice(at + 1, stringEnd(text, at) - 1);
}

/** A member of an object: its name, and its value as text. */
export interface Member {
  name: string;
  text: string;
}

/** The members of an object in their order, repeated names too. `text` is valid compact JSON. */
export function* members(text: string): Generator<Member, void, undefined> {
  let at = 1;
  while (at < text.length - 1) {
    const nameEnd = stringEnd(text, at);
    const end = valueEnd(text, nameEnd + 1);
    yield { name: readString(text.slice(at, nameEnd)), text: text.slice(nameEnd + 1, end) };
    at = end + 1;
  }
}

/** The value of a JSON string literal. */
export function readString(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  const value: string = JSON.parse(literal);
  return value;
}

export interface Inspection {
  /** Members of all objects in the text, repeated names counted each time. */
  members: number;
  /** A number too large for a double. */
  overflow: string | null;
}

/** What a parser would lose or drop in silence. `text` is valid compact JSON. */
export function inspect(text: string): Inspection {
  const found: Inspection = { members: 0, overflow: null };
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(text, at);
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = scalarEnd(text, at);
      if (!Number.isFinite(Number(text.slice(at, end)))) found.overflow ??= text.slice(at, end);
      at = end;
    } else {
      if (code === COLON) found.members++;
      at++;
    }
  }
  return found;
}

/** Where the value that begins at `at` ends. `text` is valid compact JSON. */
export function valueEnd(text: string, at: number): number {
  let depth = 0;
  let here = at;
  do {
    const code = text.charCodeAt(here);
    if (code === QUOTE) {
      here = stringEnd(text, here);
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      depth++;
      here++;
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
      depth--;
      here++;
    } else if (code === COMMA || code === COLON) {
      here++;
    } else {
      here = scalarEnd(text, here);
    }
  } while (depth > 0);
  return here;
}

/** Where the string whose opening quote is at `at` ends: after its closing quote, or at the end of the text. */
export function stringEnd(text: string, at: number): number {
  let quote = at;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

/** Where the number, `true`, `false` or `null` at `at` ends. */
export function scalarEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length) {
    const code = text.charCodeAt(end);
    if (code === COMMA || code === CLOSE_ARRAY || code === CLOSE_OBJECT) break;
    end++;
  }
  return end;
}

function isSpace(code: number): boolean {
  return code === SPACE || code === LINE_FEED || code === CARRIAGE_RETURN || code === TAB;
}
