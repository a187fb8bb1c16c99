import { compileMatch } from '../events/filters.ts';
import type { Position } from '../events/position.ts';
import { recordedAt } from '../events/stored.ts';
import { FEED_MATCH_CHARS_MAX } from '../topics/limits.ts';
import { type EventMatch, FEED_CLOSED, type LogEvent, type ReadResult } from '../topics/protocol.ts';
import { Feed } from './feed.ts';
import {
  CLOCK_SLACK_MS,
  FEED_STEADY_MS,
  FILTER_REST_MS,
  TAIL_AGAIN_MAX_MS,
  TAIL_AGAIN_MS,
  TAIL_PAGE_EVENTS_MAX,
  TAIL_TRIES_MAX,
} from './limits.ts';
import type { Page, TailPorts } from './ports.ts';
import { joined } from './shared.ts';
import { sleep } from './waiting.ts';

export interface TailRequest {
  /** Up to where nothing is wanted (see {@link startOf}). */
  start: number;
  /** What was recorded before this is not wanted, wherever the tail begins; milliseconds since the epoch, null: all is. */
  since: number | null;
  /** Inclusive; null: no end. */
  until: Position | null;
  match: EventMatch;
  /** Events at most; null: as many as come. */
  limit: number | null;
}

/** The next events, in order; what lies between the step before and `through` and is not among them was not wanted. */
export interface TailStep {
  /** Readers who are given the same frame whole have the same list. */
  events: readonly LogEvent[];
  through: number;
}

/** Why a tail has ended by itself. */
export type TailEnd = 'done' | 'unknown-topic' | 'sequence-expired' | 'unavailable';

export type TailSteps = AsyncGenerator<TailStep, TailEnd, undefined>;

const EVERY: EventMatch = { types: [], exactTypes: [], sources: [], subjects: [] };

/**
 * Up to where nothing is wanted: where a reader stands who was given nothing yet.
 *
 * @param asked where the range of this page was to begin
 */
export function startOf({ from, firstSequence, lastSequence }: Page, asked: Position): number {
  if (from !== undefined) return from - 1;
  switch (asked.kind) {
    case 'sequence':
      return asked.sequence - 1;
    case 'latest':
      return lastSequence;
    case 'earliest':
    // What was recorded before is left out by `since`.
    case 'time':
      return firstSequence - 1;
  }
}

/**
 * @param first what a read of the range gave
 * @param stop ends the steps, which then say nothing more
 */
export function tail(asked: TailRequest, first: Page, ports: TailPorts, stop: AbortSignal): TailSteps {
  return new Tail(asked, first, ports, stop).steps();
}

/**
 * One reader's view of a topic: the range asked for, then what comes, in order, nothing twice and nothing left out. While it
 * is behind it reads pages from the log, as fast as its reader takes them; at the head it has a feed. Whatever happens to
 * a feed, it goes on from the log: the place is kept here alone, and each frame has to begin where the last one ended.
 */
class Tail {
  readonly #asked: TailRequest;
  readonly #first: Page;
  readonly #ports: TailPorts;
  readonly #stop: AbortSignal;
  /** The last sequence that is wanted, and the last time: milliseconds since the epoch. */
  readonly #until: { sequence: number | null; time: number | null };
  /** Everything up to here was given, or is not wanted. */
  #cursor: number;
  /** Events that are still wanted. */
  #left: number;
  /** An event behind the last time has come. */
  #past = false;

  constructor(asked: TailRequest, first: Page, ports: TailPorts, stop: AbortSignal) {
    this.#asked = asked;
    this.#first = first;
    this.#ports = ports;
    this.#stop = stop;
    this.#until = endOf(asked.until, first);
    this.#cursor = asked.start;
    this.#left = asked.limit ?? Number.POSITIVE_INFINITY;
  }

