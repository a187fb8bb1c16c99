import { decimalOf } from './decimal.ts';
import { parseWith } from './parse-json.ts';

/** A number as its digits and a power of ten. */
class Decimal {
  readonly text: string;

  constructor(literal: string) {
    this.text = decimalOf(literal);
  }
}

/**
 * A JSON value as one text for all ways to write it: names in order (by UTF-16 code units, as RFC 8785 has it), strings as the
 * engine writes them, numbers by what they are, though no double may hold them. Takes valid compact JSON of bounded depth.
 */
export function canonical(json: string): string {
  return written(parseWith(json, (literal) => new Decimal(literal)));
}

function written(value: unknown): string {
  if (value instanceof Decimal) return value.text;
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, own]) => `${JSON.stringify(name)}:${written(own)}`).join(',')}}`;
}
