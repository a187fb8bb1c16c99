import type { SequencedEvent } from './append.ts';
import { SEGMENT_BYTES_MAX } from './limits.ts';
import type { SegmentRow } from './sql.ts';

const encoder = new TextEncoder();

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}

/** Where a log ends: the next event gets `lastSequence + 1`, and is recorded at `recordedAt` or later. */
export interface Head {
  lastSequence: number;
  recordedAt: number;
  /** Of all events ever stored since the log was last empty. */
  bytes: number;
}

/** Cuts new events, whose sequences go on from the head without gaps, into segments that fit into a row each. */
export function cutSegments(
  events: readonly SequencedEvent[],
  head: Head,
  recordedAt: number,
): (SegmentRow & { body: string })[] {
  const segments: (SegmentRow & { body: string })[] = [];
  let bytesBefore = head.bytes;
  let lines: string[] = [];
  let bytes = 0;
  let first = head.lastSequence + 1;
  const cut = () => {
    segments.push({
      first,
      count: lines.length,
      recorded_at: recordedAt,
      bytes,
      bytes_before: bytesBefore,
      body: lines.join('\n'),
    });
    first += lines.length;
    bytesBefore += bytes;
    lines = [];
    bytes = 0;
  };
  for (const { event } of events) {
    const line = oneLine(event.json);
    const size = byteLength(line);
    if (lines.length > 0 && bytes + size > SEGMENT_BYTES_MAX) {
      cut();
    }
    lines.push(line);
    bytes += size;
  }
  if (lines.length > 0) {
    cut();
  }
  return segments;
}

/** In JSON a line end can only stand between tokens, where a space means the same. */
function oneLine(json: string): string {
  return json.includes('\n') ? json.replaceAll('\n', ' ') : json;
}

/** The events' JSON texts of a segment, in order. */
export function linesOf(body: string): string[] {
  return body.split('\n');
}
