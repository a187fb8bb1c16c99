import type { Position } from '../events/position.ts';
import type { ResolveResult } from './protocol.ts';

/** What a position is resolved against. */
export interface Extent {
  firstSequence: number;
  lastSequence: number;
  /** The first sequence recorded at a time (milliseconds since the epoch) or later; one past the last if there is none. */
  firstSince(time: number): number;
}

/** The sequence a position means: as a start the first event at or after it, as an end the last at or before it. */
export function resolvePosition(position: Position, as: 'start' | 'end', extent: Extent): ResolveResult {
  const { firstSequence, lastSequence } = extent;
  const resolved = (sequence: number): ResolveResult => ({
    outcome: 'resolved',
    sequence,
    firstSequence,
    lastSequence,
  });
  switch (position.kind) {
    case 'earliest':
      return resolved(firstSequence);
    case 'latest':
      return resolved(as === 'start' ? lastSequence + 1 : lastSequence);
    case 'time':
      return resolved(as === 'start' ? extent.firstSince(position.time) : extent.firstSince(position.time + 1) - 1);
    case 'sequence':
      if (position.sequence < firstSequence) {
        return { outcome: 'sequence-expired', firstSequence };
      }
      if (position.sequence > (as === 'start' ? lastSequence + 1 : lastSequence)) {
        return { outcome: 'position-ahead', lastSequence };
      }
      return resolved(position.sequence);
  }
}

export type RangeResult =
  /** `to` null: no end. `to` may lie before `from` (nothing there) or after the last event. */
  | { outcome: 'range'; from: number; to: number | null }
  | { outcome: 'sequence-expired'; firstSequence: number }
  | { outcome: 'invalid-range' };

/** The range a read means. Unlike a subscription's start it may lie beyond the end. */
export function resolveRange(from: Position, until: Position | null, extent: Extent): RangeResult {
  if (isReversed(from, until)) {
    return { outcome: 'invalid-range' };
  }
  const start = from.kind === 'sequence' ? from.sequence : resolvedSequence(resolvePosition(from, 'start', extent));
  if (start < extent.firstSequence) {
    return { outcome: 'sequence-expired', firstSequence: extent.firstSequence };
  }
  if (until === null) {
    return { outcome: 'range', from: start, to: null };
  }
  const end = until.kind === 'sequence' ? until.sequence : resolvedSequence(resolvePosition(until, 'end', extent));
  if (until.kind === 'sequence' && end < extent.firstSequence && end < extent.lastSequence) {
    return { outcome: 'sequence-expired', firstSequence: extent.firstSequence };
  }
  return isBefore(from, until, start, end, extent.lastSequence)
    ? { outcome: 'invalid-range' }
    : { outcome: 'range', from: start, to: end };
}

/** Two numbers or two times can be compared as they are. */
function isReversed(from: Position, until: Position | null): boolean {
  return (
    (from.kind === 'sequence' && until?.kind === 'sequence' && until.sequence < from.sequence) ||
    (from.kind === 'time' && until?.kind === 'time' && until.time < from.time)
  );
}

/**
 * Whether an end lies before its start where they are of different kinds. `earliest` and `latest` move with the topic: a
 * range that is empty because of that is no mistake, and neither is a start beyond the last event.
 */
function isBefore(from: Position, until: Position, start: number, end: number, lastSequence: number): boolean {
  if (from.kind === 'earliest' || until.kind === 'latest' || from.kind === until.kind) {
    return false;
  }
  return start > lastSequence ? end < lastSequence : end < start;
}

function resolvedSequence(result: ResolveResult): number {
  if (result.outcome !== 'resolved') {
    throw new Error('Only a number can lie outside a topic.');
  }
  return result.sequence;
}
