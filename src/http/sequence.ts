import { z } from 'zod';

/** A sequence number in a path or query: digits, from 1; zero-padded too, as an event's `sequence` attribute is. */
export const sequenceField = z
  .string()
  .regex(/^0{0,15}[1-9]\d{0,14}$/, 'must be a sequence number')
  .transform(Number)
  .meta({ examples: ['42'] });
