import type { LogEvent } from '../topics/protocol.ts';
import { originOf } from './consent.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { type Leases, sequencesOf } from './leases.ts';
import {
  BATCH_BYTES_MAX,
  CLAIM_LIFE_MS,
  LEASE_BYTES_MAX,
  RATE_AHEAD_MS,
  RENEW_EVERY_MS,
  RENEW_REPLAY_EVERY_MS,
} from './limits.ts';
import type { ClaimedEvent, ClaimResult, DeliveryTarget } from './protocol.ts';
import { rateSlots } from './rate.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Secrets } from './secrets.ts';

/** The events of a lease as far as they fit, and the sequences that the log has no more. */
interface Loaded {
  events: LogEvent[];
  gone: number[];
}

/** Hands leases out: the first who asks gets the events, a token and the present configuration. */
export class Claiming {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #secrets: Secrets;

  constructor(core: Core, leases: Leases, deaths: Deaths, secrets: Secrets) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#secrets = secrets;
  }

  /** `void` where there is nothing to be had: claimed already, dropped, paused. @throws if the log can't be read */
  async claim(id: number): Promise<ClaimResult> {
    const before = this.#claimable(id);
    const lane = before && this.#core.sql.lane(before.lane);
    if (!before || !lane) return { outcome: 'void' };
    const loaded = this.#leases.cache.get(id) ?? (await this.#load(lane, before));

    // Everything may have changed meanwhile; from here on nothing else runs.
    const lease = this.#claimable(id);
    if (!lease) return { outcome: 'void' };
    const token = this.#core.token(16);
    const target = this.target();
    const { claimed, send } = this.#core.tx(() => this.#claim(lane, lease, loaded, token));
    this.#leases.send(send);
    if (claimed.length === 0) return { outcome: 'void' };
    return {
      outcome: 'claimed',
      token,
      renewEveryMs: lane.replay === null ? RENEW_EVERY_MS : RENEW_REPLAY_EVERY_MS,
      subscription: this.#core.ports.name,
      events: claimed,
      target,
    };
  }

  /** The lease, if it may be claimed now. */
  #claimable(id: number): LeaseRow | null {
    const lease = this.#core.sql.lease(id);
    return lease && lease.token === null && this.#core.running ? lease : null;
  }

  /** What was loaded is given out; what did not fit goes into another lease, what is gone dies. */
  #claim(lane: LaneRow, lease: LeaseRow, loaded: Loaded, token: string): { claimed: ClaimedEvent[]; send: number[] } {
    const { sql } = this.#core;
    const wanted = new Set(sequencesOf(lease));
    const gone = loaded.gone.filter((sequence) => wanted.delete(sequence));
    if (gone.length > 0 && lane.replay !== null) {
      this.#leases.endReplay(lane, 'failed', 'The topic let go of the events.');
      return { claimed: [], send: [] };
    }
    for (const sequence of gone) this.#expired(lane, lease, sequence);
    const { events, slots } = this.#inTime(
      lane,
      lease,
      this.#fitting(lease, loaded.events).filter((event) => wanted.delete(event.sequence)),
    );
    const send = wanted.size > 0 ? [this.#leases.again(lease, [...wanted])] : [];
    if (events.length === 0) {
      this.#leases.drop(lease);
      this.#deaths.endIfDone(lane.id);
      return { claimed: [], send };
    }
    sql.setLease(lease.id, {
      sequences: JSON.stringify(events.map((event) => event.sequence)),
      count: events.length,
      token,
      claims: lease.claims + 1,
      due: this.#core.now() + CLAIM_LIFE_MS,
      target_version: this.#core.row?.target_version ?? 0,
      batch: this.#isBatch ? (lease.batch ?? lease.id) : null,
    });
    const claimed = events.map((event, index) => this.#claimedEvent(lane, lease, event, slots?.[index] ?? null));
    return { claimed, send };
  }

  get #isBatch(): boolean {
    return this.#core.document.delivery.format === 'batch';
  }

  /** What goes into one request, where a lease is one; a batch that was sent before keeps its members. */
  #fitting(lease: LeaseRow, events: LogEvent[]): LogEvent[] {
    if (!this.#isBatch || lease.batch !== null) return events;
    let bytes = 0;
    const { maxBatch } = this.#core.document.delivery;
    return events.slice(0, maxBatch).filter(({ json }, index) => {
      bytes += json.length;
      return index === 0 || bytes <= BATCH_BYTES_MAX;
    });
  }

  /** Gives rate slots. Those whose slot lies too far ahead wait for it as exceptions: a lease is no place to wait. */
  #inTime(lane: LaneRow, lease: LeaseRow, events: LogEvent[]): { events: LogEvent[]; slots: number[] | null } {
    const { sql } = this.#core;
    const rate = lane.replay === null ? null : sql.lane(lane.id);
    const now = this.#core.now();
    // A batch is one request, and takes one slot.
    const all = rate && rateSlots(rate, now, this.#isBatch ? 1 : events.length);
    if (!all) return { events, slots: null };
    const slots = events.map((_, index) => all.slots[index] ?? all.slots[0] ?? now);
    const fitting = slots.filter((slot) => slot <= now + RATE_AHEAD_MS).length;
    const late = events.slice(fitting).map((event) => event.sequence);
    const given = rateSlots(rate, now, this.#isBatch ? Math.min(fitting, 1) : fitting);
    sql.setLane(lane.id, { rate_cursor: given?.cursor ?? rate.rate_cursor });
    if (late.length > 0) {
      if (!lease.retry) for (const sequence of late) sql.putException(untried(lane.id, sequence));
      const dues = slots.slice(fitting).map((slot) => slot - RATE_AHEAD_MS);
      sql.postpone(lane.id, late, dues);
      sql.moveLane(lane.id, { in_flight: -late.length, retrying: late.length });
    }
    return { events: events.slice(0, fitting), slots };
  }

  #claimedEvent(lane: LaneRow, lease: LeaseRow, event: LogEvent, notBefore: number | null): ClaimedEvent {
    const exception = lease.retry ? this.#core.sql.exception(lane.id, event.sequence) : null;
    return {
      topic: lane.topic,
      sequence: event.sequence,
      json: event.json,
      attempt: (exception?.attempts ?? 0) + 1,
      replay: lane.replay,
      notBefore,
    };
  }

  /** The events of a lease that is not in memory any more: from their exception rows, else from the log. */
  async #load(lane: LaneRow, lease: LeaseRow): Promise<Loaded> {
    const sequences = sequencesOf(lease);
    const own = new Map<number, string>();
    for (const sequence of lease.retry ? sequences : []) {
      const event = this.#core.sql.exception(lane.id, sequence)?.event;
      if (event) own.set(sequence, event);
    }
    const asked = sequences.filter((sequence) => !own.has(sequence));
    const answer =
      asked.length > 0 ? await this.#core.ask(lane.topic, (log) => log.eventsAt(asked)) : { events: [], examined: 0 };
    for (const event of answer.events) own.set(event.sequence, event.json);
    const events: LogEvent[] = [];
    let bytes = 0;
    for (const sequence of sequences) {
      const json = own.get(sequence);
      if (json === undefined) continue;
      bytes += json.length;
      if (events.length > 0 && bytes > LEASE_BYTES_MAX) break;
      events.push({ sequence, json });
    }
    return { events, gone: asked.slice(0, answer.examined).filter((sequence) => !own.has(sequence)) };
  }

  /** The log let go of an event that was still to be delivered. */
  #expired(lane: LaneRow, lease: LeaseRow, sequence: number): void {
    const exception = lease.retry ? this.#core.sql.exception(lane.id, sequence) : null;
    this.#deaths.die(lane, sequence, 'expired', 'in_flight', {
      attempts: exception?.attempts ?? 0,
      lastStatus: exception?.last_status ?? null,
      lastError: exception?.last_error ?? null,
      firstAttemptAt: exception?.first_attempt_at ?? null,
      event: null,
    });
  }

  /** Where and how requests go at present. @throws if there is no subscription */
  target(): DeliveryTarget {
    const { delivery, transform } = this.#core.document;
    const { kind, url, format, timeoutMs, headers, maxBatch } = delivery;
    const origin = this.#core.present && originOf(this.#core.present);
    const target = { kind, url, format, timeoutMs, headers, secrets: this.#secrets.all(), maxBatch, transform };
    return origin === null ? target : { ...target, origin };
  }
}

/** The row of a delivery that waits and was never attempted. */
function untried(lane: number, sequence: number) {
  return {
    lane,
    sequence,
    attempts: 0,
    tries: 0,
    due: 0,
    lease: null,
    redriven: 0,
    event: null,
    first_attempt_at: null,
    last_status: null,
    last_error: null,
    batch: null,
  };
}
