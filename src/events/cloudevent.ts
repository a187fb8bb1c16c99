import { z } from 'zod';
import { isBase64 } from './data.ts';
import {
  EXTENSION_CHARACTERS_MAX,
  EXTENSION_NAME_CHARACTERS_MAX,
  EXTENSIONS_MAX,
  ID_CHARACTERS_MAX,
  MEDIA_TYPE_CHARACTERS_MAX,
  SUBJECT_CHARACTERS_MAX,
  TIME_CHARACTERS_MAX,
  TYPE_CHARACTERS_MAX,
  URI_CHARACTERS_MAX,
} from './limits.ts';
import { parseMediaType } from './media-type.ts';
import { hasForbiddenCharacter } from './text.ts';
import { parseTime } from './times.ts';

/** CloudEvents 1.0.2: what a producer sends and what the hub gives out, as schemas. */

/** One thing wrong with an event: `path` is `type`, `[3].type` in an array, or a header's name in binary mode. */
export interface EventError {
  path: string;
  message: string;
}

export type ExtensionValue = string | number | boolean;

/** What the hub adds to an event. Sent back by a producer they are ignored. */
export const HUB_ATTRIBUTES: ReadonlySet<string> = new Set(['topic', 'sequence', 'recordedtime']);

/** Every attribute with a meaning of its own, and the two members that hold data. */
const KNOWN_NAMES: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'partitionkey',
  'data',
  'data_base64',
]);

const FORBIDDEN_CHARACTER = 'must not have control characters, unpaired surrogates or noncharacters in it';

/** What is wrong with a member's name in an event, or null. Names of extensions are lower-case letters and digits. */
export function nameProblem(name: string): string | null {
  if (KNOWN_NAMES.has(name)) return null;
  if (!/^[a-z0-9]+$/.test(name))
    return 'is not an attribute name: CloudEvents allows lower-case letters and digits only';
  return name.length > EXTENSION_NAME_CHARACTERS_MAX
    ? `is too long a name: at most ${EXTENSION_NAME_CHARACTERS_MAX} characters`
    : null;
}

function attribute(charactersMax: number) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? 'is required' : 'must be a string') })
    .min(1, { error: 'must not be empty' })
    .max(charactersMax, { error: `must be at most ${charactersMax} characters` })
    .refine((text) => !hasForbiddenCharacter(text), { error: FORBIDDEN_CHARACTER });
}

/** White space and what RFC 3986 excludes; letters beyond ASCII pass, as they are common and harmless. */
const NOT_IN_URI = /[\s<>"{}|\\^`]/;

const uriReference = attribute(URI_CHARACTERS_MAX).refine((text) => !NOT_IN_URI.test(text), {
  error: 'must be a URI reference: no white space, and none of <>"{}|\\^`',
});

const specversion = z.literal('1.0', {
  error: (issue) => (issue.input === undefined ? 'is required: "1.0"' : 'must be "1.0"'),
});

const attributes = {
  id: attribute(ID_CHARACTERS_MAX),
  source: uriReference,
  type: attribute(TYPE_CHARACTERS_MAX),
  subject: attribute(SUBJECT_CHARACTERS_MAX).optional(),
  time: attribute(TIME_CHARACTERS_MAX).refine((text) => parseTime(text) !== null, {
    error: 'must be an RFC 3339 time such as "2026-11-23T20:00:00Z"',
  }),
  datacontenttype: attribute(MEDIA_TYPE_CHARACTERS_MAX)
    .refine((text) => parseMediaType(text) !== null, { error: 'must be a media type such as "application/json"' })
    .optional(),
  dataschema: uriReference
    .refine((text) => /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text), { error: 'must be a URI with a scheme' })
    .optional(),
  partitionkey: attribute(SUBJECT_CHARACTERS_MAX).optional(),
  data: z.unknown().optional(),
  data_base64: z
    .string({ error: 'must be a string' })
    .refine(isBase64, { error: 'must be base64 with padding' })
    .optional(),
};

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

