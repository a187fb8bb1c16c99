import type { KeyRead, ReadKeysResult } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { decisionsOf, filterDecided, wasWanted } from './decisions.ts';
import type { Leases } from './leases.ts';
import { HOLDS_AT_ONCE } from './limits.ts';
import type { Order } from './order.ts';
import { firstRun, type Run } from './picking.ts';
import type { HoldRow, LaneRow } from './rows.ts';
import { areTooMany, type Reserved, type Slots } from './slots.ts';

/** A hold, and what of it is read. */
interface Asked {
  hold: HoldRow;
  read: KeyRead;
}

/** Reads what waits behind keys that have become free, and leases it: each hold is a cursor of its own. */
export class CatchingUp {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #order: Order;
  readonly #slots: Slots;
  readonly #ended: () => void;
  readonly #reading = new Map<number, Reserved>();
  /** The key read last, by lane: the next turn begins behind it, so that no busy key starves the others. */
  readonly #lastKey = new Map<number, string>();

  constructor(core: Core, leases: Leases, deaths: Deaths, order: Order, slots: Slots, ended: () => void) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#order = order;
    this.#slots = slots;
    this.#ended = ended;
  }

  /** Reads under way keep slots free for what they bring. */
  get reading(): Iterable<Reserved> {
    return this.#reading.values();
  }

  get isBusy(): boolean {
    return this.#reading.size > 0;
  }

  /** Is this lane being read, for what it holds? */
  isReading(lane: number): boolean {
    return this.#reading.has(lane);
  }

  /** Starts what can be started. Cheap to call when nothing is held. */
  start(now: number): void {
    this.#slots.giveUpIn(this.#reading, now);
    if (this.#core.sql.holdCount() === 0) return;
    for (const id of this.#core.sql.lanesWithOpenHolds()) {
      const lane = this.#core.sql.lane(id);
      if (areTooMany(this.#reading.values()) || this.#slots.free(now) <= 0) return;
      if (lane?.status !== 'active' || this.#reading.has(id) || this.#core.silence.isLeftAlone(id, now)) continue;
      const slots = this.#slots.of(lane, now);
      const asked = slots > 0 && this.#order.isTurnOf(lane, 'held') ? this.#ready(lane, slots) : [];
      if (asked.length > 0) this.#core.ports.background(this.#read(lane, asked, slots));
    }
  }

  /** Holds of a lane whose turn it is, by key, beginning behind the last. */
  #ready(lane: LaneRow, slots: number): Asked[] {
    const { sql } = this.#core;
    const underWay = this.#order.keysUnderWay(lane.topic);
    const inTurn = this.#core.ordering === 'topic';
    const wanted = inTurn ? 1 : Math.min(slots, HOLDS_AT_ONCE);
    const last = this.#lastKey.get(lane.id) ?? '';
    const after = sql.openHoldsAfter(lane.id, last, wanted + underWay.size);
    const before = after.length < wanted + underWay.size ? sql.openHoldsAfter(lane.id, '', wanted + underWay.size) : [];
    const holds = new Map([...after, ...before].map((hold) => [hold.key, hold]));
    const ready = [...holds.values()].filter(({ key }) => !underWay.has(key)).slice(0, wanted);
    return ready.map((hold) => ({ hold, read: this.#readOf(lane, hold) }));
  }

  /** What is to be read of a key: as far as one and the same filter decided about it. */
  #readOf(lane: LaneRow, { key, first }: HoldRow): KeyRead {
    const changed = this.#core.sql.decidedNext(decisionsOf(lane), first) ?? Number.POSITIVE_INFINITY;
    const types = filterDecided(this.#core, lane, first)?.types ?? [];
    return { key, from: first, to: Math.min(lane.next, changed) - 1, types };
  }

  /** One page of some keys of one lane. Never throws. */
  async #read(lane: LaneRow, asked: Asked[], slots: number): Promise<void> {
    const limit = Math.min(slots, this.#order.runMax(this.#leases.sizes.swift));
    const reserved = Math.min(slots, asked.length * limit);
    const reading = { since: this.#core.now(), reserved, late: false, replay: lane.replay !== null };
    this.#reading.set(lane.id, reading);
    this.#lastKey.set(lane.id, asked.at(-1)?.hold.key ?? '');
    try {
      const reads = asked.map(({ read }) => read);
      const read = this.#core.ports.topicLog(lane.topic).readKeys({ v: 1, reads, limit, total: reserved });
      const results = await this.#slots.untilRead(lane.id, reading, read, this.#ended);
      const still = this.#reading.get(lane.id) === reading && this.#reading.delete(lane.id);
      const free = this.#slots.left(lane, reading, reserved);
      if (still && this.#core.running && !this.#core.readingHeld)
        this.#leases.send(this.#core.tx(() => this.#take(lane.id, asked, results, free)));
      this.#core.silence.answered(lane.id);
    } catch (error) {
      this.#core.silence.failed(lane.id, error);
    } finally {
      if (this.#reading.get(lane.id) === reading) this.#reading.delete(lane.id);
    }
    this.#ended();
  }

  /** Leases what was read and moves the holds, in one. */
  #take(laneId: number, asked: Asked[], results: ReadKeysResult, slots: number): number[] {
    const { sql } = this.#core;
    const lane = sql.lane(laneId);
    if (lane?.status !== 'active' || !this.#order.isTurnOf(lane, 'held')) return [];
    const underWay = this.#order.keysUnderWay(lane.topic);
    const runs: Run[] = [];
    let free = slots;
    let moved = false;
    for (const [index, { hold, read }] of asked.entries()) {
      const now = sql.hold(lane.id, hold.key);
      const result = results[index];
      // Something came in between: it is read again when it is its turn.
      if (!result || now?.first !== hold.first || now.blocked || underWay.has(hold.key)) continue;
      const events = result.events.filter((event) => wasWanted(this.#core, lane, event));
      if (events.length > 0 && free === 0) break;
      const run = firstRun(hold.key, events, free);
      const cut = events[run.events.length];
      const to = cut === undefined ? Math.max(result.examined, read.from - 1) + 1 : cut.sequence;
      moved ||= to > hold.first;
      this.#moveHold(lane, hold, to);
      if (run.events.length === 0) continue;
      free -= run.events.length;
      runs.push(run);
    }
    // A late answer may have found no room.
    if (!moved) return [];
    const taken = runs.reduce((sum, { events }) => sum + events.length, 0);
    const leases = taken > 0 ? this.#leases.leaseNew(lane, runs) : [];
    sql.moveLane(lane.id, { held: -taken, in_flight: taken });
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    this.#core.progressAt = this.#core.now();
    return leases;
  }

  /** A hold that has caught up with its lane is none any more. */
  #moveHold(lane: LaneRow, { key, first }: HoldRow, to: number): void {
    if (to >= lane.next) this.#core.sql.deleteHold(lane.id, key);
    else if (to > first) this.#core.sql.moveHold(lane.id, key, to);
  }
}
