import { isSameContent, isTimeSent } from '../events/content.ts';
import { EVENT_HASHES_BYTES, IDENTITY_BYTES } from '../events/hashes.ts';
import { linesOf, type Taken } from './batch.ts';
import type { RecordEvent } from './identities.ts';
import type { Recorded } from './identity-pages.ts';
import type { AppendRequest, AppendResult, Duplicate, NewEvents } from './protocol.ts';

/** What a group of appends is decided on. */
export interface AppendState {
  exists: boolean;
  lastSequence: number;
  full: boolean;
  /** Records the events of a request, with these hashes and from this sequence on, under their identities (identities.ts). */
  recorder: (hashes: Uint8Array, first: number) => RecordEvent;
  /** Takes back what was recorded behind a sequence. */
  takeBack: (sequence: number) => void;
  /** The JSON of a stored event; null if it is not there any more. */
  stored: (sequence: number) => string | null;
  /** Up to here what is recorded has no mark: something else is in its place. */
  unmarkedThrough: number;
}

export interface AppendPlan {
  /** One for each request, in order. */
  results: AppendResult[];
  /** The events to store, request by request, with sequences from `lastSequence + 1` on without gaps. */
  taken: Taken[];
  /** How many those are. */
  count: number;
  /** The topic has to be made. */
  creates: boolean;
  /** Events that were recorded before, of requests that weren't refused. */
  duplicates: number;
}

/**
 * Decides a group of appends that share a transaction: each by itself, in order, all or nothing, the later ones seeing
 * what the earlier ones insert.
 */
export function decideAppends(requests: readonly AppendRequest[], state: AppendState): AppendPlan {
  const plan: AppendPlan = { results: [], taken: [], count: 0, creates: false, duplicates: 0 };
  for (const request of requests) {
    if (!state.exists && !plan.creates && !request.create) {
      plan.results.push({ outcome: 'unknown-topic' });
      continue;
    }
    const result = decideOne(request, plan, state);
    plan.results.push(result);
    if (result.outcome !== 'appended') {
      state.takeBack(state.lastSequence + plan.count);
      continue;
    }
    const { duplicates } = result;
    plan.duplicates += duplicates.length;
    const count = request.events.count - duplicates.length;
    if (count === 0) continue;
    plan.taken.push(takenOf(request.events, duplicates));
    plan.count += count;
    plan.creates ||= !state.exists;
  }
  return plan;
}

/** What it refuses may have been recorded in part. */
function decideOne(request: AppendRequest, { taken, count }: AppendPlan, state: AppendState): AppendResult {
  const { events } = request;
  const lastSequence = state.lastSequence + count;
  const duplicates: Duplicate[] = [];
  const texts = new Texts(state, taken, events);
  let next = lastSequence + 1;
  const record = state.recorder(events.hashes, next);
  for (let index = 0; index < events.count; index += 1) {
    const before = record(index, next);
    if (before === null) {
      next += 1;
      continue;
    }
    const { sequence } = before;
    const isOwn = sequence > lastSequence;
    const json = () => (isOwn ? texts.own(indexOfNew(sequence - lastSequence - 1, duplicates)) : texts.of(sequence));
    const own = events.hashes.subarray(index * EVENT_HASHES_BYTES + IDENTITY_BYTES, (index + 1) * EVENT_HASHES_BYTES);
    if (!isSame(before, json, own, () => texts.own(index), state.unmarkedThrough)) {
      return { outcome: 'event-id-conflict', index, sequence: isOwn ? null : sequence };
    }
    duplicates.push({ index, sequence });
  }
  // A retry finds all its events recorded: it is told so whatever it expects, for its first try may have won.
  if (duplicates.length < events.count) {
    if (request.expectedLastSequence !== null && request.expectedLastSequence !== lastSequence) {
      return { outcome: 'wrong-expected-sequence', lastSequence };
    }
    if (state.full) {
      return { outcome: 'topic-full' };
    }
  }
  return { outcome: 'appended', first: lastSequence + 1, duplicates };
}

