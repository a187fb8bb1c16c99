import { headOf, typeMatches } from '../events/filters.ts';
import type { LogEvent, ReadOrParkResult, WakeAnswer, WakeRequest } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { type Leases, randomNumber, sequencesOf } from './leases.ts';
import { LINGER_MS, PROBE_WITHIN_MS, RATE_AHEAD_MS, READ_GIVEN_UP_MS, READERS_MAX } from './limits.ts';
import { leaseSize } from './retry.ts';
import type { LaneRow } from './sql.ts';

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

/** Moves lanes through their logs: reads pages, leases what matches, parks at the head, answers wakes. */
export class Lanes {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #reading = new Map<number, Reading>();
  #lingering = false;

  constructor(core: Core, leases: Leases, deaths: Deaths) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
  }

  /** Starts whatever can be started: due retries first, then reads. Cheap to call when there is nothing. */
  pump(): void {
    if (!this.#core.running) return;
    this.#leases.send(this.#core.tx(() => this.#leaseRetries()));
    const now = this.#core.now();
    for (const [lane, reading] of this.#reading) {
      // An answer that never comes must not hold its lane, nor the slots kept for it.
      if (Math.abs(now - reading.since) > READ_GIVEN_UP_MS) this.#reading.delete(lane);
    }
    for (const lane of this.#core.sql.unparked(READERS_MAX * 4)) {
      if (this.#reading.size >= READERS_MAX) break;
      if (lane.status !== 'active' || this.#reading.has(lane.id) || this.#core.backingOff(lane.id, now)) continue;
      const slots = this.#slotsFor(lane, now);
      if (slots > 0) this.#core.ports.background(this.#read(lane, slots));
    }
  }

  /** Leases due exceptions. While failing: one, and only if nothing else is under way. */
  #leaseRetries(): number[] {
    const present = this.#core.present;
    if (!present) return [];
    const now = this.#core.now();
    const size = leaseSize(present.document.delivery.timeoutMs);
    const sent: number[] = [];
    for (;;) {
      const first = this.#core.sql.firstDue();
      if (!first || first.due > now) return sent;
      const lane = this.#core.sql.lane(first.lane);
      if (!lane) return sent;
      const { live, replay, leases } = this.#core.sql.inFlight();
      if (this.#core.failing && leases > 0) return sent;
      const free = present.document.maxInFlight - live - replay;
      const limit = this.#core.failing ? 1 : Math.min(size, free);
      if (limit <= 0) return sent;
      sent.push(this.#leases.leaseRetries(lane, this.#core.sql.dueIn(lane.id, now, limit)));
    }
  }

  /** How many events this lane may take now. */
  #slotsFor(lane: LaneRow, now: number): number {
    const present = this.#core.present;
    if (!present || this.#core.tooManyExceptions) return 0;
    const { live, replay, leases } = this.#core.sql.inFlight();
    const reserved = [...this.#reading.values()];
    if (this.#core.failing) return this.#mayProbeLog(present.row.probe_at, leases + reserved.length, now) ? 1 : 0;
    const { maxInFlight } = present.document;
    const taken = live + replay + reserved.reduce((sum, reading) => sum + reading.reserved, 0);
    const free = maxInFlight - taken;
    if (lane.replay === null) return free;
    // Live goes first; a replay gets at most half the slots, and as many as may start within a second.
    const inReplays = replay + reserved.reduce((sum, reading) => sum + (reading.replay ? reading.reserved : 0), 0);
    const half = Math.max(1, Math.floor(maxInFlight / 2)) - inReplays;
    const unclaimed = lane.rate_count === null ? 0 : this.#unclaimed(lane.id);
    return Math.min(free, half, rateAllows(lane, now) - unclaimed);
  }

  /** Events of a lane that are leased and have no rate slot yet. */
  #unclaimed(lane: number): number {
    return this.#core.sql.leasesOf(lane).reduce((sum, lease) => sum + (lease.token === null ? lease.count : 0), 0);
  }

  /** The next event of the log is the probe only where no retry is due within five minutes. */
  #mayProbeLog(probeAt: number | null, underWay: number, now: number): boolean {
    if (underWay > 0 || probeAt === null || now < probeAt) return false;
    const first = this.#core.sql.firstDue();
    return first === null || first.due > now + PROBE_WITHIN_MS;
  }

  /** One page of one lane. Never throws. */
  async #read(lane: LaneRow, slots: number): Promise<void> {
    const reading: Reading = {
      ticket: randomNumber(this.#core),
      since: this.#core.now(),
      knownLast: 0,
      reserved: slots,
      replay: lane.replay !== null,
    };
    this.#reading.set(lane.id, reading);
    try {
      if (lane.replay === null) await this.#readLive(lane, reading, slots);
      else await this.#readReplay(lane, reading, slots);
      this.#core.laneBackoff.delete(lane.id);
    } catch (error) {
      this.#core.laneFailed(lane.id, error);
    } finally {
      this.#stillReading(lane, reading);
    }
    this.pump();
  }

  async #readLive(lane: LaneRow, reading: Reading, slots: number): Promise<void> {
    const types = this.#core.present?.document.filter.types ?? [];
    const answer = await this.#core.ports.topicLog(lane.topic).readOrPark({
      v: 1,
      subscription: this.#core.ports.name,
      attachment: lane.attachment,
      ticket: reading.ticket,
      next: lane.next,
      types,
      low: this.low(lane),
      limit: slots,
    });
    if (!this.#stillReading(lane, reading)) return;
    const now = this.#unchanged(lane);
    if (!now || !sameTypes(types, this.#core.present?.document.filter.types)) return;
    const leases = this.#core.tx(() => this.#applyRead(now, reading, answer, slots));
    this.#leases.send(leases);
  }

  #applyRead(lane: LaneRow, reading: Reading, answer: ReadOrParkResult, slots: number): number[] {
    if (answer.outcome === 'not-attached') {
      // The log does not know this lane (its storage was lost or it was told to forget): attach again, from here.
      this.#core.sql.setLane(lane.id, { status: 'attaching', parked: null });
      this.#core.setRow({ attach_after: '' });
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
    const types = this.#core.present?.document.filter.types ?? [];
    const answer = await this.#core.ports.topicLog(lane.topic).read({
      v: 1,
      from: { kind: 'sequence', sequence: lane.next },
      until: { kind: 'sequence', sequence: until },
      order: 'asc',
      limit: slots,
      match: { types, exactTypes: [], sources: [], subjects: [] },
      waitMs: 0,
    });
    if (!this.#stillReading(lane, reading)) return;
    const now = this.#unchanged(lane);
    if (!now || !sameTypes(types, this.#core.present?.document.filter.types)) return;
    if (answer.outcome !== 'page') {
      this.#core.tx(() =>
        this.#core.sql.setLane(lane.id, {
          status: 'failed',
          error: `The topic could not be read: ${answer.outcome}.`,
          ended_at: this.#core.now(),
        }),
      );
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

  /** The lane as it is now, if it still stands where the read began. */
  #unchanged(before: LaneRow): LaneRow | null {
    const lane = this.#core.sql.lane(before.id);
    return lane &&
      lane.status === 'active' &&
      lane.next === before.next &&
      lane.attachment === before.attachment &&
      this.#core.running
      ? lane
      : null;
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
      { next: last + 1, parked },
    );
    this.#deaths.endIfDone(lane.id);
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
    if (request.scannedTo < lane.next) return { state: 'parked', next: lane.next, low: this.low(lane) };

    const fresh = (request.events ?? []).filter((event) => event.sequence >= lane.next);
    const { live, replay, leases } = this.#core.sql.inFlight();
    const slots = (this.#core.present?.document.maxInFlight ?? 0) - live - replay;
    const takes =
      request.events !== null &&
      request.from <= lane.next &&
      leases === 0 &&
      this.#core.running &&
      !this.#core.failing &&
      !this.#core.tooManyExceptions &&
      fresh.length <= slots;
    if (takes) {
      const sent = this.#core.tx(() => this.#take(lane, fresh, request.scannedTo, slots, request.ticket));
      this.#leases.send(sent);
      return { state: 'parked', next: request.scannedTo + 1, low: this.low(lane) };
    }
    // What the park has passed stays passed: a cursor never moves back.
    const next = request.from <= lane.next ? Math.max(lane.next, request.first) : lane.next;
    this.#core.tx(() => this.#core.sql.moveLane(lane.id, { filtered: next - lane.next }, { next, parked: null }));
    if (leases > 0) this.#linger();
    else this.pump();
    return { state: 'reading' };
  }

  /** With deliveries under way, events that come within a moment share a read and a lease. */
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

  /** The lowest sequence the lane may still need; its cursor is one less. */
  low(lane: LaneRow): number {
    const fresh = this.#core.sql.leasesOf(lane.id).filter((lease) => lease.retry === 0);
    return Math.min(lane.next, this.#core.sql.lowestException(lane.id) ?? lane.next, ...fresh.flatMap(sequencesOf));
  }
}

/** How many requests of a throttled replay may start within the next second. */
function rateAllows(lane: LaneRow, now: number): number {
  if (lane.rate_count === null || lane.rate_span === null) return Number.POSITIVE_INFINITY;
  const distance = lane.rate_span / lane.rate_count;
  const horizon = now + RATE_AHEAD_MS;
  const start = Math.max(now, Math.min(lane.rate_cursor, horizon + lane.rate_span));
  return start > horizon ? 0 : Math.floor((horizon - start) / distance) + 1;
}

function sameTypes(a: string[], b: string[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((type, index) => type === b[index]);
}

function matchesOwn(types: string[], event: LogEvent): boolean {
  return types.length === 0 || typeMatches(types, headOf(event.json).type);
}
