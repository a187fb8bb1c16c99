import { z } from 'zod';
import { formatDuration, parseDuration } from './duration-text.ts';

/** A duration in a document: takes the string, gives milliseconds between `min` and `max`, both inclusive. */
export function durationSchema(min: number, max: number) {
  return z
    .string({ error: 'must be a duration such as "15s"' })
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== null && ms >= min && ms <= max) return ms;
      context.addIssue({
        code: 'custom',
        message:
          ms === null
            ? 'must be a duration: a whole number and one of ms, s, m, h, d, such as "500ms", "15s", "5m", "24h" or "7d"'
            : `must be between ${formatDuration(min)} and ${formatDuration(max)}`,
      });
      return z.NEVER;
    })
    .meta({
      example: formatDuration(min),
      description: `A duration between ${formatDuration(min)} and ${formatDuration(max)}`,
    });
}
