import { z } from 'zod';
import { isTypePattern, TYPE_PATTERN_RULE } from '../events/filters.ts';
import { compileCel } from '../expressions/cel.ts';
import { compileJsonata } from '../expressions/jsonata.ts';
import { CEL_CHARACTERS_MAX, JSONATA_CHARACTERS_MAX } from '../expressions/limits.ts';
import { Mistake } from '../expressions/mistake.ts';
import type { SubscriptionFilter, Transform } from '../subscriptions/document.ts';

/** Filters and transforms on the wire. An expression is compiled where it is set, so that its mistakes are told there. */

export const TYPES_MAX = 100;

/** What is wrong with an expression; null if it can be compiled. */
function mistakeIn(text: string, compile: (text: string) => unknown): string | null {
  try {
    compile(text);
    return null;
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

export const celField = z
  .string()
  .max(CEL_CHARACTERS_MAX, { abort: true })
  .superRefine((text, context) => {
    const mistake = mistakeIn(text, compileCel);
    if (mistake !== null) context.addIssue(mistake);
  });

/** Of a subscription or a replay. No types and no expression, or no filter: every event. */
export const filterField = z
  .strictObject({
    types: z
      .array(z.string().refine(isTypePattern, TYPE_PATTERN_RULE))
      .max(TYPES_MAX)
      .default([])
      .describe('Event types; `*` is any run of characters, dots too.'),
    cel: celField.nullable().default(null).describe('CEL over the event; a field that it does not have is no match.'),
  })
  .nullable()
  .default(null);

export function toFilter(filter: z.infer<typeof filterField>): SubscriptionFilter {
  return { types: [...new Set(filter?.types ?? [])], cel: filter?.cel ?? null };
}

/** Null: every event. */
export function filterOut(filter: SubscriptionFilter): SubscriptionFilter | null {
  return filter.types.length === 0 && filter.cel === null ? null : filter;
}

const jsonata = z.string().max(JSONATA_CHARACTERS_MAX);

/** JSONata over the event; a single one is for its data. */
export const transformField = z
  .union(
    [
      jsonata,
      z.strictObject({
        data: jsonata.nullable().default(null).describe('Makes the data; what it does not find is null.'),
        headers: jsonata.nullable().default(null).describe('Makes an object of further headers.'),
        path: jsonata.nullable().default(null).describe('Makes the path, and query, to send to.'),
      }),
    ],
    'must be JSONata for the data, or an object with JSONata for "data", "headers" or "path"',
  )
  .nullable()
  .default(null)
  .superRefine((given, context) => {
    const parts: [string[], string | null][] =
      typeof given === 'string' ? [[[], given]] : Object.entries(given ?? {}).map(([name, text]) => [[name], text]);
    for (const [path, text] of parts) {
      // Of one that is too long this is said already.
      const isJudged = text !== null && text.length <= JSONATA_CHARACTERS_MAX;
      const message = isJudged ? mistakeIn(text, compileJsonata) : null;
      if (message !== null) context.addIssue({ code: 'custom', path, message });
    }
  });

export function toTransform(given: z.infer<typeof transformField>): Transform | null {
  const transform = typeof given === 'string' ? { data: given, headers: null, path: null } : given;
  return transform !== null && Object.values(transform).every((member) => member === null) ? null : transform;
}
