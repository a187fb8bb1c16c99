import { EVENT_HASHES_BYTES, HASH_BYTES } from '../events/hashes.ts';
import type { SequencedEvent } from './append.ts';
import { writeText } from './identity-pages.ts';
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

/** A segment whole, with what the index needs of it. */
export type NewSegment = SegmentRow & { body: string; hashes: ArrayBuffer; keys: string | null };

/** Cuts new events, whose sequences go on from the head without gaps, into segments that fit into a row each. */
export function cutSegments(events: readonly SequencedEvent[], head: Head, recordedAt: number): NewSegment[] {
  const segments: NewSegment[] = [];
  let bytesBefore = head.bytes;
  let done = 0;
  for (const { lines, bytes, body } of cutLines(events.map(({ json }) => json))) {
    const own = events.slice(done, done + lines);
    segments.push({
      first: head.lastSequence + 1 + done,
      count: lines,
      recorded_at: recordedAt,
      bytes,
      bytes_before: bytesBefore,
      body,
      hashes: hashesOf(own),
      keys: keysOf(own),
    });
    done += lines;
    bytesBefore += bytes;
  }
  return segments;
}

function hashesOf(events: readonly SequencedEvent[]): ArrayBuffer {
  const bytes = new Uint8Array(events.length * EVENT_HASHES_BYTES);
  for (const [index, { identity, content }] of events.entries()) {
    writeText(identity, bytes, index * EVENT_HASHES_BYTES);
    writeText(content, bytes, index * EVENT_HASHES_BYTES + HASH_BYTES);
  }
  return bytes.buffer;
}

/** As a JSON array; null: none has one. */
function keysOf(events: readonly SequencedEvent[]): string | null {
  return events.every(({ key }) => key === null) ? null : JSON.stringify(events.map(({ key }) => key));
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

/** The events' JSON texts of a segment, in order. */
export function linesOf(body: string): string[] {
  return body.split('\n');
}
