/**
 * What happened to a hub, as its clients and receivers saw it: the input of the checker. Times are any one clock that all
 * recorders share (milliseconds, or steps of the simulation); only their order counts. A call that never came back ends at
 * Infinity and is `unknown`, and so is one that failed without saying whether it had effect.
 */
export interface Span {
  start: number;
  end: number;
}

/** `failure` means surely without effect. */
export type Outcome = 'success' | 'failure' | 'unknown';

export interface SentEvent {
  /** Source and id together. */
  identity: string;
  /** Anything that differs if the content does. */
  content: string;
  type: string;
}

export interface SeenEvent extends SentEvent {
  sequence: number;
}

export interface Publish extends Span {
  kind: 'publish';
  outcome: Outcome;
  topic: string;
  events: SentEvent[];
  /** `Expected-Last-Sequence`, if sent. */
  expected: number | null;
  /** One an event where the outcome is success, else empty. */
  receipts: { sequence: number; duplicate: boolean }[];
  /** The `lastSequence` of a refusal `wrong-expected-sequence`. */
  refusedAt: number | null;
}

export interface Read extends Span {
  kind: 'read';
  topic: string;
  after: number;
  /** Exact types asked for; empty: all. */
  types: string[];
  events: SeenEvent[];
  /** Every sequence from `after + 1` to here was examined. */
  scannedTo: number;
  lastSequence: number;
}

/** One request as the receiver saw it; `success` if it answered 2xx, in time or not. */
export interface Delivery extends Span {
  kind: 'delivery';
  outcome: Outcome;
  subscription: string;
  event: SeenEvent;
  topic: string;
  webhookId: string;
  /** The sequences of all events in the same request; absent: it was the only one. */
  members?: readonly number[];
  replay: string | null;
  /** Who sent it, under another name for each lease, and what order goes by; null where that is not known. */
  sender: { consumer: string; key: string | null; redriven: boolean } | null;
}

export interface Configure extends Span {
  kind: 'configure';
  outcome: Outcome;
  subscription: string;
  action: 'put' | 'delete' | 'seek' | 'pause' | 'resume';
  /** The one topic that a seek moves; null: all. */
  topic: string | null;
  /** The topics and patterns of topics of a `put`. */
  topics: string[];
  /** The type patterns of a `put` (`*` is any run of characters); empty: every type. */
  types: string[];
  /** Of a `put`. */
  ordering: 'none' | 'key' | 'topic';
}

/** Whoever redrives or discards a dead letter. `sequence` null: a job over many. */
export interface Intervene extends Span {
  kind: 'intervene';
  subscription: string;
  topic: string | null;
  sequence: number | null;
  action: 'redrive' | 'discard';
}

export interface Counters {
  delivered: number;
  dead: number;
  pending: number;
  waiting: number;
  filtered: number;
  skipped: number;
  discarded: number;
}

/** A look at a subscription. */
export interface Look extends Span {
  kind: 'look';
  subscription: string;
  counters: Counters;
  lag: number;
  /** With the topic it is of; null with several topics. */
  cursor: { topic: string; sequence: number } | null;
  /** The sequence before the first that counts, for each topic, where the recorder knows; else null and the sum is not judged. */
  bases: Record<string, number> | null;
}

export interface ReplayLook extends Span {
  kind: 'replay';
  id: string;
  subscription: string;
  topic: string;
  from: number;
  to: number;
  types: string[];
  status: 'running' | 'done' | 'cancelled' | 'failed';
  total: number;
  delivered: number;
  failed: number;
  filtered: number;
  remaining: number;
}

/** A topic that somebody deleted: what it held need not be read any more, but no sequence is used twice. */
export interface RemoveTopic extends Span {
  kind: 'remove-topic';
  topic: string;
}

export type Operation = RemoveTopic | Publish | Read | Delivery | Configure | Intervene | Look | ReplayLook;

export type Fate = 'delivered' | 'dead' | 'pending' | 'filtered' | 'skipped' | 'discarded';

/** A subscription after everything has been healed and drained. */
export interface FinalSubscription {
  name: string;
  /** It was not paused or disabled, so that nothing may be left waiting. */
  running: boolean;
  counters: Counters;
  lag: number;
  /** How many sequences there are since its start or last seek, what that skipped too; null where nobody knows. */
  sequences: number | null;
  /** Its single events and letters add up to its counters: no seek, no replay's letters, no topic that came or went. */
  exact: boolean;
  /** What became of every sequence since its start or last seek. */
  fates: { topic: string; sequence: number; fate: Fate }[];
}

/** A dead letter as D1 has it at the end. */
export interface FinalLetter {
  subscription: string;
  topic: string;
  sequence: number;
  identity: string;
  content: string;
  state: 'open' | 'redriven' | 'resolved' | 'discarded';
}

export interface History {
  operations: Operation[];
  /** Absent: only the log is judged. */
  final: { subscriptions: FinalSubscription[]; letters: FinalLetter[] } | null;
}

/** A broken rule, in words that name what broke it. */
export interface Violation {
  rule: string;
  detail: string;
}

/** A type pattern in which `*` is any run of characters. */
export function matchesType(patterns: string[], type: string): boolean {
  return (
    patterns.length === 0 ||
    patterns.some((pattern) => new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`, 's').test(type))
  );
}