  /** A step counts as taken when the next one is asked for. */
  async *steps(): TailSteps {
    let feed: Feed | null = null;
    let failures = 0;
    const gone = joined();
    try {
      for (let page: ReadResult | null = this.#first; ; page = await this.#read()) {
        if (page === null) return 'unavailable';
        if (page.outcome === 'invalid-range') return 'done';
        if (page.outcome !== 'page') return page.outcome;
        yield* this.#give(page.events, page.next ?? this.#endOfPage(page));
        if (this.#stop.aborted || this.#isDone(page.next === null)) return 'done';
        if (page.next !== null) continue;

        feed ??= await this.#open();
        const before = this.#ports.now();
        const left = feed === null ? 'lost' : yield* this.#live(feed);
        if (left === 'behind') continue;
        if (left !== 'lost') return left;
        feed?.close();
        feed = null;
        failures = this.#ports.now() - before < FEED_STEADY_MS ? failures + 1 : 1;
        if (failures > TAIL_TRIES_MAX) return 'unavailable';
        await this.#pause(failures);
      }
    } finally {
      feed?.close();
      gone();
    }
  }

  /** What comes, until the log has more than a feed carries, or the feed is lost. */
  async *#live(feed: Feed): AsyncGenerator<TailStep, TailEnd | 'behind' | 'lost', undefined> {
    const { match } = this.#asked;
    // What is too large to lie beside a socket is matched here.
    const whole = JSON.stringify(match).length <= FEED_MATCH_CHARS_MAX;
    const matches = whole ? null : compileMatch(match);
    feed.say({ v: 1, after: this.#cursor, match: whole ? match : EVERY, until: this.#until.sequence });
    const deadline = (this.#until.time ?? Number.POSITIVE_INFINITY) + CLOCK_SLACK_MS;
    for (let expected = this.#cursor; ; ) {
      const heard = await feed.next(this.#ports.now, deadline);
      if (heard.kind === 'nothing') return 'behind';
      if (heard.kind === 'closed') return heard.code === FEED_CLOSED.unknownTopic ? 'unknown-topic' : 'lost';
      const { after, through, events } = heard.frame;
      if (after !== expected) return 'lost';
      if (events === null) return 'behind';
      expected = through;
      yield* this.#give(matches === null ? events : events.filter(({ json }) => matches(json)), through);
      if (this.#stop.aborted || this.#isDone(false)) return 'done';
      feed.took(heard.frame);
    }
  }

  /** In as many steps as the filter needs. */
  async *#give(events: readonly LogEvent[], through: number): AsyncGenerator<TailStep, void, undefined> {
    const timed = this.#asked.since !== null || this.#until.time !== null;
    for (let rest = timed ? events.filter((event) => this.#isInTime(event)) : events; ; ) {
      const part = this.#ports.filter(rest);
      const given = part.events.length > this.#left ? part.events.slice(0, this.#left) : part.events;
      this.#left -= given.length;
      const isLast = this.#left === 0 || this.#past;
      const last = isLast ? (given.at(-1)?.sequence ?? this.#cursor) : part.next;
      this.#cursor = Math.max(this.#cursor, last ?? through);
      yield { events: given, through: this.#cursor };
      const { next } = part;
      if (next === null || this.#left === 0 || this.#stop.aborted) return;
      rest = rest.filter(({ sequence }) => sequence > next);
      await sleep(FILTER_REST_MS, this.#stop);
    }
  }

  /** Up to where the last page of a range has it all. What lies behind the end is not wanted now, but may be later. */
  #endOfPage({ events, lastSequence }: Page): number {
    const { sequence, time } = this.#until;
    if (time !== null) return events.at(-1)?.sequence ?? this.#cursor;
    return Math.min(lastSequence, sequence ?? lastSequence);
  }

  #isInTime({ json }: LogEvent): boolean {
    const { since } = this.#asked;
    const { time } = this.#until;
    const at = recordedAt(json);
    if (time !== null && at > time) this.#past = true;
    return at >= (since ?? at) && at <= (time ?? at);
  }

  /** @param atHead nothing more is in the log by now */
  #isDone(atHead: boolean): boolean {
    const { sequence, time } = this.#until;
    if (this.#left === 0 || this.#past || (sequence !== null && this.#cursor >= sequence)) return true;
    return atHead && time !== null && this.#ports.now() >= time + CLOCK_SLACK_MS;
  }

  /** The next page; null: the log can't be reached. */
  async #read(): Promise<ReadResult | null> {
    const { match, until } = this.#asked;
    const { sequence } = this.#until;
    for (let failures = 1; failures <= TAIL_TRIES_MAX && !this.#stop.aborted; failures += 1) {
      try {
        return await this.#ports.read({
          v: 1,
          from: { kind: 'sequence', sequence: this.#cursor + 1 },
          until: sequence === null ? until : { kind: 'sequence', sequence },
          order: 'asc',
          limit: TAIL_PAGE_EVENTS_MAX,
          match,
          waitMs: 0,
        });
      } catch (error) {
        this.#complain('A tail could not read its log; it tries again.', error);
        await this.#pause(failures);
      }
    }
    return null;
  }

  async #open(): Promise<Feed | null> {
    try {
      const socket = await this.#ports.feed();
      return socket === null ? null : new Feed(socket, this.#stop);
    } catch (error) {
      this.#complain('A tail got no feed; it tries again.', error);
      return null;
    }
  }

  #complain(message: string, error: unknown): void {
    this.#ports.log('warn', message, { topic: this.#ports.topic, error });
  }

  #pause(failures: number): Promise<void> {
    return sleep(Math.min(TAIL_AGAIN_MS * 2 ** (failures - 1), TAIL_AGAIN_MAX_MS), this.#stop);
  }
}

function endOf(until: Position | null, first: Page): { sequence: number | null; time: number | null } {
  switch (until?.kind) {
    case undefined:
      return { sequence: null, time: null };
    case 'earliest':
      return { sequence: first.firstSequence, time: null };
    case 'latest':
      return { sequence: first.lastSequence, time: null };
    case 'sequence':
      return { sequence: until.sequence, time: null };
    case 'time':
      return { sequence: null, time: until.time };
  }
}
