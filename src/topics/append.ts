import { EVENT_HASHES_BYTES } from '../events/hashes.ts';
import { hashesAt, type Taken } from './batch.ts';
import { textOf } from './identity-pages.ts';
import type { AppendRequest, AppendResult, Receipt } from './protocol.ts';

/** Where a pair of source and id was recorded before, and with what content. */
export interface Recorded {
  sequence: number;
  content: string;
}

/** What a group of appends is decided on. */
export interface AppendState {
  exists: boolean;
  lastSequence: number;
  full: boolean;
  /** What was recorded under an identity inside the window. */
  recorded: (identity: string) => Recorded | undefined;
}

/** A new event with its place in the log. Hashes are 16 characters that stand for a byte each. */
export interface SequencedEvent {
  sequence: number;
  identity: string;
  content: string;
}

export interface AppendPlan {
  /** One for each request, in order. */
  results: AppendResult[];
  /** What to record, with sequences from `lastSequence + 1` on without gaps. */
  inserts: SequencedEvent[];
  /** The events of the inserts, request by request. */
  taken: Taken[];
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
  const inserts: SequencedEvent[] = [];
  const taken: Taken[] = [];
  const pending = new Map<string, Recorded>();
  let exists = state.exists;
  let duplicates = 0;
  const results = requests.map((request): AppendResult => {
    if (!exists && !request.create) {
      return { outcome: 'unknown-topic' };
    }
    const lastSequence = state.lastSequence + inserts.length;
    const decided = decideOne(
      request,
      lastSequence,
      state.full,
      (identity) => pending.get(identity) ?? state.recorded(identity),
    );
    if (decided.result.outcome === 'appended') duplicates += request.events.count - decided.inserts.length;
    if (decided.result.outcome === 'appended' && decided.inserts.length > 0) {
      exists = true;
      const { events } = request;
      taken.push({ events, indexes: decided.indexes.length === events.count ? null : decided.indexes });
      for (const insert of decided.inserts) {
        inserts.push(insert);
        pending.set(insert.identity, insert);
      }
    }
    return decided.result;
  });
  return { results, inserts, taken, creates: exists && !state.exists, duplicates };
}

interface Decision {
  result: AppendResult;
  inserts: SequencedEvent[];
  /** Which of the request's events those are. */
  indexes: number[];
}

function decideOne(
  request: AppendRequest,
  lastSequence: number,
  full: boolean,
  recorded: (identity: string) => Recorded | undefined,
): Decision {
  const { count, hashes } = request.events;
  const hashText = textOf(hashes);
  const receipts: Receipt[] = [];
  const inserts: SequencedEvent[] = [];
  const indexes: number[] = [];
  const own = new Map<string, Recorded>();
  for (let index = 0; index < count; index += 1) {
    const { identity, content } = hashesAt(hashText, index);
    const before = recorded(identity) ?? own.get(identity);
    if (before === undefined) {
      const insert = { sequence: lastSequence + inserts.length + 1, identity, content };
      inserts.push(insert);
      indexes.push(index);
      own.set(identity, insert);
      receipts.push({ sequence: insert.sequence, duplicate: false });
    } else if (before.content === content) {
      receipts.push({ sequence: before.sequence, duplicate: true });
    } else {
      return refused({ outcome: 'event-id-conflict', index, sequence: own.has(identity) ? null : before.sequence });
    }
  }
  // A retry finds all its events recorded: it is told so whatever it expects, for its first try may have won.
  if (inserts.length > 0) {
    if (request.expectedLastSequence !== null && request.expectedLastSequence !== lastSequence) {
      return refused({ outcome: 'wrong-expected-sequence', lastSequence });
    }
    if (full) {
      return refused({ outcome: 'topic-full' });
    }
  }
  return { result: { outcome: 'appended', receipts }, inserts, indexes };
}

function refused(result: AppendResult): Decision {
  return { result, inserts: [], indexes: [] };
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
