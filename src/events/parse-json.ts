import { type Maker, readCompact } from './compact-reader.ts';
import { COLON, readString, stringEnd } from './json-text.ts';

/*
 * JSON whose names are read as they are. V8's own parser compares a name with the one that it saw last in that place, and does so
 * by the characters as they are written: `"\u00e9"` passes for a name that is a backslash, if another text, whoever sent it, had
 * that there before. Only names with escapes in them can be taken for others, so that only texts with such names are read here.
 */

/** The value of valid compact JSON, of a depth that is bounded. */
export function parseCompact(text: string): unknown {
  return hasEscapedName(text) ? parseEscaped(text) : JSON.parse(text);
}

/** Whether a name in valid compact JSON is written with an escape. */
export function hasEscapedName(text: string): boolean {
  let backslash = text.indexOf('\\');
  let at = backslash === -1 ? -1 : text.indexOf('"');
  while (at !== -1) {
    const end = stringEnd(text, at);
    if (backslash < at) backslash = text.indexOf('\\', at);
    if (backslash === -1) return false;
    if (backslash < end && text.charCodeAt(end) === COLON) return true;
    at = text.indexOf('"', end);
  }
  return false;
}

/** The same of any such text, at ten times the cost. */
export function parseEscaped(text: string): unknown {
  return readCompact(text, VALUES);
}

const VALUES: Maker<unknown> = {
  object: (members) => Object.fromEntries(members.map(([name, value]) => [readString(name), value])),
  array: (elements) => elements,
  string: readString,
  scalar(literal) {
    if (literal === 'null') return null;
    return literal === 'true' || literal === 'false' ? literal === 'true' : Number(literal);
  },
};
