import type { Log } from '../platform.ts';
import type { LogEvent, ReadRequest, ReadResult } from '../topics/protocol.ts';

export type Page = Extract<ReadResult, { outcome: 'page' }>;

/** One end of an open WebSocket, as far as tails use it. */
export interface Socket {
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Called once, before anything can come. What is no text comes as the empty one. */
  listen(listener: { message(text: string): void; closed(code: number): void }): void;
}

/** What a tail needs of the hub. */
export interface TailPorts {
  topic: string;
  read(request: ReadRequest): Promise<ReadResult>;
  /** A feed of the topic's log (see FeedMessage in topics/protocol.ts); null: there are too many. */
  feed(): Promise<Socket | null>;
  /** What of these its reader wants, beyond `match`. Where that takes too much, `next` says how far it came; else null. */
  filter(events: readonly LogEvent[]): { events: readonly LogEvent[]; next: number | null };
  /** Milliseconds since the epoch. */
  now(): number;
  log: Log;
}
