import { type Maker, readCompact } from './compact-reader.ts';
import { decimalOf } from './decimal.ts';
import { readString } from './json-text.ts';

/**
 * A JSON value as one text for all ways to write it, as RFC 8785 has it: names in order by UTF-16 code units, strings and
 * numbers as the engine writes them; but a number that a double does not hold as its digits and a power of ten. Takes valid
 * compact JSON of bounded depth, and makes no values of it.
 */
export function canonical(json: string): string {
  return readCompact(json, REWRITTEN);
}

const REWRITTEN: Maker<string> = {
  object(members) {
    const named = members.map(([name, made]) => ({ name: readString(name), text: `${writtenString(name)}:${made}` }));
    if (named.length > 1) named.sort((a, b) => (a.name < b.name ? -1 : 1));
    return `{${named.map(({ text }) => text).join(',')}}`;
  },
  array: (elements) => `[${elements.join(',')}]`,
  string: writtenString,
  scalar: (literal) =>
    literal === 'true' || literal === 'false' || literal === 'null' ? literal : writtenNumber(literal),
};

function writtenString(literal: string): string {
  return literal.includes('\\') ? JSON.stringify(readString(literal)) : literal;
}

/** So many characters without an exponent are always held by a double. */
const HELD_CHARACTERS = 15;

function writtenNumber(literal: string): string {
  const written = String(Number(literal));
  if (literal.length <= HELD_CHARACTERS && !/[eE]/.test(literal)) return written;
  const decimal = decimalOf(literal);
  return decimalOf(written) === decimal ? written : decimal;
}
