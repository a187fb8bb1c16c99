import { EXTENSION_CHARACTERS_MAX, EXTENSION_NAME_CHARACTERS_MAX } from './limits.ts';
import { parseMediaType } from './media-type.ts';
import { hasForbiddenCharacter } from './text.ts';

/** The rules of CloudEvents 1.0.2 for single attributes, and what is left of an event once they are checked. */

/** The event with which the hub ends a stream of server-sent events. No event that is published may have this type. */
export const TAIL_CLOSED = 'millrace.closed';

export type ExtensionValue = string | number | boolean;

/** An event's attributes after checking; `extensions` sorted by name. */
export interface SentAttributes {
  id: string | null;
  source: string | null;
  type: string;
  subject: string | null;
  time: string | null;
  datacontenttype: string | null;
  dataschema: string | null;
  partitionkey: string | null;
  extensions: readonly (readonly [name: string, value: ExtensionValue])[];
}

/** What the hub adds to an event. Sent back by a producer they are ignored. */
export const HUB_ATTRIBUTES: ReadonlySet<string> = new Set(['topic', 'sequence', 'recordedtime']);

/** The attributes with a meaning of their own, in the order in which the hub writes them; behind them extensions, then data. */
export const WRITTEN_ORDER: readonly string[] = [
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'partitionkey',
];

/** Every attribute with a meaning of its own, and the two members that hold data. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([...WRITTEN_ORDER, 'data', 'data_base64']);

export const FORBIDDEN_CHARACTER = 'must not have control characters, unpaired surrogates or noncharacters in it';

/** What is wrong with a member's name in an event, or null. Names of extensions are lower-case letters and digits. */
export function nameProblem(name: string): string | null {
  if (KNOWN_NAMES.has(name)) return null;
  if (!/^[a-z0-9]+$/.test(name))
    return 'is not an attribute name: CloudEvents allows lower-case letters and digits only';
  return name.length > EXTENSION_NAME_CHARACTERS_MAX
    ? `is too long a name: at most ${EXTENSION_NAME_CHARACTERS_MAX} characters`
    : null;
}

/** White space and what RFC 3986 excludes; letters beyond ASCII pass, as they are common and harmless. */
const NOT_IN_URI = /[\s<>"{}|\\^`]/;

export function isUriReference(text: string): boolean {
  return !NOT_IN_URI.test(text);
}

export function hasScheme(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
}

export function isMediaType(text: string): boolean {
  return text === 'application/json' || parseMediaType(text) !== null;
}

export function isExtensionValue(value: unknown): value is ExtensionValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/** What is wrong with an extension's value, or null. */
export function extensionProblem(value: ExtensionValue): string | null {
  if (typeof value === 'number') {
    return Number.isInteger(value) && value >= INT32_MIN && value <= INT32_MAX ? null : 'must be an integer of 32 bits';
  }
  if (typeof value === 'boolean') return null;
  if (value.length > EXTENSION_CHARACTERS_MAX) return `must be at most ${EXTENSION_CHARACTERS_MAX} characters`;
  return hasForbiddenCharacter(value) ? FORBIDDEN_CHARACTER : null;
}
