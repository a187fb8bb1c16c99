import type { Position } from '../events/position.ts';

/** The calls a TopicLog answers. All arguments and answers are plain values: they cross RPC, and deploys mix versions (`v`). */
export interface TopicLogApi {
  append(request: AppendRequest): Promise<AppendResult>;
  read(request: ReadRequest): Promise<ReadResult>;
  /** One event by its sequence. */
  event(sequence: number): Promise<EventResult>;
  /**
   * The events at these sequences (ascending), in order. Stops at 4 MiB, though never before the first: `examined` of the
   * sequences were looked at, and those of them that are not among `events` the log does not have any more.
   */
  eventsAt(sequences: number[]): Promise<{ events: LogEvent[]; examined: number }>;
  /** The next events of some keys. */
  readKeys(request: ReadKeysRequest): Promise<ReadKeysResult>;
  describe(): Promise<TopicDescription | null>;
  /** Makes the topic or replaces its configuration. `ifMatch` null: unguarded. */
  configure(config: TopicConfig, ifMatch: string | null): Promise<ConfigureResult>;
  /** Deletes the topic; what is pending or waiting anywhere becomes a dead letter `expired` first. Runs on in the alarm. */
  remove(request: { force: boolean }): Promise<RemoveResult>;
  /** The sequence a position means: as a start the first event at or after it, as an end the last at or before it. */
  resolve(position: Position, as: 'start' | 'end'): Promise<ResolveResult>;
  /** Makes a subscription known to this log and fixes where it starts. Idempotent by `attachment`. */
  attach(request: AttachRequest): Promise<AttachResult>;
  /** Forgets a subscription, unless it has been attached anew under another `attachment` since. */
  detach(subscription: string, attachment: string): Promise<void>;
  /** One page of events, or the caller is parked durably. */
  readOrPark(request: ReadOrParkRequest): Promise<ReadOrParkResult>;
  /** Takes a parked lane out of its park; answers from where it has to go on. */
  unpark(subscription: string, ticket: number): Promise<{ next: number } | null>;
  /** Where the log and a subscription in it stand, of one snapshot. `low`: the first sequence it has not settled. */
  standing(subscription: string, low?: number): Promise<Standing>;
  /** The names of the subscriptions that have this topic, by name, after `after`. */
  subscribers(after: string, limit: number): Promise<string[]>;
  /** Counts for whoever watches the hub; null: no such topic. */
  metrics(): Promise<TopicMetrics | null>;
  /** Finishes whatever is unfinished: announcing, wakes owed, a removal. Called by the cron sweep. */
  sweep(): Promise<void>;
}

/** Totals never go down, whatever becomes of the topic and its events. */
export interface TopicMetrics {
  /** Events ever recorded: the last sequence. */
  published: number;
  duplicates: number;
  /** On disk. */
  bytes: number;
  /** How often the sweep found work that was overdue, and how often an alarm or a sweep failed in part. */
  healed: number;
  failures: number;
}

/** An event as the log gives it: `json` is the whole structured CloudEvent with `topic`, `sequence` and `recordedtime`. */
export interface LogEvent {
  sequence: number;
  json: string;
}

/** Events on their way into a log, in their order; packed into few values, because a request may have a thousand. */
export interface NewEvents {
  count: number;
  /**
   * Of each the structured CloudEvent in JSON, without `topic`, `sequence`, `recordedtime`, on a line of its own; always a
   * non-empty object. No line end behind the last.
   */
  lines: string;
  /**
   * What ordering by key goes by, of each: `partitionkey`, else `subject`, else null. As a JSON array; null where none of
   * them has one.
   */
  keys: string | null;
  /** 32 bytes of each: 16 of SHA-256 over source and id, and the mark of its content (events/content.ts). */
  hashes: Uint8Array;
}

export interface AppendRequest {
  v: 1;
  events: NewEvents;
  expectedLastSequence: number | null;
  /** Make the topic if it does not exist. */
  create: boolean;
}

