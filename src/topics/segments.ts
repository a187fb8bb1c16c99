import { cutInto, linesOf } from './batch.ts';
import { SEGMENT_BYTES_MAX } from './limits.ts';
import type { NewEvents } from './protocol.ts';
import type { NewSegmentRow } from './rows.ts';

const encoder = new TextEncoder();
/** Texts are written here to be measured: to make the room costs more than to fill it. As much as a segment may need. */
const scratch = new Uint8Array(SEGMENT_BYTES_MAX * 3);

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  const { read, written } = encoder.encodeInto(text, scratch);
  return read === text.length ? written : encoder.encode(text).byteLength;
}

/** Where a log ends: the next event gets `lastSequence + 1`, and is recorded at `recordedAt` or later. */
export interface Head {
  lastSequence: number;
  recordedAt: number;
  /** Of all events ever stored since the log was last empty. */
  bytes: number;
}

/** Cuts new events, whose sequences go on from the head without gaps, into segments that fit into a row each. */
export function cutSegments(events: NewEvents, head: Head, recordedAt: number): NewSegmentRow[] {
  const sizes = sizesOf(events);
  const counts = sizes.map(({ count }) => count);
  let first = head.lastSequence + 1;
  let bytesBefore = head.bytes;
  return cutInto(events, counts).map(({ count, lines, keys, hashes }, index) => {
    const bytes = sizes[index]?.bytes ?? 0;
    const segment: NewSegmentRow = {
      first,
      count,
      recorded_at: recordedAt,
      bytes,
      bytes_before: bytesBefore,
      body: lines,
      hashes: hashes.slice().buffer,
      keys,
    };
    first += count;
    bytesBefore += bytes;
    return segment;
  });
}

/** `bytes`: of the events, without the line ends between them. */
interface Size {
  count: number;
  bytes: number;
}

/** How many events and bytes each segment gets. */
function sizesOf(events: NewEvents): Size[] {
  const { count, lines } = events;
  // Nearly always it all fits, and one look at the whole is cheaper than one at each.
  if (lines.length <= SEGMENT_BYTES_MAX) {
    const bytes = byteLength(lines) - (count - 1);
    if (bytes <= SEGMENT_BYTES_MAX) return [{ count, bytes }];
  }
  const sizes: Size[] = [];
  let size: Size = { count: 0, bytes: 0 };
  for (const text of linesOf(events.lines)) {
    const bytes = byteLength(text);
    if (size.count > 0 && size.bytes + bytes > SEGMENT_BYTES_MAX) {
      sizes.push(size);
      size = { count: 0, bytes: 0 };
    }
    size.count += 1;
    size.bytes += bytes;
  }
  sizes.push(size);
  return sizes;
}