/** The JSON of events, stored or about to be; a request is taken apart only where it is asked for, and then once. */
class Texts {
  readonly #state: AppendState;
  readonly #taken: readonly Taken[];
  readonly #own: NewEvents;
  readonly #lines = new Map<NewEvents, string[]>();

  /** @param own of the request that is being decided */
  constructor(state: AppendState, taken: readonly Taken[], own: NewEvents) {
    this.#state = state;
    this.#taken = taken;
    this.#own = own;
  }

  /** Of the request that is being decided. */
  own(index: number): string {
    return this.#linesOf(this.#own)[index] ?? '';
  }

  /** Of what was recorded before that request; null if it is not there any more. */
  of(sequence: number): string | null {
    const { lastSequence, stored } = this.#state;
    if (sequence <= lastSequence) return stored(sequence);
    let place = sequence - lastSequence - 1;
    for (const { events, indexes } of this.#taken) {
      const count = indexes?.length ?? events.count;
      if (place < count) return this.#linesOf(events)[indexes?.[place] ?? place] ?? null;
      place -= count;
    }
    return null;
  }

  #linesOf(events: NewEvents): string[] {
    const lines = this.#lines.get(events) ?? linesOf(events.lines);
    this.#lines.set(events, lines);
    return lines;
  }
}

/** The index of the event behind so many others that are no duplicates. */
function indexOfNew(others: number, duplicates: readonly Duplicate[]): number {
  let index = others;
  for (const duplicate of duplicates) {
    if (duplicate.index > index) break;
    index += 1;
  }
  return index;
}

/** Whether an event is the one that was recorded before under its identity. Their JSON is read only where marks don't tell. */
function isSame(
  { sequence, mark }: Recorded,
  before: () => string | null,
  ownMark: Uint8Array,
  own: () => string,
  unmarkedThrough: number,
): boolean {
  if (ownMark.every((byte, place) => byte === mark[place])) return true;
  const json = before();
  if (json === null) return false;
  const event = { json: own(), timeSent: isTimeSent(ownMark) };
  // Of an event without a mark it is not known whose its time is.
  if (sequence <= unmarkedThrough) return [true, false].some((timeSent) => isSameContent({ json, timeSent }, event));
  return isSameContent({ json, timeSent: isTimeSent(mark) }, event);
}

/** The events of a request without those that were recorded before. */
function takenOf(events: NewEvents, duplicates: readonly Duplicate[]): Taken {
  if (duplicates.length === 0) return { events, indexes: null };
  const known = new Set(duplicates.map(({ index }) => index));
  return {
    events,
    indexes: Array.from({ length: events.count }, (_, index) => index).filter((index) => !known.has(index)),
  };
}

/**
 * Checks what would make a whole transaction fail, so that one caller's mistake stays its own.
 *
 * @throws if a caller broke the contract of NewEvents.
 */
export function assertAppendable({ events: { count, lines, keys, hashes } }: AppendRequest): void {
  if (hashes.length !== count * EVENT_HASHES_BYTES) {
    throw new Error('Each event to append needs the hashes of its identity and its content.');
  }
  if (objectLines(lines) !== count) {
    throw new Error('The events to append are objects in JSON, each on a line of its own.');
  }
  if (keys !== null && !(keys.startsWith('[') && keys.endsWith(']'))) {
    throw new Error('The keys of events to append are an array in JSON, or null.');
  }
}

/** How many lines there are, each of them something in braces; 0 if one is not. */
function objectLines(lines: string): number {
  if (!lines.startsWith('{') || !lines.endsWith('}')) return 0;
  let count = 1;
  for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', end + 1)) {
    if (lines[end - 1] !== '}' || lines[end + 1] !== '{') return 0;
    count += 1;
  }
  return count;
}
