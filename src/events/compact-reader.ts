import { CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE, scalarEnd, stringEnd } from './json-text.ts';

/** What is made of the parts of a JSON text. */
export interface Maker<Made> {
  /** `name` is a literal, too. */
  object(members: [name: string, made: Made][]): Made;
  array(elements: Made[]): Made;
  string(literal: string): Made;
  /** A number, `true`, `false` or `null`. */
  scalar(literal: string): Made;
}

/** Makes something of valid compact JSON, of a depth that is bounded. */
export function readCompact<Made>(text: string, maker: Maker<Made>): Made {
  return new CompactReader(text, maker).value();
}

class CompactReader<Made> {
  readonly #text: string;
  readonly #maker: Maker<Made>;
  #at = 0;

  constructor(text: string, maker: Maker<Made>) {
    this.#text = text;
    this.#maker = maker;
  }

  value(): Made {
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_OBJECT:
        return this.#object();
      case OPEN_ARRAY:
        return this.#array();
      case QUOTE:
        return this.#maker.string(this.#literal(stringEnd));
      default:
        return this.#maker.scalar(this.#literal(scalarEnd));
    }
  }

  #object(): Made {
    const members: [string, Made][] = [];
    while (this.#goesOn(CLOSE_OBJECT)) {
      const name = this.#literal(stringEnd);
      this.#at += 1;
      members.push([name, this.value()]);
    }
    return this.#maker.object(members);
  }

  #array(): Made {
    const elements: Made[] = [];
    while (this.#goesOn(CLOSE_ARRAY)) elements.push(this.value());
    return this.#maker.array(elements);
  }

  /** Moves behind what opens a list or separates what is in it, or behind its end. */
  #goesOn(close: number): boolean {
    const here = this.#text.charCodeAt(this.#at);
    const isEmpty = here !== COMMA && here !== close && this.#text.charCodeAt(this.#at + 1) === close;
    this.#at += isEmpty ? 2 : 1;
    return !isEmpty && here !== close;
  }

  #literal(endOf: (text: string, at: number) => number): string {
    const start = this.#at;
    this.#at = endOf(this.#text, start);
    return this.#text.slice(start, this.#at);
  }
}
