import type { LogEvent } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { type Leases, sequencesOf, untried } from './leases.ts';
import { CLAIM_LIFE_MS, LEASE_BYTES_MAX, RATE_AHEAD_MS, RENEW_EVERY_MS, RENEW_REPLAY_EVERY_MS } from './limits.ts';
import type { ClaimedEvent, ClaimResult, DeliveryTarget } from './protocol.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Secrets } from './secrets.ts';
import type { Given, Throttle } from './throttle.ts';

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
  readonly #throttle: Throttle;

  constructor(core: Core, leases: Leases, deaths: Deaths, secrets: Secrets, throttle: Throttle) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#secrets = secrets;
    this.#throttle = throttle;
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
    const { claimed, slotLifeMs, send } = this.#core.tx(() => this.#claim(lane, lease, loaded, token));
    this.#leases.send(send);
    if (claimed.length === 0) return { outcome: 'void' };
    return {
      outcome: 'claimed',
      token,
      renewEveryMs: lane.replay === null ? RENEW_EVERY_MS : RENEW_REPLAY_EVERY_MS,
      subscription: this.#core.ports.name,
      events: claimed,
      target,
      slotLifeMs,
    };
  }

  /** The lease, if it may be claimed now. */
  #claimable(id: number): LeaseRow | null {
    const lease = this.#core.sql.lease(id);
    return lease && lease.token === null && this.#core.running ? lease : null;
  }

  /** What was loaded is given out; what did not fit goes into another lease, what is gone dies. */
  #claim(
    lane: LaneRow,
    lease: LeaseRow,
    loaded: Loaded,
    token: string,
  ): { claimed: ClaimedEvent[]; slotLifeMs: number; send: number[] } {
    const { sql } = this.#core;
    const wanted = new Set(sequencesOf(lease));
    const gone = loaded.gone.filter((sequence) => wanted.delete(sequence));
    if (gone.length > 0 && lane.replay !== null) {
      this.#leases.endReplay(lane, 'failed', 'The topic let go of the events.');
      return { claimed: [], slotLifeMs: 0, send: [] };
    }
    for (const sequence of gone) this.#expired(lane, lease, sequence);
    const { events, given } = this.#inTime(
      lane,
      lease,
      loaded.events.filter((event) => wanted.delete(event.sequence)),
    );
    const send = wanted.size > 0 ? [this.#leases.again(lease, [...wanted])] : [];
    if (events.length === 0) {
      this.#leases.drop(lease);
      this.#deaths.endIfDone(lane.id);
      return { claimed: [], slotLifeMs: 0, send };
    }
    sql.setLease(lease.id, {
      sequences: JSON.stringify(events.map((event) => event.sequence)),
      count: events.length,
      token,
      claims: lease.claims + 1,
      due: this.#core.now() + CLAIM_LIFE_MS,
      target_version: this.#core.row?.target_version ?? 0,
      paced: given === null ? 0 : 1,
    });
    const claimed = events.map((event, index) => this.#claimedEvent(lane, lease, event, given?.slots[index] ?? null));
    return { claimed, slotLifeMs: given?.lifeMs ?? 0, send };
  }

  /** Gives rate slots. Those whose slot lies too far ahead wait for it as exceptions: a lease is no place to wait. */
  #inTime(lane: LaneRow, lease: LeaseRow, events: LogEvent[]): { events: LogEvent[]; given: Given | null } {
    const { sql } = this.#core;
    const now = this.#core.now();
    const given = this.#throttle.give(lane.id, now, events.length);
    if (given === null) return { events, given };
    const late = events.slice(given.near).map((event) => event.sequence);
    if (late.length > 0) {
      if (!lease.retry) for (const sequence of late) sql.putException(untried(lane.id, sequence));
      const dues = given.slots.slice(given.near).map((slot) => slot - RATE_AHEAD_MS);
      sql.postpone(lane.id, late, dues);
      sql.moveLane(lane.id, { in_flight: -late.length, retrying: late.length });
    }
    return { events: events.slice(0, given.near), given };
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
    return { kind, url, format, timeoutMs, headers, secrets: this.#secrets.all(), maxBatch, transform };
  }
}
