import { withHubAttributes } from '../events/stored.ts';
import { formatTime } from '../events/times.ts';
import { linesOf } from './batch.ts';
import { EXAMINED_BYTES_MAX, EXAMINED_MAX, SEGMENT_BYTES_AT_ONCE, SEGMENTS_AT_ONCE } from './limits.ts';
import type { LogEvent } from './protocol.ts';
import type { SegmentRow } from './rows.ts';
import { byteLength } from './segments.ts';
import type { Statements } from './sql.ts';

/** Chooses events by their stored JSON; null: every one. */
export type Matcher = ((json: string) => boolean) | null;

export interface ScanRequest {
  /** Inclusive, ascending; both within what is stored. */
  from: number;
  to: number;
  order: 'asc' | 'desc';
  matches: Matcher;
  eventsMax: number;
  /** The first event may be larger. */
  bytesMax: number;
}

export interface ScanResult {
  events: LogEvent[];
  /** Bytes of the events. */
  bytes: number;
  /** The last sequence looked at; the scan is done when it is the far end of the range. */
  examined: number;
}

/** A segment with its events' JSON texts. */
interface CutSegment {
  first: number;
  count: number;
  bytes: number;
  /** RFC 3339. */
  recordedTime: string;
  lines: string[];
  /** Every character of its events is a byte in UTF-8: mostly so, and then none has to be encoded to be measured. */
  ascii: boolean;
}

/** Looks through stored events, a bounded number at a time and segment by segment. */
export class Scanner {
  readonly #topic: string;
  readonly #sql: Statements;
  /** The last segment cut into lines: pages smaller than a segment follow each other. A segment never changes. */
  #last: CutSegment | null = null;

  constructor(topic: string, sql: Statements) {
    this.#topic = topic;
    this.#sql = sql;
  }

  /** Forgets what memory holds of the tables. */
  forget(): void {
    this.#last = null;
  }

  /** The matching events of a range, as many as fit; the range must not be empty. */
  scan(asked: ScanRequest): ScanResult {
    const request = withinReach(asked);
    const { order, from, to } = request;
    const ascending = order === 'asc';
    const step = ascending ? 1 : -1;
    const result: ScanResult = { events: [], bytes: 0, examined: (ascending ? from : to) - step };
    let examined = 0;
    let examinedBytes = 0;
    for (const segment of this.#segments(request)) {
      if (examined > 0 && examinedBytes + segment.bytes > EXAMINED_BYTES_MAX) {
        return result;
      }
      examinedBytes += segment.bytes;
      const low = Math.max(from, segment.first);
      const high = Math.min(to, segment.first + segment.count - 1);
      for (let sequence = ascending ? low : high; sequence >= low && sequence <= high; sequence += step) {
        if (examined >= EXAMINED_MAX) {
          return result;
        }
        const line = segment.lines[sequence - segment.first] ?? '';
        if (request.matches === null || request.matches(line)) {
          const { event, bytes } = this.#whole(segment, line, sequence);
          if (result.events.length > 0 && result.bytes + bytes > request.bytesMax) {
            return result;
          }
          result.events.push(event);
          result.bytes += bytes;
        }
        result.examined = sequence;
        examined += 1;
        if (result.events.length >= request.eventsMax) {
          return result;
        }
      }
    }
    // To the far end, where what lies there is not stored any more too.
    result.examined = ascending ? to : from;
    return result;
  }

  /** One event and its bytes, or null if it is not stored. */
  event(sequence: number): { event: LogEvent; bytes: number } | null {
    const segment = this.#segmentAt(sequence);
    const line = segment?.lines[sequence - segment.first];
    return segment === null || line === undefined ? null : this.#whole(segment, line, sequence);
  }

  /** The JSON of an event as it is stored, without the hub's attributes; null if it is not stored. */
  line(sequence: number): string | null {
    const segment = this.#segmentAt(sequence);
    return segment?.lines[sequence - segment.first] ?? null;
  }

  #whole(segment: CutSegment, line: string, sequence: number): { event: LogEvent; bytes: number } {
    const json = withHubAttributes(line, this.#topic, sequence, segment.recordedTime);
    return { event: { sequence, json }, bytes: segment.ascii ? json.length : byteLength(json) };
  }

  /**
   * The first sequence from `from` to `to` that was recorded at `time` or later, or `to + 1`. Times never go back in a log,
   * so this is a binary search.
   */
  firstRecordedSince(time: number, from: number, to: number): number {
    let low = from;
    let high = to + 1;
    while (low < high) {
      const segment = this.#sql.segmentAt(Math.floor((low + high) / 2));
      if (segment === null) {
        return low;
      }
      if (segment.recorded_at >= time) {
        high = Math.max(low, segment.first);
      } else {
        low = Math.min(high, segment.first + segment.count);
      }
    }
    return low;
  }

  /** The segments of a range in scanning order, read some at a time. */
  *#segments({ from, to, order }: ScanRequest): Generator<CutSegment, void, undefined> {
    const nearest = this.#segmentAt(order === 'asc' ? from : to);
    if (nearest !== null) {
      yield nearest;
    }
    let low = order === 'asc' ? (nearest?.first ?? from - 1) + 1 : (this.#sql.segmentAt(from)?.first ?? from);
    let high = order === 'asc' ? to : (nearest?.first ?? to + 1) - 1;
    for (;;) {
      const chunk = withinBytes(this.#sql.segments(low, high, order, SEGMENTS_AT_ONCE));
      const [one, other] = [chunk[0], chunk.at(-1)];
      if (one === undefined || other === undefined) {
        return;
      }
      const segments = this.#sql.fullSegments(Math.min(one.first, other.first), Math.max(one.first, other.first));
      for (const segment of order === 'asc' ? segments : segments.reverse()) {
        this.#last = cut(segment, segment.body);
        yield this.#last;
      }
      if (order === 'asc') {
        low = other.first + 1;
      } else {
        high = other.first - 1;
      }
    }
  }

  /** The segment that holds a sequence, or the last one before it. */
  #segmentAt(sequence: number): CutSegment | null {
    const last = this.#last;
    if (last !== null && sequence >= last.first && sequence < last.first + last.count) {
      return last;
    }
    const segment = this.#sql.segmentAt(sequence);
    if (segment === null) {
      return null;
    }
    if (this.#last?.first !== segment.first) {
      this.#last = cut(segment, this.#sql.body(segment.first));
    }
    return this.#last;
  }
}

/** Where every event is wanted, those looked for lie within as many sequences. */
function withinReach(request: ScanRequest): ScanRequest {
  const { from, to, order, matches, eventsMax } = request;
  if (matches !== null) return request;
  return order === 'asc'
    ? { ...request, to: Math.min(to, from + eventsMax - 1) }
    : { ...request, from: Math.max(from, to - eventsMax + 1) };
}

function cut({ first, count, recorded_at, bytes }: Omit<SegmentRow, 'bytes_before'>, body: string): CutSegment {
  const ascii = bytes === body.length - (count - 1);
  return { first, count, bytes, recordedTime: formatTime(recorded_at), lines: linesOf(body), ascii };
}

/** The first segments that are read at once, by their bytes; always one. */
function withinBytes(segments: SegmentRow[]): SegmentRow[] {
  let bytes = 0;
  return segments.filter((segment, index) => {
    bytes += segment.bytes;
    return index === 0 || bytes <= SEGMENT_BYTES_AT_ONCE;
  });
}
