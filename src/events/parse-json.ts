import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  readString,
  scalarEnd,
  stringEnd,
} from './json-text.ts';

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
  return new Parser(text).value();
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_OBJECT:
        return this.#object();
      case OPEN_ARRAY:
        return this.#array();
      case QUOTE:
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #object(): Record<string, unknown> {
    const members: [string, unknown][] = [];
    this.#each(CLOSE_OBJECT, () => {
      const name = this.#string();
      this.#at += 1;
      members.push([name, this.value()]);
    });
    return Object.fromEntries(members);
  }

  #array(): unknown[] {
    const elements: unknown[] = [];
    this.#each(CLOSE_ARRAY, () => elements.push(this.value()));
    return elements;
  }

  /** Takes what stands between the brackets, one after the other. */
  #each(close: number, take: () => void): void {
    this.#at += 1;
    const isEmpty = this.#text.charCodeAt(this.#at) === close;
    if (isEmpty) this.#at += 1;
    for (let goesOn = !isEmpty; goesOn; this.#at += 1) {
      take();
      goesOn = this.#text.charCodeAt(this.#at) === COMMA;
    }
  }

  #string(): string {
    const start = this.#at;
    this.#at = stringEnd(this.#text, start);
    return readString(this.#text.slice(start, this.#at));
  }

  #scalar(): unknown {
    const start = this.#at;
    this.#at = scalarEnd(this.#text, start);
    const literal = this.#text.slice(start, this.#at);
    if (literal === 'null') return null;
    return literal === 'true' || literal === 'false' ? literal === 'true' : Number(literal);
  }
}
