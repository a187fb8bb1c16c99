/** What JSON is written to. */
export interface JsonSink {
  /** Appends JSON. */
  add(text: string): void;
  /** Appends the text as a string of JSON. */
  addString(text: string): void;
}

/** A number that a double does not hold: its digits and a power of ten. */
export class LongNumber {
  readonly decimal: string;

  constructor(decimal: string) {
    this.decimal = decimal;
  }
}

/**
 * Writes a parsed value as RFC 8785 has it: as the engine writes JSON, with the names of each object in order. It is
 * not deep. What the RFC has no words for is written out, each in its place: long numbers, and half surrogate pairs as their
 * escapes.
 */
export function writeCanonical(value: unknown, to: JsonSink): void {
  if (typeof value === 'string') to.addString(value);
  else if (Array.isArray(value)) writeElements(value, to);
  else if (value instanceof LongNumber) to.add(value.decimal);
  else if (isObject(value)) writeMembers(value, to);
  else to.add(String(value));
}

function writeElements(elements: readonly unknown[], to: JsonSink): void {
  let before = '[';
  for (const element of elements) {
    to.add(before);
    writeCanonical(element, to);
    before = ',';
  }
  to.add(before === '[' ? '[]' : ']');
}

function writeMembers(object: Record<string, unknown>, to: JsonSink): void {
  let before = '{';
  for (const name of inOrder(Object.keys(object))) {
    to.add(before);
    to.addString(name);
    to.add(':');
    writeCanonical(object[name], to);
    before = ',';
  }
  to.add(before === '{' ? '{}' : '}');
}

/** Up to so many names are faster put in order one by one than by a call of `sort`. */
const FEW_NAMES = 16;

/** Sorts the names by their UTF-16 code units, which is how both RFC 8785 and the engine compare them. */
function inOrder(names: string[]): string[] {
  if (names.length > FEW_NAMES) return names.sort();
  for (let next = 1; next < names.length; next++) {
    const name = names[next] ?? '';
    let at = next;
    for (; at > 0; at--) {
      const other = names[at - 1] ?? '';
      if (other <= name) break;
      names[at] = other;
    }
    names[at] = name;
  }
  return names;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
