import { compileMatch } from '../events/filters.ts';
import type { Position } from '../events/position.ts';
import { KEY_EXAMINED_MAX, KEY_READS_MAX, PAGE_BYTES_MAX, PAGE_EVENTS_MAX, WAIT_MAX_MS } from './limits.ts';
import type { TopicLogParts } from './parts.ts';
import { type Extent, endOfRange, resolvePosition, resolveRange, startOfRange } from './positions.ts';
import type {
  EventResult,
  LogEvent,
  ReadKeysRequest,
  ReadKeysResult,
  ReadRequest,
  ReadResult,
  ResolveResult,
} from './protocol.ts';
import type { WaitingReaders } from './waiting-readers.ts';

type Page = Extract<ReadResult, { outcome: 'page' }>;

/** What anybody may ask of a log's events. */
export class Reading {
  readonly #parts: TopicLogParts;
  readonly #waiting: WaitingReaders;

  constructor(parts: TopicLogParts, waiting: WaitingReaders) {
    this.#parts = parts;
    this.#waiting = waiting;
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const { state, ports } = this.#parts;
    if (!state.exists) {
      return { outcome: 'unknown-topic' };
    }
    const range = resolveRange(request.from, request.until, this.#extent());
    if (range.outcome !== 'range') {
      return range;
    }
    const limit = Math.max(1, Math.min(request.limit, PAGE_EVENTS_MAX));
    const matches = compileMatch(request.match);
    if (request.order === 'desc') {
      return this.#pageDown(range.from, range.to, limit, matches);
    }
    const deadline = ports.clock.now() + Math.min(request.waitMs, WAIT_MAX_MS);
    for (let { from, to } = range; ; ) {
      const page = this.#pageUp(from, to, limit, matches);
      const end = endOfWait(deadline, request.until, to, page.lastSequence);
      if (page.events.length > 0 || page.next !== null || ports.clock.now() >= end) {
        return page;
      }
      const came = await this.#waiting.wait(matches, end - ports.clock.now());
      if (!state.exists) {
        return { outcome: 'unknown-topic' };
      }
      if (!came) {
        return page;
      }
      // Only now is there an event that times can be held against.
      const extent = this.#extent();
      const start = request.from.kind === 'time' ? startOfRange(request.from, extent) : from;
      from = Math.max(start, page.lastSequence + 1);
      to = request.until?.kind === 'time' ? endOfRange(request.until, extent) : to;
    }
  }

  event(sequence: number): EventResult {
    const { state, scanner } = this.#parts;
    if (!state.exists) {
      return { outcome: 'unknown-topic' };
    }
    if (sequence >= 1 && sequence < state.firstSequence) {
      return { outcome: 'sequence-expired', firstSequence: state.firstSequence };
    }
    const found = sequence >= 1 && sequence <= state.lastSequence ? scanner.event(sequence) : null;
    return found === null ? { outcome: 'unknown-event' } : { outcome: 'found', event: found.event };
  }

  /** Also those of a deleted topic that are still stored: a delivery under way may need them. */
  eventsAt(sequences: number[]): { events: LogEvent[]; examined: number } {
    const events: LogEvent[] = [];
    let bytes = 0;
    let examined = 0;
    for (const sequence of sequences.slice(0, PAGE_EVENTS_MAX)) {
      const found = this.#parts.scanner.event(sequence);
      if (found !== null) {
        bytes += found.bytes;
        if (events.length > 0 && bytes > PAGE_BYTES_MAX) {
          break;
        }
        events.push(found.event);
      }
      examined += 1;
    }
    return { events, examined };
  }

  /** Also of a deleted topic, while its events are still stored. */
  readKeys({ reads, limit, total }: ReadKeysRequest): ReadKeysResult {
    const { keys, scanner } = this.#parts;
    const asked = reads.slice(0, KEY_READS_MAX);
    const examinedMax = asked.some(({ types }) => types.length > 0) ? Math.max(limit, KEY_EXAMINED_MAX) : limit;
    const found = keys.sequencesOf(asked, examinedMax);
    // In the order of the log, so that a segment is cut once for all of them.
    const inOrder = found
      .flatMap((sequences, read) => sequences.map((sequence) => ({ sequence, read })))
      .sort((a, b) => a.sequence - b.sequence);
    const results = asked.map(({ from, to }, read): ReadKeysResult[number] => ({
      events: [],
      examined: (found[read]?.length ?? 0) < examinedMax ? to : from - 1,
    }));
    const matchers = asked.map(({ types }) => compileMatch({ types, exactTypes: [], sources: [], subjects: [] }));
    const full = new Set<number>();
    let left = total;
    let bytes = 0;
    for (const { sequence, read } of inOrder) {
      const result = results[read];
      if (result === undefined || full.has(read)) continue;
      const found = left > 0 ? scanner.event(sequence) : null;
      const matches = found !== null && (matchers[read]?.(found.event.json) ?? true);
      const size = matches ? found.bytes : 0;
      const isFull = result.events.length >= limit || (bytes > 0 && bytes + size > PAGE_BYTES_MAX);
      if (left === 0 || (matches && isFull)) {
        result.examined = sequence - 1;
        full.add(read);
        continue;
      }
      if (matches) {
        result.events.push(found.event);
        bytes += size;
        left -= 1;
      }
      result.examined = Math.max(result.examined, sequence);
    }
    return results;
  }

  resolve(position: Position, as: 'start' | 'end'): ResolveResult {
    return resolvePosition(position, as, this.#extent());
  }

  #extent(): Extent {
    const { state, scanner, ports } = this.#parts;
    const { firstSequence, lastSequence } = state;
    return {
      firstSequence,
      lastSequence,
      now: ports.clock.now(),
      firstSince: (time) => scanner.firstRecordedSince(time, firstSequence, lastSequence),
    };
  }

  #pageUp(from: number, end: number | null, limit: number, matches: ReturnType<typeof compileMatch>): Page {
    const { firstSequence, lastSequence } = this.#parts.state;
    const to = Math.min(end ?? lastSequence, lastSequence);
    if (from > to) {
      return { outcome: 'page', from, events: [], next: null, firstSequence, lastSequence };
    }
    const { events, examined } = this.#parts.scanner.scan({
      from,
      to,
      order: 'asc',
      matches,
      eventsMax: limit,
      bytesMax: PAGE_BYTES_MAX,
    });
    return { outcome: 'page', from, events, next: examined < to ? examined : null, firstSequence, lastSequence };
  }

  #pageDown(from: number, end: number | null, limit: number, matches: ReturnType<typeof compileMatch>): Page {
    const { firstSequence, lastSequence } = this.#parts.state;
    const to = Math.min(end ?? lastSequence, lastSequence);
    if (from > to) {
      return { outcome: 'page', from, events: [], next: null, firstSequence, lastSequence };
    }
    const { events, examined } = this.#parts.scanner.scan({
      from,
      to,
      order: 'desc',
      matches,
      eventsMax: limit,
      bytesMax: PAGE_BYTES_MAX,
    });
    return { outcome: 'page', from, events, next: examined > from ? examined - 1 : null, firstSequence, lastSequence };
  }
}

/** Until when a read waits for an event: not at all where none can come into its range any more. */
function endOfWait(deadline: number, until: Position | null, to: number | null, lastSequence: number): number {
  if (until?.kind === 'time') return Math.min(deadline, until.time);
  return to !== null && to <= lastSequence ? Number.NEGATIVE_INFINITY : deadline;
}
