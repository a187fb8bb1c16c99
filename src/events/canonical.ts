import { decimalOf } from './decimal.ts';
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  readString,
  scalarEnd,
  stringEnd,
} from './json-text.ts';

/**
 * A JSON value as one text for all ways to write it, as RFC 8785 has it: names in order by UTF-16 code units, strings and
 * numbers as the engine writes them; but a number that a double does not hold as its digits and a power of ten. Takes valid
 * compact JSON of bounded depth, and makes no values of it.
 */
export function canonical(json: string): string {
  return new Rewriting(json).value();
}

class Rewriting {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): string {
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_OBJECT:
        return this.#object();
      case OPEN_ARRAY:
        return this.#array();
      case QUOTE:
        return writtenString(this.#string());
      default:
        return this.#scalar();
    }
  }

  #object(): string {
    const members: [name: string, member: string][] = [];
    while (this.#goesOn(CLOSE_OBJECT)) {
      const literal = this.#string();
      this.#at += 1;
      members.push([readString(literal), `${writtenString(literal)}:${this.value()}`]);
    }
    if (members.length > 1) members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([, member]) => member).join(',')}}`;
  }

  #array(): string {
    const elements: string[] = [];
    while (this.#goesOn(CLOSE_ARRAY)) elements.push(this.value());
    return `[${elements.join(',')}]`;
  }

  /** Moves behind what opens a list or separates what is in it, or behind its end. */
  #goesOn(close: number): boolean {
    const here = this.#text.charCodeAt(this.#at);
    const isEmpty = here !== COMMA && here !== close && this.#text.charCodeAt(this.#at + 1) === close;
    this.#at += isEmpty ? 2 : 1;
    return !isEmpty && here !== close;
  }

  /** The literal of a string. */
  #string(): string {
    const start = this.#at;
    this.#at = stringEnd(this.#text, start);
    return this.#text.slice(start, this.#at);
  }

  #scalar(): string {
    const start = this.#at;
    this.#at = scalarEnd(this.#text, start);
    const literal = this.#text.slice(start, this.#at);
    return literal === 'true' || literal === 'false' || literal === 'null' ? literal : writtenNumber(literal);
  }
}

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