const extensionValue = z
  .union([z.string(), z.number(), z.boolean()], {
    error: 'must be a string, a boolean or an integer: an extension attribute',
  })
  .superRefine((value, context) => {
    const message = extensionProblem(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

function extensionProblem(value: ExtensionValue): string | null {
  if (typeof value === 'number') {
    return Number.isInteger(value) && value >= INT32_MIN && value <= INT32_MAX ? null : 'must be an integer of 32 bits';
  }
  if (typeof value === 'boolean') return null;
  if (value.length > EXTENSION_CHARACTERS_MAX) return `must be at most ${EXTENSION_CHARACTERS_MAX} characters`;
  return hasForbiddenCharacter(value) ? FORBIDDEN_CHARACTER : null;
}

const sent = {
  ...attributes,
  id: attributes.id.optional(),
  source: attributes.source.optional(),
  time: attributes.time.optional(),
};

/** An event in structured, batch or binary mode. `id`, `source` and `time` are filled in where they are missing. */
export const sentEventSchema = z
  .object({ specversion, ...sent })
  .catchall(extensionValue)
  .superRefine(refineWhole)
  .meta({ description: 'A CloudEvent 1.0; missing id, source and time are filled in' });

/** An event in the short form: a type is enough. */
export const shortEventSchema = z
  .object({ specversion: specversion.optional(), ...sent })
  .catchall(extensionValue)
  .superRefine(refineWhole)
  .meta({ description: 'A CloudEvent in short form: only its type is required' });

/** An event as the hub gives it out. For the OpenAPI document; the hub trusts what it stored. */
export const storedEventSchema = z
  .object({
    specversion,
    ...attributes,
    topic: z.string(),
    sequence: z
      .string()
      .meta({ description: 'The sequence in decimal, zero-padded to 16 digits', example: '0000000000000042' }),
    recordedtime: z.string().meta({ description: 'When the log took the event (RFC 3339)' }),
  })
  .catchall(extensionValue)
  .meta({ description: "A CloudEvent 1.0 with the hub's own attributes" });

function refineWhole(event: Record<string, unknown>, context: z.RefinementCtx): void {
  if (event.data !== undefined && event.data_base64 !== undefined) {
    context.addIssue({
      code: 'custom',
      path: ['data_base64'],
      message: 'must not be beside data: an event has one of them',
    });
  }
  const extensions = Object.keys(event).filter((name) => !KNOWN_NAMES.has(name)).length;
  if (extensions > EXTENSIONS_MAX) {
    context.addIssue({
      code: 'custom',
      path: [],
      message: `has ${extensions} extension attributes; at most ${EXTENSIONS_MAX}`,
    });
  }
}

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

export type AttributesResult = { ok: true; attributes: SentAttributes } | { ok: false; errors: EventError[] };

/**
 * Checks the members of one event (`data` may be left out; names are checked before). `short`: `specversion` may be missing.
 * Paths in the errors are the members' names; of the event as a whole, the empty string.
 */
export function checkAttributes(event: Record<string, unknown>, short: boolean): AttributesResult {
  const result = (short ? shortEventSchema : sentEventSchema).safeParse(event);
  if (!result.success) {
    const errors = result.error.issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message }));
    return { ok: false, errors };
  }
  const { id, source, type, subject, time, datacontenttype, dataschema, partitionkey } = result.data;
  const extensions: [string, ExtensionValue][] = [];
  for (const [name, value] of Object.entries(result.data)) {
    if (!KNOWN_NAMES.has(name) && isExtensionValue(value)) extensions.push([name, value]);
  }
  extensions.sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ok: true,
    attributes: {
      id: id ?? null,
      source: source ?? null,
      type,
      subject: subject ?? null,
      time: time ?? null,
      datacontenttype: datacontenttype ?? null,
      dataschema: dataschema ?? null,
      partitionkey: partitionkey ?? null,
      extensions,
    },
  };
}

function isExtensionValue(value: unknown): value is ExtensionValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
