import type { ReadOrParkResult, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { Attaching } from './attaching.ts';
import { CatchingUp } from './catching-up.ts';
import { Company } from './company.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { isBatch } from './delivery-kinds.ts';
import type { Leases } from './leases.ts';
import { HOLDS_MAX, LINGER_MS, LINGERING_MAX, PASS_EVENTS } from './limits.ts';
import { lowNeeded } from './low.ts';
import type { Order } from './order.ts';
import { rotated } from './rotation.ts';
import type { LaneRow } from './rows.ts';
import { areTooMany, type Reserved, Slots } from './slots.ts';
import { Taking } from './taking.ts';
import type { Throttle } from './throttle.ts';
import type { Withdrawing } from './withdrawing.ts';

interface LanesParts {
  leases: Leases;
  deaths: Deaths;
  order: Order;
  attaching: Attaching;
  throttle: Throttle;
  withdrawing: Withdrawing;
}

/** A read of a log under way. */
interface Reading extends Reserved {
  ticket: number;
  topic: string;
  /** The highest last sequence a wake has told of since the read began. */
  knownLast: number;
}

/** Moves lanes through their logs: reads pages, leases what matches, parks at the head, answers wakes. */
export class Lanes {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #withdrawing: Withdrawing;
  readonly #attaching: Attaching;
  readonly #order: Order;
  readonly #slots: Slots;
  readonly #company: Company;
  readonly #taking: Taking;
  readonly #catchingUp: CatchingUp;
  readonly #reading = new Map<number, Reading>();
  /** The lanes read last: the next turn begins behind them, so that no busy topic starves the others. */
  #lastLive = 0;
  #lastReplay = 0;
  #lingering = false;
  /** Lanes and what waits behind keys go first in turns. */
  #keysFirst = false;
  /** Told when it has looked for what can be started. */
  looked: () => void = () => undefined;

  constructor(core: Core, { leases, deaths, order, attaching, throttle, withdrawing }: LanesParts) {
    this.#core = core;
    this.#leases = leases;
    this.#withdrawing = withdrawing;
    this.#attaching = attaching;
    this.#order = order;
    this.#slots = new Slots(core, throttle, () => [...this.#reading.values(), ...this.#catchingUp.reading]);
    this.#company = new Company(core, leases, throttle);
    this.#taking = new Taking(core, { leases, deaths, order, company: this.#company });
    this.#catchingUp = new CatchingUp(core, leases, deaths, order, this.#slots, () => this.pump());
  }

  /** Starts whatever can be started: due retries first, then reads. Cheap to call when there is nothing. */
  pump(): void {
    this.#pump();
    this.looked();
  }

  #pump(): void {
    if (!this.#core.running) return;
    const now = this.#core.now();
    this.#slots.giveUpIn(this.#reading, now);
    if (!this.#order.isSettled() || !this.#core.isWanted) return;
    const first = this.#core.silence.firstDue(now);
    if (first && first.due <= now) this.#leases.send(this.#core.tx(() => this.#leaseRetries(now)));
    if (this.#core.readingHeld) return;
    this.#keysFirst = !this.#keysFirst;
    if (this.#keysFirst) this.#catchingUp.start(now);
    if (this.#core.sql.hasUnread() && this.#core.sql.holdCount() < HOLDS_MAX) this.#startAll(now);
    if (!this.#keysFirst) this.#catchingUp.start(now);
  }

  /** How many due retries may be leased now. */
  roomForRetries(now: number): number {
    return this.#slots.forRetries(now);
  }

  /** Is nothing being read? */
  get areAtRest(): boolean {
    return this.#reading.size === 0 && !this.#catchingUp.isBusy;
  }

  /** Is a log being read that answers in its time? */
  get areReading(): boolean {
    return [...this.#reading.values(), ...this.#catchingUp.reading].some(({ late }) => !late);
  }

  /** Live lanes first; where whole topics are in order they take turns with replays, which would never have one else. */
  #startAll(now: number): void {
    const { sql, ordering } = this.#core;
    const live = () => {
      const { full, last } = this.#startReads(rotated(this.#lastLive, sql.unparkedAfter), now);
      this.#lastLive = last ?? this.#lastLive;
      return full;
    };
    const replays = () => {
      const { full, last } = this.#startReads(rotated(this.#lastReplay, sql.unreadReplaysAfter), now);
      this.#lastReplay = last ?? this.#lastReplay;
      return full;
    };
    const [one, other] = ordering === 'topic' && this.#taking.last === 'live' ? [replays, live] : [live, replays];
    if (!one()) other();
  }

  /** `full`: no other lane could read either. `last`: the last lane that began to. */
  #startReads(lanes: Iterable<LaneRow>, now: number): { full: boolean; last: number | null } {
    let last: number | null = null;
    let lingering = 0;
    for (const lane of lanes) {
      const free = this.#slots.free(now);
      if (areTooMany(this.#reading.values()) || free <= 0 || lingering > LINGERING_MAX) return { full: true, last };
      if (this.#reading.has(lane.id) || this.#core.silence.isLeftAlone(lane.id, now)) continue;
      const slots = this.#slots.of(lane, now);
      if (slots <= 0 || !this.#isItsTurn(lane)) continue;
      if (lane.replay === null && !this.#company.isWorthReading(lane, free, now)) {
        lingering += 1;
        this.#linger();
        continue;
      }
      last = lane.id;
      this.#core.ports.background(this.#read(lane, lane.replay === null ? this.#company.wholeLeases(slots) : slots));
    }
    return { full: false, last };
  }

  /** Where a whole topic is in order, one of its lanes reads at a time, and only what can go then. */
  #isItsTurn(lane: LaneRow): boolean {
    if (this.#core.ordering !== 'topic') return true;
    const isRead = [...this.#reading.values()].some(({ topic }) => topic === lane.topic);
    return !isRead && !this.#catchingUp.isReading(lane.id) && this.#order.isTurnOf(lane, 'next');
  }

  /** Leases due exceptions. While failing: one, and only if nothing else is under way. */
  #leaseRetries(now: number): number[] {
    const { delivery } = this.#core.document;
    const size = isBatch(delivery) ? delivery.maxBatch : this.#leases.sizes.retriesMax;
    const sent: number[] = [];
    for (;;) {
      const limit = Math.min(size, this.#slots.forRetries(now));
      const due = limit <= 0 ? null : this.#order.dueRetries(now, limit, this.#leases.sizes.swift);
      const lane = due && this.#core.sql.lane(due.lane);
      if (!due || !lane) return sent;
      const asks = this.#core.silence.isDoubted(lane.id) && due.batch === null;
      sent.push(this.#leases.leaseRetries(lane, asks ? due.content.slice(0, 1) : due.content, due.batch));
    }
  }

  /** One page of one lane. Never throws. */
  async #read(lane: LaneRow, slots: number): Promise<void> {
    const reading: Reading = {
      ticket: this.#core.randomNumber(),
      since: this.#core.now(),
      topic: lane.topic,
      knownLast: 0,
      reserved: slots,
      late: false,
      replay: lane.replay !== null,
    };
    this.#reading.set(lane.id, reading);
    if (lane.replay === null) this.#company.reads(lane.id);
    try {
      const read = lane.replay === null ? this.#readLive(lane, reading, slots) : this.#readReplay(lane, reading, slots);
      await this.#slots.untilRead(lane.id, reading, read, () => this.pump());
      this.#core.silence.answered(lane.id);
    } catch (error) {
      this.#core.silence.failed(lane.id, error);
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
      low: lowNeeded(this.#core, lane),
      limit: this.#pageSize(lane, slots),
    });
    if (answer.outcome !== 'not-attached') this.#company.tellOf(lane.id, answer.lastSequence);
    const now = this.#unchanged(lane, reading, types);
    if (!now) return;
    const free = this.#slots.left(now, reading, slots);
    this.#leases.send(this.#core.tx(() => this.#applyRead(now, reading, answer, free)));
  }

  /** What is held is passed without a slot. */
  #pageSize(lane: LaneRow, slots: number): number {
    return lane.held === 0 ? slots : Math.max(slots, PASS_EVENTS);
  }

  #applyRead(lane: LaneRow, reading: Reading, answer: ReadOrParkResult, slots: number): number[] {
    if (answer.outcome === 'not-attached') {
      this.#attaching.again(lane);
      return [];
    }
    if (answer.outcome === 'events') return this.#taking.take(lane, answer.events, answer.scannedTo, slots, null);
    const filtered = answer.next - lane.next;
    // A wake that overtook this answer told of more: don't sleep. The log has cleared that park, or will.
    const asleep = reading.knownLast < answer.next;
    this.#core.sql.moveLane(lane.id, { filtered }, { next: answer.next, parked: asleep ? reading.ticket : null });
    return [];
  }

  async #readReplay(lane: LaneRow, reading: Reading, slots: number): Promise<void> {
    const until = lane.until ?? 0;
    const { types } = this.#core.document.filter;
    const answer = await this.#core.ports.topicLog(lane.topic).read({
      v: 1,
      from: { kind: 'sequence', sequence: lane.next },
      until: { kind: 'sequence', sequence: until },
      order: 'asc',
      limit: this.#pageSize(lane, slots),
      match: { types, exactTypes: [], sources: [], subjects: [] },
      waitMs: 0,
    });
    const now = this.#unchanged(lane, reading, types);
    if (!now) return;
    if (answer.outcome !== 'page') {
      const error = `The topic could not be read: ${answer.outcome}.`;
      this.#core.tx(() => this.#withdrawing.endReplay(now, 'failed', error));
      return;
    }
    const scannedTo = answer.next ?? until;
    const free = this.#slots.left(now, reading, slots);
    const taken = this.#core.tx(() => this.#taking.take(now, answer.events, Math.min(scannedTo, until), free, null));
    this.#leases.send(taken);
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

  /** A log tells a parked lane of events. The answer is given only once a lease or an alarm is committed. */
  wake(request: WakeRequest): WakeAnswer {
    const lane = this.#core.present ? this.#core.sql.liveLane(request.topic) : null;
    if (!lane || lane.attachment !== request.attachment) return { state: 'gone' };
    if (lane.parked !== request.ticket) {
      // Overtaken the answer that says "parked" (or stale): whoever is reading won't sleep over it.
      const reading = this.#reading.get(lane.id);
      if (reading) reading.knownLast = Math.max(reading.knownLast, request.lastSequence);
      this.#core.arm();
      this.pump();
      return { state: 'reading' };
    }
    if (request.scannedTo < lane.next) return { state: 'parked', next: lane.next, low: lowNeeded(this.#core, lane) };

    const now = this.#core.now();
    this.#core.progressAt = now;
    const fresh = (request.events ?? []).filter((event) => event.sequence >= lane.next);
    this.#company.tellOf(lane.id, request.lastSequence);
    // Who pulls has waited long enough.
    const isAlone = this.#core.sql.inFlight().leases === 0 && !this.#company.isBusy(lane, now);
    const goesAtOnce = this.#core.isPulled || isAlone;
    const { running, isWanted, failing, readingHeld, isFull } = this.#core;
    const takes = running && isWanted && !failing && !readingHeld && !isFull && this.#mayTakeWake(lane);
    const room = takes ? this.#slots.free(now) : 0;
    const follows = request.events !== null && request.from <= lane.next;
    if (goesAtOnce && follows && room > 0 && fresh.length <= room) {
      this.#company.reads(lane.id);
      const sent = this.#core.tx(() => this.#taking.take(lane, fresh, request.scannedTo, fresh.length, request.ticket));
      this.#leases.send(sent);
      const after = this.#core.sql.lane(lane.id);
      if (after?.parked === request.ticket)
        return { state: 'parked', next: after.next, low: lowNeeded(this.#core, after) };
      this.pump();
      return { state: 'reading' };
    }
    // What the park has passed stays passed: a cursor never moves back.
    const next = request.from <= lane.next ? Math.max(lane.next, request.first) : lane.next;
    this.#core.tx(() => this.#core.sql.moveLane(lane.id, { filtered: next - lane.next }, { next, parked: null }));
    this.pump();
    return { state: 'reading' };
  }

  /** May what a wake brings be taken at once, as far as order is concerned? */
  #mayTakeWake(lane: LaneRow): boolean {
    const { sql } = this.#core;
    return this.#order.isSettled() && this.#order.isTurnOf(lane, 'next') && sql.holdCount() < HOLDS_MAX;
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
}

function sameTypes(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((type, index) => type === b[index]);
}
