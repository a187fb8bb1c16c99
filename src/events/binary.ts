import { HUB_ATTRIBUTES, nameProblem } from './attribute-rules.ts';
import type { EventError } from './event-error.ts';

/** CloudEvents HTTP binding 1.0.2, section 3.1: attributes in `ce-` headers. */

const PREFIX = 'ce-';

/** Names that are no header of their own in binary mode. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['data', 'is the body in binary mode'],
  ['data_base64', 'is the body in binary mode'],
  ['datacontenttype', 'is the content-type header in binary mode'],
]);

/** Where an attribute stands in binary mode, for error paths. */
export function headerOf(attribute: string): string {
  return attribute === 'datacontenttype' ? 'content-type' : attribute === '' ? '' : `${PREFIX}${attribute}`;
}

export interface HeaderAttributes {
  attributes: Record<string, unknown>;
  errors: EventError[];
}

/** The attributes in the headers, decoded. Names are taken in any case, as HTTP has it. */
export function attributesOf(headers: Iterable<readonly [string, string]>): HeaderAttributes {
  const attributes: Record<string, unknown> = Object.create(null);
  const errors: EventError[] = [];
  for (const [header, value] of headers) {
    const path = header.toLowerCase();
    if (!path.startsWith(PREFIX)) continue;
    const name = path.slice(PREFIX.length);
    if (HUB_ATTRIBUTES.has(name)) continue;
    const problem = ELSEWHERE.get(name) ?? nameProblem(name);
    const decoded = problem === null ? decodeValue(value) : null;
    if (problem !== null) errors.push({ path, message: problem });
    else if (name in attributes) errors.push({ path, message: 'is there twice' });
    else if (decoded === null) errors.push({ path, message: VALUE_RULE });
    else attributes[name] = decoded;
  }
  return { attributes, errors };
}

const VALUE_RULE = 'must be printable ASCII in which "%" and two hex digits stand for a byte of UTF-8';

/** Section 3.1.3.2: first the quotes go, then one round of percent-decoding. Null if it is not valid. */
function decodeValue(value: string): string | null {
  const trimmed = value.trim();
  if (!/^[\u0020-\u007e]*$/.test(trimmed)) return null;
  const unquoted = /^"(?:[^"\\]|\\.)*"$/.test(trimmed) ? trimmed.slice(1, -1).replace(/\\(.)/g, '$1') : trimmed;
  if (!unquoted.includes('%')) return unquoted;
  try {
    // Refuses a lone "%", bytes that are no UTF-8, and overlong forms.
    return decodeURIComponent(unquoted);
  } catch {
    return null;
  }
}

/** Runs of what a header's value can't have: space, quote, percent, and all that is not printable ASCII. */
const TO_ENCODE = /[^\u0021\u0023\u0024\u0026-\u007e]+/g;

/** Section 3.1.3.2: a header's value for any string. Half a surrogate pair, which has no UTF-8, becomes U+FFFD. */
export function encodeValue(value: string): string {
  return value.replace(TO_ENCODE, (run) => encodeURIComponent(run.toWellFormed()));
}
