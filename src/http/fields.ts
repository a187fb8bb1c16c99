import { z } from 'zod';
import { isTopicPattern, NAME, NAME_RULE, TOPIC_PATTERN_RULE } from '../events/names.ts';
import { parseInstant, parseTime } from '../events/times.ts';

/** The zod types that many resources' fields and parameters share. */

export const nameField = z
  .string()
  .regex(NAME, NAME_RULE)
  .meta({ description: 'A name.', examples: ['orders'] });

export const patternField = z
  .string()
  .refine(isTopicPattern, TOPIC_PATTERN_RULE)
  .meta({ examples: ['orders', 'orders.*', 'orders.>'] });

function timeText(parse: (text: string) => number | null) {
  return z
    .string()
    .transform((text, context) => {
      const time = parse(text);
      if (time !== null) return time;
      context.addIssue('must be an RFC 3339 time');
      return z.NEVER;
    })
    .meta({ examples: ['2026-11-23T20:00:00Z'] });
}

/** A time in a request: RFC 3339. Gives milliseconds since the epoch. */
export const timeInput = timeText(parseTime);

/** A time that others are held against. Gives milliseconds since the epoch, as {@link parseInstant} has them. */
export const instantInput = timeText(parseInstant);

/** A time in an answer: RFC 3339, UTC. */
export const timeField = z.iso.datetime();

/** Milliseconds since the epoch as an answer has them. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : timeOf(ms);
}

export const LIST_LIMIT_DEFAULT = 50;
export const LIST_LIMIT_MAX = 1000;

/** A number in a query or a path, where it is text of digits. The docs have it as the number that it is. */
export function numberIn(digits: RegExp, rule: string, range: { minimum: number; maximum?: number }) {
  return z
    .string()
    .refine((text) => digits.test(text), rule)
    .transform(Number)
    .meta({ type: 'integer', ...range });
}

/** How many of something to answer with. */
export const countField = numberIn(/^[0-9]+$/, 'must be a whole number', { minimum: 1, maximum: LIST_LIMIT_MAX }).pipe(
  z.number().min(1).max(LIST_LIMIT_MAX),
);

export const limitField = countField
  .default(LIST_LIMIT_DEFAULT)
  .meta({ description: `How many at most: 1 to ${LIST_LIMIT_MAX}.`, default: LIST_LIMIT_DEFAULT });

/** A yes or no in a query; no where it is left out. */
export const flagField = z
  .string()
  .refine((text) => text === 'true' || text === 'false', 'must be true or false')
  .default('false')
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', default: false });

/** Where a token may be in the query (see `queryToken` of a route). */
export const tokenField = z
  .string()
  .optional()
  .meta({ description: 'A token of POST /v1/tokens, where no header can be sent.' });

/** The query parameters of every list. */
export const listQuery = {
  limit: limitField,
  cursor: z.string().max(2000).optional().meta({ description: 'The `next` of the page before.' }),
};

/** An answer that is a list. */
export function listOf<S extends z.ZodType>(item: S) {
  return z.object({ items: z.array(item), next: z.string().nullable().meta({ description: 'Pass it as `cursor`.' }) });
}
