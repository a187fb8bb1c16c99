import { z } from 'zod';
import type { ExtensionValue } from './attribute-rules.ts';
import {
  extensionProblem,
  FORBIDDEN_CHARACTER,
  hasScheme,
  isExtensionValue,
  isMediaType,
  isUriReference,
  KNOWN_NAMES,
  type SentAttributes,
  TAIL_CLOSED,
} from './attribute-rules.ts';
import { isBase64 } from './data.ts';
import type { EventError } from './event-error.ts';
import {
  EXTENSIONS_MAX,
  ID_CHARACTERS_MAX,
  MEDIA_TYPE_CHARACTERS_MAX,
  SUBJECT_CHARACTERS_MAX,
  TIME_CHARACTERS_MAX,
  TYPE_CHARACTERS_MAX,
  URI_CHARACTERS_MAX,
} from './limits.ts';
import { quickAttributes } from './quick-attributes.ts';
import { hasForbiddenCharacter } from './text.ts';
import { isTime } from './times.ts';

/** CloudEvents 1.0.2: what a producer sends and what the hub gives out, as schemas. */

function attribute(charactersMax: number) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? 'is required' : 'must be a string') })
    .min(1, { error: 'must not be empty' })
    .max(charactersMax, { error: `must be at most ${charactersMax} characters` })
    .refine((text) => !hasForbiddenCharacter(text), { error: FORBIDDEN_CHARACTER });
}

const uriReference = attribute(URI_CHARACTERS_MAX).refine(isUriReference, {
  error: 'must be a URI reference: no white space, and none of <>"{}|\\^`',
});

const specversion = z.literal('1.0', {
  error: (issue) => (issue.input === undefined ? 'is required: "1.0"' : 'must be "1.0"'),
});

const attributes = {
  id: attribute(ID_CHARACTERS_MAX),
  source: uriReference,
  type: attribute(TYPE_CHARACTERS_MAX).refine((type) => type !== TAIL_CLOSED, {
    error: `must not be ${TAIL_CLOSED}, with which the hub ends a stream`,
  }),
  subject: attribute(SUBJECT_CHARACTERS_MAX).optional(),
  time: attribute(TIME_CHARACTERS_MAX).refine(isTime, {
    error: 'must be an RFC 3339 time such as "2026-11-23T20:00:00Z"',
  }),
  datacontenttype: attribute(MEDIA_TYPE_CHARACTERS_MAX)
    .refine(isMediaType, { error: 'must be a media type such as "application/json"' })
    .optional(),
  dataschema: uriReference.refine(hasScheme, { error: 'must be a URI with a scheme' }).optional(),
  partitionkey: attribute(SUBJECT_CHARACTERS_MAX).optional(),
  data: z.unknown().optional(),
  data_base64: z
    .string({ error: 'must be a string' })
    .refine(isBase64, { error: 'must be base64 with padding' })
    .optional(),
};

const extensionValue = z
  .union([z.string(), z.number(), z.boolean()], {
    error: 'must be a string, a boolean or an integer: an extension attribute',
  })
  .superRefine((value, context) => {
    const message = extensionProblem(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

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

export type AttributesResult = { ok: true; attributes: SentAttributes } | { ok: false; errors: EventError[] };

/**
 * Checks the members of one event (`data` may be left out; names are checked before). `short`: `specversion` may be missing.
 * Paths in the errors are the members' names; of the event as a whole, the empty string.
 */
export function checkAttributes(event: Record<string, unknown>, short: boolean): AttributesResult {
  const quick = quickAttributes(Object.keys(event), Object.values(event), short);
  if (quick !== null) return { ok: true, attributes: quick };
  return checkBySchema(event, short);
}

/** {@link checkAttributes} by the schema alone, which has the last word and finds the words for what is wrong. */
export function checkBySchema(event: Record<string, unknown>, short: boolean): AttributesResult {
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
