import type { AppendRequest, AppendResult, NewEvent, Receipt } from './protocol.ts';

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
  /** The identities among the requests' that are duplicates of recorded events. */
  recorded: ReadonlyMap<string, Recorded>;
}

export interface SequencedEvent {
  sequence: number;
  event: NewEvent;
}

export interface AppendPlan {
  /** One for each request, in order. */
  results: AppendResult[];
  /** What to record, with sequences from `lastSequence + 1` on without gaps. */
  inserts: SequencedEvent[];
  /** The topic has to be made. */
  creates: boolean;
}

/**
 * Decides a group of appends that share a transaction: each by itself, in order, all or nothing, the later ones seeing
 * what the earlier ones insert.
 */
export function decideAppends(requests: readonly AppendRequest[], state: AppendState): AppendPlan {
  const inserts: SequencedEvent[] = [];
  const pending = new Map<string, Recorded>();
  let exists = state.exists;
  const results = requests.map((request): AppendResult => {
    if (!exists && !request.create) {
      return { outcome: 'unknown-topic' };
    }
    const lastSequence = state.lastSequence + inserts.length;
    const decided = decideOne(
      request,
      lastSequence,
      state.full,
      (identity) => pending.get(identity) ?? state.recorded.get(identity),
    );
    if (decided.result.outcome === 'appended' && decided.inserts.length > 0) {
      exists = true;
      for (const insert of decided.inserts) {
        inserts.push(insert);
        pending.set(insert.event.identity, { sequence: insert.sequence, content: insert.event.content });
      }
    }
    return decided.result;
  });
  return { results, inserts, creates: exists && !state.exists };
}

function decideOne(
  request: AppendRequest,
  lastSequence: number,
  full: boolean,
  recorded: (identity: string) => Recorded | undefined,
): { result: AppendResult; inserts: SequencedEvent[] } {
  const receipts: Receipt[] = [];
  const inserts: SequencedEvent[] = [];
  const own = new Map<string, Recorded>();
  for (const [index, event] of request.events.entries()) {
    const before = recorded(event.identity) ?? own.get(event.identity);
    if (before === undefined) {
      const sequence = lastSequence + inserts.length + 1;
      inserts.push({ sequence, event });
      own.set(event.identity, { sequence, content: event.content });
      receipts.push({ sequence, duplicate: false });
    } else if (before.content === event.content) {
      receipts.push({ sequence: before.sequence, duplicate: true });
    } else {
      return refused({ outcome: 'event-id-conflict', index, sequence: before.sequence });
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
  return { result: { outcome: 'appended', receipts }, inserts };
}

function refused(result: AppendResult): { result: AppendResult; inserts: SequencedEvent[] } {
  return { result, inserts: [] };
}

const HASH = /^[0-9a-f]{32}$/;

/**
 * Checks what would make a whole transaction fail, so that one caller's mistake stays its own.
 *
 * @throws if a caller broke the contract of NewEvent.
 */
export function assertAppendable(request: AppendRequest): void {
  for (const { identity, content, json } of request.events) {
    if (!HASH.test(identity) || !HASH.test(content) || !json.startsWith('{')) {
      throw new Error('An event to append needs the hashes of its identity and its content, and an object in JSON.');
    }
  }
}
