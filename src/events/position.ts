import { z } from 'zod';
import { formatTime, parseInstant, parseTime } from './times.ts';

/** A place in a topic, the same everywhere. */
export type Position =
  | { kind: 'earliest' }
  | { kind: 'latest' }
  | { kind: 'sequence'; sequence: number }
  /** Milliseconds since the epoch, as {@link parseInstant} has them. */
  | { kind: 'time'; time: number };

/** What a position looks like in JSON on its way out. */
export type PositionJson = 'earliest' | 'latest' | number | string;

const EXPECTED = 'must be "earliest", "latest", a sequence number or an RFC 3339 time';

/** A position in a query: `earliest`, `latest`, digits (a sequence), or an RFC 3339 time. Null if it is none of these. */
export function parsePosition(text: string): Position | null {
  if (text === 'earliest' || text === 'latest') return { kind: text };
  if (/^\d+$/.test(text)) {
    const sequence = Number(text);
    return Number.isSafeInteger(sequence) ? { kind: 'sequence', sequence } : null;
  }
  const time = parseInstant(text);
  return time === null ? null : { kind: 'time', time };
}

export function formatPosition(position: Position): PositionJson {
  switch (position.kind) {
    case 'sequence':
      return position.sequence;
    case 'time':
      return formatTime(position.time);
    default:
      return position.kind;
  }
}

const sequenceNumber = z
  .number({ error: 'must be a sequence number' })
  .int({ error: 'must be a whole number' })
  .min(0, { error: 'must be 0 or more' });

const timeText = z.string({ error: 'must be an RFC 3339 time' }).refine((text) => parseTime(text) !== null, {
  error: 'must be an RFC 3339 time such as "2026-11-23T20:00:00Z"',
});

/** A position in a document: the same words, a number, or `{ "sequence": N }` or `{ "time": T }`. Gives a Position. */
export const positionSchema = z
  .union(
    [
      z.string().refine((text) => parsePosition(text) !== null, { error: EXPECTED }),
      sequenceNumber,
      z.strictObject({ sequence: sequenceNumber }),
      z.strictObject({ time: timeText }),
    ],
    { error: EXPECTED },
  )
  .transform((value, context): Position => {
    const position = typeof value === 'object' ? fromObject(value) : parsePosition(String(value));
    if (position !== null) return position;
    context.addIssue({ code: 'custom', message: EXPECTED });
    return z.NEVER;
  })
  .meta({ description: 'A place in a topic: "earliest", "latest", a sequence number, or a time' });

function fromObject(value: { sequence: number } | { time: string }): Position | null {
  if ('sequence' in value) return { kind: 'sequence', sequence: value.sequence };
  const time = parseInstant(value.time);
  return time === null ? null : { kind: 'time', time };
}
