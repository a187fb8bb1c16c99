import { z } from 'zod';
import { DEATH_REASONS, type DeadLetter, type LetterFilter, type LetterState } from '../dead-letters/letters.ts';
import { instantInput, nameField, timeField, timeOf, timeOrNull } from './fields.ts';
import { invalid } from './problem.ts';

/** Dead letters on the wire. */

const STATES = ['open', 'redriven', 'resolved', 'discarded', 'all'] as const satisfies LetterState[];

/** By which letters are listed, redriven and discarded; the same fields in a query and in a body. */
export const letterFields = {
  subscription: nameField.optional(),
  topic: nameField.optional(),
  reason: z.enum(DEATH_REASONS).optional(),
  since: instantInput.optional().describe('Of `diedAt`, inclusive.'),
  until: instantInput.optional().describe('Of `diedAt`, inclusive.'),
};

export const stateField = z.enum(STATES).default('open');

type LetterFields = z.output<z.ZodObject<typeof letterFields>>;

/** @throws Problem `invalid-range` */
export function toFilter(fields: LetterFields, state: LetterState): LetterFilter {
  const { subscription = null, topic = null, reason = null, since = null, until = null } = fields;
  if (since !== null && until !== null && until < since) {
    throw invalid([{ path: 'until', message: 'lies before `since`' }], 'invalid-range');
  }
  return { subscription, topic, reason, since, until, state };
}

export const letterAnswer = z.object({
  id: z.string(),
  subscription: z.string(),
  topic: z.string(),
  sequence: z.int(),
  event: z.record(z.string(), z.unknown()).describe('The whole event.'),
  reason: z.enum(DEATH_REASONS),
  attempts: z.int(),
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
  firstAttemptAt: timeField.nullable(),
  diedAt: timeField,
  redrivenAt: timeField.nullable(),
  resolvedAt: timeField.nullable(),
  discardedAt: timeField.nullable(),
});

/** The letter in JSON. Its event stands in it as the log had it: parsed and written again, large numbers would change. */
export function letterText(letter: DeadLetter): string {
  const fields: Omit<z.infer<typeof letterAnswer>, 'event'> = {
    id: letter.id,
    subscription: letter.subscription,
    topic: letter.topic,
    sequence: letter.sequence,
    reason: letter.reason,
    attempts: letter.attempts,
    lastStatus: letter.lastStatus,
    lastError: letter.lastError,
    firstAttemptAt: timeOrNull(letter.firstAttemptAt),
    diedAt: timeOf(letter.diedAt),
    redrivenAt: timeOrNull(letter.redrivenAt),
    resolvedAt: timeOrNull(letter.resolvedAt),
    discardedAt: timeOrNull(letter.discardedAt),
  };
  return `${JSON.stringify(fields).slice(0, -1)},"event":${letter.event}}`;
}

export const jobAnswer = z.object({
  job: z.string(),
  count: z.int().min(0).describe('Letters that matched when it began.'),
});
