import { z } from 'zod';
import { compileMatch } from '../events/filters.ts';
import { jsonOrNull } from '../json-or-null.ts';
import {
  FEED_GATHER_MAX_MS,
  FEED_GATHER_MS,
  FEED_OPEN_CHARS_MAX,
  FEED_SETTLE_MS,
  FEED_TELL_MS,
  FEEDS_ASK_CHARS,
  FEEDS_OPEN_CHARS_MAX,
  FRAME_CHARS_MAX,
  FRAME_EVENTS_MAX,
} from './limits.ts';
import type { TopicLogParts } from './parts.ts';
import { type EventMatch, FEED_CLOSED, type FeedSocket, type FrameHead } from './protocol.ts';
import type { Matcher } from './scan.ts';

const matchSchema = z.object({
  types: z.array(z.string()),
  exactTypes: z.array(z.string()),
  sources: z.array(z.string()),
  subjects: z.array(z.string()),
});

const messageSchema = z.union([
  z.object({ v: z.literal(1), after: z.int().min(0), match: matchSchema, until: z.int().min(0).nullable() }),
  z.object({ v: z.literal(1), took: z.int().min(0) }),
]);

/** What lies beside the socket of a feed, where it outlives a hibernation. */
const attachmentSchema = z.object({
  v: z.literal(1),
  match: matchSchema,
  until: z.int().nullable(),
  told: z.int(),
  covered: z.int(),
  quiet: z.boolean(),
});

interface Feed {
  readonly socket: FeedSocket;
  readonly match: EventMatch;
  /** Feeds that want the same share the work. */
  readonly matchKey: string;
  readonly matches: Matcher;
  readonly until: number | null;
  /** Where the last frame ended, or where the reader said that it was. */
  told: number;
  /** When that was; milliseconds since the epoch, 0: before the object woke. */
  toldAt: number;
  /** Nothing up to here is owed: it was sent, or does not match. */
  covered: number;
  /** Told that there is more, or all that it wants: it says itself when it goes on. */
  quiet: boolean;
  /** Characters sent and not taken. */
  open: number;
  /** What is attached to the socket is older than this. */
  changed: boolean;
}

/** Frames for feeds that want the same from the same place on; null: nothing there matches. */
interface Round {
  to: number;
  /** The frame behind its `after`, or null where it would be too large. */
  rest: string | null;
  matched: boolean;
}

/**
 * Those who read a topic live. Each is at the head of the log, or quiet until it says that it is there: no cursor moves here
 * for anybody who is behind, nothing is kept for one who is slow, and an append waits for none of them. What is sent goes
 * out in rounds, from the log, after the commit is durable.
 */
export class Feeds {
  readonly #parts: TopicLogParts;
  readonly #feeds = new Map<FeedSocket, Feed>();
  /** Characters sent and not taken, over all feeds. */
  #open = 0;
  #gathering = false;
  #settling = false;

  constructor(parts: TopicLogParts) {
    this.#parts = parts;
    for (const socket of parts.ports.feedSockets?.() ?? []) this.#restore(socket);
  }

  /** What a reader says. Anything else than a message of protocol.ts ends its feed. */
  message(socket: FeedSocket, text: string): void {
    const message = messageSchema.safeParse(jsonOrNull(text)).data;
    if (message === undefined) {
      this.#end(socket, FEED_CLOSED.again, 'not understood');
    } else if ('took' in message) {
      const feed = this.#feeds.get(socket);
      if (feed !== undefined) this.#took(feed, message.took);
    } else {
      this.#follow(socket, message);
    }
  }

  /** The reader is gone. */
  gone(socket: FeedSocket): void {
    const feed = this.#feeds.get(socket);
    if (feed !== undefined) this.#took(feed, feed.open);
    this.#feeds.delete(socket);
  }

