import type { Position } from '../events/position.ts';
import type { ResolveResult } from './protocol.ts';

/** What a position is resolved against. */
export interface Extent {
  firstSequence: number;
  lastSequence: number;
  /** Milliseconds since the epoch. */
  now: number;
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
    case 'time': {
      if (as === 'end') return resolved(extent.firstSince(Math.floor(position.time) + 1) - 1);
      const first = extent.firstSince(position.time);
      // What comes before then would have to be left out, and no sequence says so.
      return first > lastSequence && position.time > extent.now
        ? { outcome: 'position-ahead', lastSequence }
        : resolved(first);
    }
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
  const start = startOfRange(from, extent);
  if (start < extent.firstSequence) {
    return { outcome: 'sequence-expired', firstSequence: extent.firstSequence };
  }
  if (until === null) {
    return { outcome: 'range', from: start, to: null };
  }
  const end = endOfRange(until, extent);
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

/** Where a read starts: a number as it is, one past the last for what lies ahead. */
export function startOfRange(from: Position, extent: Extent): number {
  return from.kind === 'sequence' ? from.sequence : resolvedOr(extent.lastSequence + 1, from, 'start', extent);
}

/** Where a read ends, inclusive: a number as it is. */
export function endOfRange(until: Position, extent: Extent): number {
  return until.kind === 'sequence' ? until.sequence : resolvedOr(extent.lastSequence, until, 'end', extent);
}

function resolvedOr(ahead: number, position: Position, as: 'start' | 'end', extent: Extent): number {
  const result = resolvePosition(position, as, extent);
  return result.outcome === 'resolved' ? result.sequence : ahead;
}