/** An event of a request that was recorded before, at this sequence. */
export interface Duplicate {
  index: number;
  sequence: number;
}

export type AppendResult =
  /** The events that are no duplicates follow each other without gaps from `first` on; `duplicates` by index. */
  | { outcome: 'appended'; first: number; duplicates: Duplicate[] }
  | { outcome: 'unknown-topic' }
  | { outcome: 'wrong-expected-sequence'; lastSequence: number }
  /** `sequence` null: the other event is an earlier one of the same request. */
  | { outcome: 'event-id-conflict'; index: number; sequence: number | null }
  | { outcome: 'topic-full' };

/** Which events are meant; an empty list means no restriction. */
export interface EventMatch {
  /** Patterns in which `*` is any run of characters. */
  types: string[];
  exactTypes: string[];
  sources: string[];
  subjects: string[];
}

export interface ReadRequest {
  v: 1;
  from: Position;
  /** Inclusive; null: no end. */
  until: Position | null;
  order: 'asc' | 'desc';
  limit: number;
  match: EventMatch;
  /** How long to wait for a first event where there is none yet. */
  waitMs: number;
}

export type ReadResult =
  | {
      outcome: 'page';
      /**
       * Where the range begins: the sequence that its start means. It may lie behind the last event. A log says it as soon as it
       * runs this version, which takes a while in a deployment.
       */
      from?: number;
      events: LogEvent[];
      /** Ascending: goes on with the position after this sequence. Descending: goes on with `until` this. Null: the range is done. */
      next: number | null;
      firstSequence: number;
      lastSequence: number;
    }
  | { outcome: 'unknown-topic' }
  | { outcome: 'sequence-expired'; firstSequence: number }
  | { outcome: 'invalid-range' };

/** Which events of a key are meant: from `from` to `to`, whose types match one of the patterns, if there are any. */
export interface KeyRead {
  key: string;
  from: number;
  to: number;
  types: string[];
}

export interface ReadKeysRequest {
  v: 1;
  /** `KEY_READS_MAX` at most. */
  reads: KeyRead[];
  /** Events of one key, at most. */
  limit: number;
  /** Events of all keys together, at most: the first in the log. */
  total: number;
}

/**
 * One for each key asked for, in the same order: the events that match, ascending, and up to where its range was looked at.
 * Together they are no larger than a page, nor more than `total`: what did not fit any more was not looked at.
 */
export type ReadKeysResult = { events: LogEvent[]; examined: number }[];

export type EventResult =
  | { outcome: 'found'; event: LogEvent }
  | { outcome: 'unknown-topic' }
  | { outcome: 'unknown-event' }
  | { outcome: 'sequence-expired'; firstSequence: number };

export interface TopicConfig {
  description: string;
  /** Milliseconds. */
  deduplicationWindowMs: number;
}

export interface TopicDescription {
  name: string;
  config: TopicConfig;
  etag: string;
  firstSequence: number;
  lastSequence: number;
  events: number;
  bytes: number;
  subscriptions: number;
  createdAt: number;
}

export type ConfigureResult =
  | { outcome: 'created' | 'replaced'; topic: TopicDescription }
  | { outcome: 'precondition-failed' };

export type RemoveResult =
  | { outcome: 'removed' }
  | { outcome: 'unknown-topic' }
  | { outcome: 'topic-has-subscriptions'; subscriptions: string[] };

export type ResolveResult =
  | { outcome: 'resolved'; sequence: number; firstSequence: number; lastSequence: number }
  | { outcome: 'sequence-expired'; firstSequence: number }
  | { outcome: 'position-ahead'; lastSequence: number };

export interface AttachRequest {
  v: 1;
  subscription: string;
  /** Random, made anew each time a subscription takes up the topic. */
  attachment: string;
  /** The subscription names this topic, rather than matching it by a pattern. */
  exact: boolean;
  from: Position;
}

export type AttachResult =
  | { outcome: 'attached'; next: number; lastSequence: number }
  | { outcome: 'sequence-expired'; firstSequence: number }
  | { outcome: 'position-ahead'; lastSequence: number };