  /** Events were committed and are durable. They go out soon, beside whatever follows. */
  arrived(): void {
    if (this.#gathering || this.#feeds.size === 0) return;
    this.#gathering = true;
    this.#parts.ports.background(this.#gather());
  }

  /** The topic is gone. */
  endAll(): void {
    for (const socket of [...this.#feeds.keys()]) this.#end(socket, FEED_CLOSED.unknownTopic, 'unknown-topic');
  }

  #restore(socket: FeedSocket): void {
    const kept = attachmentSchema.safeParse(socket.deserializeAttachment()).data;
    if (kept === undefined) {
      socket.close(FEED_CLOSED.again, 'unknown');
      return;
    }
    this.#feeds.set(socket, { ...feedOf(socket, kept.match, kept.until, kept.told, 0), ...kept, changed: false });
  }

  #follow(
    socket: FeedSocket,
    { after, match, until }: { after: number; match: EventMatch; until: number | null },
  ): void {
    if (!this.#parts.state.exists) {
      this.#end(socket, FEED_CLOSED.unknownTopic, 'unknown-topic');
      return;
    }
    this.gone(socket);
    const feed = feedOf(socket, match, until, after, this.#parts.ports.clock.now());
    this.#feeds.set(socket, feed);
    attach(feed);
    this.#serve([feed]);
  }

  #took(feed: Feed, characters: number): void {
    // Of what was sent before a hibernation nothing is known any more: whoever hibernates has nothing under way.
    const taken = Math.min(characters, feed.open);
    feed.open -= taken;
    this.#open -= taken;
  }

  async #gather(): Promise<void> {
    const gatherMs = Math.min(Math.floor(this.#feeds.size * FEED_GATHER_MS), FEED_GATHER_MAX_MS);
    // A few have what comes at once.
    if (gatherMs > 0) await this.#parts.ports.clock.sleep(gatherMs);
    this.#gathering = false;
    this.#serve(this.#feeds.values());
    if (!this.#settling) {
      this.#settling = true;
      await this.#settle();
    }
  }

  /** An object with a timer does not hibernate, so that what is attached is never older than what was sent. */
  async #settle(): Promise<void> {
    await this.#parts.ports.clock.sleep(FEED_SETTLE_MS);
    this.#settling = false;
    for (const feed of this.#feeds.values()) {
      if (feed.changed) attach(feed);
    }
  }

  /** Gives each feed what it is owed. A feed that can't be served is ended: its reader comes back and reads the log. */
  #serve(feeds: Iterable<Feed>): void {
    const { state, ports } = this.#parts;
    const rounds = new Map<string, Round>();
    const head = state.lastSequence;
    for (const feed of [...feeds]) {
      const to = Math.min(head, feed.until ?? head);
      if (feed.quiet || feed.covered >= to) continue;
      try {
        const key = `${feed.covered} ${to} ${feed.matchKey}`;
        const round = rounds.get(key) ?? this.#round(feed, to);
        rounds.set(key, round);
        this.#give(feed, round);
      } catch (error) {
        ports.log('warn', 'A reader could not be served; its feed is ended.', { topic: ports.topic, error });
        this.#end(feed.socket, FEED_CLOSED.again, 'not served');
      }
    }
  }

  #round(feed: Feed, to: number): Round {
    const { events, examined } = this.#parts.scanner.scan({
      from: feed.covered + 1,
      to,
      order: 'asc',
      matches: feed.matches,
      eventsMax: FRAME_EVENTS_MAX,
      bytesMax: FRAME_CHARS_MAX,
    });
    const texts = events.map(({ json }) => json);
    const rest = restOf({ through: to, sequences: events.map(({ sequence }) => sequence) }, texts);
    const fits = examined === to && rest.length <= FRAME_CHARS_MAX;
    return { to, rest: fits ? rest : null, matched: !fits || events.length > 0 };
  }

  #give(feed: Feed, { to, rest, matched }: Round): void {
    feed.covered = to;
    feed.changed = true;
    const now = this.#parts.ports.clock.now();
    const isDone = feed.until !== null && to >= feed.until;
    // Who wants little comes back to where it was told last: not to what is no longer retained, nor to a long way to look through.
    const isOverdue = now - feed.toldAt >= FEED_TELL_MS;
    if (!matched && !isDone && !isOverdue) return;
    feed.toldAt = now;
    const asks = this.#open > FEEDS_ASK_CHARS ? '"asks":true,' : '';
    const frame = rest === null ? null : `{"after":${feed.told},${asks}${rest}`;
    if (
      frame === null ||
      feed.open + frame.length > FEED_OPEN_CHARS_MAX ||
      this.#open + frame.length > FEEDS_OPEN_CHARS_MAX
    ) {
      feed.quiet = true;
      feed.socket.send(`{"after":${feed.told},${restOf({ through: to, sequences: null }, [])}`);
      feed.told = to;
      attach(feed);
      return;
    }
    feed.quiet = isDone;
    feed.socket.send(frame);
    feed.told = to;
    feed.open += frame.length;
    this.#open += frame.length;
  }

  #end(socket: FeedSocket, code: number, reason: string): void {
    this.gone(socket);
    try {
      socket.close(code, reason);
    } catch {
      // It is closed already.
    }
  }
}

function feedOf(socket: FeedSocket, match: EventMatch, until: number | null, after: number, toldAt: number): Feed {
  return {
    socket,
    match,
    matchKey: JSON.stringify(match),
    matches: compileMatch(match),
    until,
    told: after,
    toldAt,
    covered: after,
    quiet: false,
    open: 0,
    changed: true,
  };
}

function attach(feed: Feed): void {
  const { match, until, told, covered, quiet } = feed;
  const kept: z.infer<typeof attachmentSchema> = { v: 1, match, until, told, covered, quiet };
  feed.socket.serializeAttachment(kept);
  feed.changed = false;
}

/** A frame behind its `{"after":N,`: feeds that want the same may have been told last at different places. */
function restOf(head: Omit<FrameHead, 'after'>, events: string[]): string {
  return [JSON.stringify(head).slice(1), ...events].join('\n');
}
