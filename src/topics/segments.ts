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
  const texts = events.map(({ event }) => oneLine(event.json));
  const segments: (SegmentRow & { body: string })[] = [];
  let bytesBefore = head.bytes;
  let first = head.lastSequence + 1;
  for (const { lines, bytes, body } of cutLines(texts)) {
    segments.push({ first, count: lines, recorded_at: recordedAt, bytes, bytes_before: bytesBefore, body });
    first += lines;
    bytesBefore += bytes;
  }
  return segments;
}

/** `bytes`: of the lines, without the line ends between them. */
interface Cut {
  lines: number;
  bytes: number;
  body: string;
}

function cutLines(texts: string[]): Cut[] {
  if (texts.length === 0) return [];
  const whole = texts.join('\n');
  // Nearly always it all fits, and one look at the whole is cheaper than one at each.
  if (whole.length <= SEGMENT_BYTES_MAX) {
    const bytes = byteLength(whole) - (texts.length - 1);
    if (bytes <= SEGMENT_BYTES_MAX) return [{ lines: texts.length, bytes, body: whole }];
  }
  const cuts: Cut[] = [];
  let lines: string[] = [];
  let bytes = 0;
  const cut = () => {
    cuts.push({ lines: lines.length, bytes, body: lines.join('\n') });
    lines = [];
    bytes = 0;
  };
  for (const line of texts) {
    const size = byteLength(line);
    if (lines.length > 0 && bytes + size > SEGMENT_BYTES_MAX) cut();
    lines.push(line);
    bytes += size;
  }
  cut();
  return cuts;
}

/** In JSON a line end can only stand between tokens, where a space means the same. */
function oneLine(json: string): string {
  return json.includes('\n') ? json.replaceAll('\n', ' ') : json;
}

/** The events' JSON texts of a segment, in order. */
export function linesOf(body: string): string[] {
  return body.split('\n');
}