export interface ReadOrParkRequest {
  v: 1;
  subscription: string;
  attachment: string;
  /** Random; names this park in wakes and in their answers, so that a stale one changes nothing. */
  ticket: number;
  /** First sequence not examined yet. */
  next: number;
  /** Type patterns of the subscription's filter; empty: every event. */
  types: string[];
  /** The lowest sequence the subscription may still need. */
  low: number;
  limit: number;
}

export type ReadOrParkResult =
  /** Every sequence from `next` to `scannedTo` was examined; `events` are those that match. */
  | { outcome: 'events'; events: LogEvent[]; scannedTo: number; lastSequence: number }
  /** Nothing matches up to `next - 1`, which is the head; a wake comes with the first that does. */
  | { outcome: 'parked'; next: number; lastSequence: number }
  | { outcome: 'not-attached' };

export interface Standing {
  firstSequence: number;
  lastSequence: number;
  /** `owed`: the first event since that matches, null if none has come; nothing from `next` up to it matches. */
  parked: { ticket: number; next: number; owed: number | null } | null;
  /**
   * When the event at `low` was recorded, or the first owed where nothing matches up to it, milliseconds since the epoch;
   * null: there is none, or nobody asked.
   */
  recordedAt: number | null;
}

/** From a log to a parked subscription. */
export interface WakeRequest {
  v: 1;
  topic: string;
  attachment: string;
  ticket: number;
  /** Where the lane parked; every sequence from here to `scannedTo` was examined. */
  from: number;
  /** The first that matches, as far as the log has looked: from `from` up to it nothing does. */
  first: number;
  /** The ones that match, or null if they are too large to carry. */
  events: LogEvent[] | null;
  scannedTo: number;
  lastSequence: number;
}

export type WakeAnswer =
  /** Parked again (the same ticket) with everything below `next` taken. */
  | { state: 'parked'; next: number; low: number }
  /** Will read by itself. Given only once a lease or an alarm is committed. */
  | { state: 'reading' }
  /** No such subscription, or it does not have the topic any more. */
  | { state: 'gone' };

/** From a log that is about to let go of events, to a subscription that may still need them. */
export interface OvertakeRequest {
  v: 1;
  topic: string;
  attachment: string;
  /** Whole events, ascending, without gaps from `from` to `to`. */
  events: LogEvent[];
  from: number;
  to: number;
}

/**
 * A feed: a WebSocket from a log to whoever reads it live, made by `fetch` with an upgrade. The reader says from where on,
 * the log answers with frames, of which each begins where the one before ended. `took` gives back room: what was sent and not
 * taken is bounded. It is said for every 64 KiB, and when a frame asks. A bare frame only says that there is more: then nothing follows until the reader has read that far by
 * `read`, and says from where on again.
 */
export type FeedMessage =
  | {
      v: 1;
      /** Everything up to here the reader has. */
      after: number;
      match: EventMatch;
      /** Nothing behind this is wanted, and a frame has to say when it is reached. Null: no end. */
      until: number | null;
    }
  /** Characters of frames taken. */
  | { v: 1; took: number };

/** The first line of a frame; then come its events, one a line. */
export interface FrameHead {
  /** Where the frame before ended. */
  after: number;
  /** True: the reader is to say what it took, however little. So many have frames under way that little is left for all. */
  asks?: boolean;
  /** Nothing up to here is missing. */
  through: number;
  /** Of the events in the frame, in order; null: a bare frame. */
  sequences: number[] | null;
}

/** The codes with which a log ends a feed; for any other the reader makes a new one. */
export const FEED_CLOSED = { unknownTopic: 4404, again: 4503 } as const;

/** A reader that hears nothing asks whether anybody is there; the log's object answers without waking. */
export const FEED_PING = 'ping';
export const FEED_PONG = 'pong';

/** The WebSocket of a feed, on the log's side. What is attached outlives a hibernation of the object. */
export interface FeedSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}
