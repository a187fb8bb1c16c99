import { headOf, typeMatches } from '../events/filters.ts';
import type { LogEvent, ReadOrParkResult, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { Attaching } from './attaching.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { type Leases, sequencesOf } from './leases.ts';
import { LINGER_MS, LINGERING_MAX, READ_GIVEN_UP_MS, READERS_MAX, SHORT_OF_SLOTS_MS } from './limits.ts';
import type { LaneRow } from './rows.ts';
import { Slots } from './slots.ts';
import { LANES_PAGE } from './sql-lanes.ts';
import type { Throttle } from './throttle.ts';

/** A read of a log under way. */
interface Reading {
  ticket: number;
  since: number;
  /** The highest last sequence a wake has told of since the read began. */
  knownLast: number;
  /** Slots kept free for what it brings. */
  reserved: number;
  replay: boolean;
}

/** What is known of a live lane. */
interface Known {
  /** When its last read began. */
  readAt: number;
  /** The last sequence its log has told of. */
  last: number;
  /** Since when more waits for it than slots are free; null: it does not, or the lane has read since. */
  shortSince: number | null;
}

/** Moves lanes through their logs: reads pages, leases what matches, parks at the head, answers wakes. */
export class Lanes {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #attaching: Attaching;
  readonly #slots: Slots;
  readonly #throttle: Throttle;
  readonly #reading = new Map<number, Reading>();
  /** The lanes read last: the next turn begins behind them, so that no busy topic starves the others. */
  #lastLive = 0;
  #lastReplay = 0;
  #lingering = false;
  readonly #known = new Map<number, Known>();

  constructor(core: Core, leases: Leases, deaths: Deaths, attaching: Attaching, throttle: Throttle) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#attaching = attaching;
    this.#throttle = throttle;
    this.#slots = new Slots(core, throttle, () => this.#reading.values());
  }

  /** Starts whatever can be started: due retries first, then reads. Cheap to call when there is nothing. */
  pump(): void {
    if (!this.#core.running) return;
    const now = this.#core.now();
    for (const [lane, reading] of this.#reading) {
      // An answer that never comes must not hold its lane, nor the slots kept for it.
      if (Math.abs(now - reading.since) > READ_GIVEN_UP_MS) this.#reading.delete(lane);
    }
    const first = this.#core.sql.firstDue();
    if (first && first.due <= now) this.#leases.send(this.#core.tx(() => this.#leaseRetries(now)));
    if (this.#core.readingHeld || !this.#core.sql.hasUnread()) return;
    const { sql } = this.#core;
    const live = this.#startReads(rotated(this.#lastLive, sql.unparkedAfter), now);
    this.#lastLive = live.last ?? this.#lastLive;
    if (live.full) return;
    this.#lastReplay =
      this.#startReads(rotated(this.#lastReplay, sql.unreadReplaysAfter), now).last ?? this.#lastReplay;
  }

  /** `full`: no other lane could read either. `last`: the last lane that began to. */
  #startReads(lanes: Iterable<LaneRow>, now: number): { full: boolean; last: number | null } {
    let last: number | null = null;
    let lingering = 0;
    for (const lane of lanes) {
      const free = this.#slots.free(now);
      if (this.#reading.size >= READERS_MAX || free <= 0 || lingering > LINGERING_MAX) return { full: true, last };
      if (this.#reading.has(lane.id) || this.#core.backingOff(lane.id, now)) continue;
      const slots = this.#slots.of(lane, now);
      if (slots <= 0) continue;
      if (lane.replay === null && !this.#isWorthReading(lane, free, now)) {
        lingering += 1;
        this.#linger();
        continue;
      }
      last = lane.id;
      this.#core.ports.background(this.#read(lane, lane.replay === null ? this.#wholeLeases(slots) : slots));
    }
    return { full: false, last };
  }

  /** With deliveries under way a lane waits for a whole lease, or a moment, so that events share reads and leases. */
  #isWorthReading(lane: LaneRow, free: number, now: number): boolean {
    const known = this.#known.get(lane.id);
    if (known === undefined || this.#core.sql.inFlight().leases === 0) return true;
    const waiting = known.last - lane.next + 1;
    if (Math.min(free, waiting) >= this.#whole) return true;
    if (waiting <= free) return Math.abs(now - known.readAt) >= LINGER_MS;
    // A lease is made of few slots once, and then of as few each time it is settled, unless others join them.
    known.shortSince ??= now;
    return Math.abs(now - known.shortSince) >= SHORT_OF_SLOTS_MS;
  }

  get #whole(): number {
    return Math.min(this.#leases.share, Math.ceil(this.#core.concurrency / 2), this.#throttle.batch);
  }

  /** Without the slots that whole leases leave over; those wait for others, as far as `isWorthReading` lets them. */
  #wholeLeases(slots: number): number {
    const { share } = this.#leases;
    return slots < share ? slots : slots - (slots % share);
  }

  #tellOf(lane: number, last: number): void {
    const known = this.#known.get(lane);
    if (known) known.last = Math.max(known.last, last);
  }

  /** Leases due exceptions. While failing: one, and only if nothing else is under way. */
  #leaseRetries(now: number): number[] {
    const sent: number[] = [];
    for (;;) {
      const first = this.#core.sql.firstDue();
      if (!first || first.due > now) return sent;
      const lane = this.#core.sql.lane(first.lane);
      const limit = Math.min(this.#leases.retriesMax, this.#slots.forRetries(now));
      if (!lane || limit <= 0) return sent;
      sent.push(this.#leases.leaseRetries(lane, this.#core.sql.dueIn(lane.id, now, limit)));
    }
  }

  /** One page of one lane. Never throws. */
  async #read(lane: LaneRow, slots: number): Promise<void> {
    const reading: Reading = {
      ticket: this.#core.randomNumber(),
      since: this.#core.now(),
      knownLast: 0,
      reserved: slots,
      replay: lane.replay !== null,
    };
    this.#reading.set(lane.id, reading);
    if (lane.replay === null)
      this.#known.set(lane.id, {
        readAt: reading.since,
        last: this.#known.get(lane.id)?.last ?? 0,
        shortSince: null,
      });
    try {
      if (lane.replay === null) await this.#readLive(lane, reading, slots);
      else await this.#readReplay(lane, reading, slots);
      this.#core.laneSucceeded(lane.id);
    } catch (error) {
      this.#core.laneFailed(lane.id, error);
    } finally {
      this.#stillReading(lane, reading);
    }
    this.pump();
  }

  async #readLive(lane: LaneRow, reading: Reading, slots: number): Promise<void> {
    const { types } = this.#core.document.filter;
    const answer = await this.#core.ports.topicLog(lane.topic).readOrPark({
      v: 1,
      subscription: this.#core.ports.name,
      attachment: lane.attachment,
      ticket: reading.ticket,
      next: lane.next,
      types,
      low: this.#needed(lane),
      limit: slots,
    });
    if (answer.outcome !== 'not-attached') this.#tellOf(lane.id, answer.lastSequence);
    const now = this.#unchanged(lane, reading, types);
    if (!now) return;
    this.#leases.send(this.#core.tx(() => this.#applyRead(now, reading, answer, slots)));
  }

  #applyRead(lane: LaneRow, reading: Reading, answer: ReadOrParkResult, slots: number): number[] {
    if (answer.outcome === 'not-attached') {
      this.#attaching.again(lane);
      return [];
    }
    if (answer.outcome === 'events') return this.#take(lane, answer.events, answer.scannedTo, slots, null);
    const filtered = answer.next - lane.next;
    // A wake that overtook this answer told of more: don't sleep. The log has cleared that park, or will.
    const asleep = reading.knownLast < answer.next;
    this.#core.sql.moveLane(lane.id, { filtered }, { next: answer.next, parked: asleep ? reading.ticket : null });
    return [];
  }

  async #readReplay(lane: LaneRow, reading: Reading, slots: number): Promise<void> {
    const until = lane.until ?? 0;
    const own = JSON.parse(lane.types) as string[];
    const { types } = this.#core.document.filter;
    const answer = await this.#core.ports.topicLog(lane.topic).read({
      v: 1,
      from: { kind: 'sequence', sequence: lane.next },
      until: { kind: 'sequence', sequence: until },
      order: 'asc',
      limit: slots,
      match: { types, exactTypes: [], sources: [], subjects: [] },
      waitMs: 0,
    });
    const now = this.#unchanged(lane, reading, types);
    if (!now) return;
    if (answer.outcome !== 'page') {
      const error = `The topic could not be read: ${answer.outcome}.`;
      this.#core.tx(() => this.#leases.endReplay(now, 'failed', error));
      return;
    }
    const events = answer.events.filter((event) => matchesOwn(own, event));
    const scannedTo = answer.next ?? until;
    this.#leases.send(this.#core.tx(() => this.#take(now, events, Math.min(scannedTo, until), slots, null)));
  }

  /** Ends a read; false if it had been given up. */
  #stillReading(lane: LaneRow, reading: Reading): boolean {
    return this.#reading.get(lane.id) === reading && this.#reading.delete(lane.id);
  }

  /** The lane as it is now, if it still stands where the read began, and reads by the same filter. */
  #unchanged(before: LaneRow, reading: Reading, types: string[]): LaneRow | null {
    if (!this.#stillReading(before, reading) || !this.#core.running || this.#core.readingHeld) return null;
    const lane = this.#core.sql.lane(before.id);
    const same = lane?.status === 'active' && lane.next === before.next && lane.attachment === before.attachment;
    return same && sameTypes(types, this.#core.document.filter.types) ? lane : null;
  }

  /** Leases what was read and moves `next`, in one. Everything up to `scannedTo` was examined; `events` are what matched. */
  #take(lane: LaneRow, events: LogEvent[], scannedTo: number, slots: number, parked: number | null): number[] {
    const taken = events.slice(0, slots);
    const last = taken.length < events.length ? (taken.at(-1)?.sequence ?? lane.next - 1) : scannedTo;
    const examined = last - lane.next + 1;
    if (examined <= 0) return [];
    const leases = taken.length > 0 ? this.#leases.leaseNew(lane, taken) : [];
    this.#core.sql.moveLane(
      lane.id,
      { in_flight: taken.length, filtered: examined - taken.length },
      { next: last + 1, ...(parked === lane.parked ? {} : { parked }) },
    );
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    this.#core.progressAt = this.#core.now();
    return leases;
  }

  /** A log tells a parked lane of events. The answer is given only once a lease or an alarm is committed. */
  wake(request: WakeRequest): WakeAnswer {
    const lane = this.#core.present ? this.#core.sql.liveLane(request.topic) : null;
    if (!lane || lane.attachment !== request.attachment) return { state: 'gone' };
    if (lane.parked !== request.ticket) {
      // Overtaken the answer that says "parked" (or stale): whoever is reading won't sleep over it.
      const reading = this.#reading.get(lane.id);
      if (reading) reading.knownLast = Math.max(reading.knownLast, request.lastSequence);
      this.#core.tx(() => undefined);
      this.pump();
      return { state: 'reading' };
    }
    if (request.scannedTo < lane.next) return { state: 'parked', next: lane.next, low: this.#needed(lane) };

    const now = this.#core.now();
    this.#core.progressAt = now;
    const fresh = (request.events ?? []).filter((event) => event.sequence >= lane.next);
    this.#tellOf(lane.id, request.lastSequence);
    const idle = this.#core.sql.inFlight().leases === 0;
    const room = this.#core.running && !this.#core.failing && !this.#core.readingHeld ? this.#slots.free(now) : 0;
    const follows = request.events !== null && request.from <= lane.next;
    if (idle && follows && room > 0 && fresh.length <= room) {
      const sent = this.#core.tx(() => this.#take(lane, fresh, request.scannedTo, fresh.length, request.ticket));
      this.#leases.send(sent);
      return { state: 'parked', next: request.scannedTo + 1, low: this.#needed(lane) };
    }
    // What the park has passed stays passed: a cursor never moves back.
    const next = request.from <= lane.next ? Math.max(lane.next, request.first) : lane.next;
    this.#core.tx(() => this.#core.sql.moveLane(lane.id, { filtered: next - lane.next }, { next, parked: null }));
    this.pump();
    return { state: 'reading' };
  }

  /** Looks again in a moment; the watchdog does where this is lost. */
  #linger(): void {
    if (this.#lingering) return;
    this.#lingering = true;
    this.#core.ports.background(
      this.#core.ports.clock.sleep(LINGER_MS).then(() => {
        this.#lingering = false;
        this.pump();
      }),
    );
  }

  /** The lowest sequence neither settled nor filtered, redriven letters aside; the lane's cursor is one less. */
  low(lane: LaneRow): number {
    const fresh = this.#core.sql.leasesOf(lane.id).filter((lease) => lease.retry === 0);
    return Math.min(lane.next, this.#core.sql.lowestException(lane.id) ?? lane.next, ...fresh.flatMap(sequencesOf));
  }

  /** The lowest sequence that the log may still be asked for: D1 may not have the events of dead letters yet. */
  #needed(lane: LaneRow): number {
    const low = this.low(this.#core.sql.lane(lane.id) ?? lane);
    return Math.min(low, this.#core.sql.firstUnsentLetter(lane.topic) ?? low);
  }
}

/** All lanes, beginning behind the one with this id and ending with it. */
function* rotated(last: number, after: (id: number) => LaneRow[]): Generator<LaneRow> {
  for (const [start, end] of [
    [last, Number.POSITIVE_INFINITY],
    [0, last],
  ] as const) {
    for (let id = start; ; ) {
      const page = after(id);
      for (const lane of page) {
        if (lane.id > end) return;
        yield lane;
      }
      id = page.at(-1)?.id ?? id;
      if (page.length < LANES_PAGE) break;
    }
  }
}

function sameTypes(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((type, index) => type === b[index]);
}

function matchesOwn(types: string[], event: LogEvent): boolean {
  return types.length === 0 || typeMatches(types, headOf(event.json).type);
}
