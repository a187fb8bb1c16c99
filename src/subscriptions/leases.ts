import type { LogEvent } from '../topics/protocol.ts';
import type { Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { health } from './health.ts';
import { LeaseCache } from './lease-cache.ts';
import {
  CLAIM_LIFE_MS,
  CLAIMS_MAX,
  FIRST_RESEND_MS,
  LEASE_BYTES_MAX,
  RATE_AHEAD_MS,
  RENEW_EVERY_MS,
  RENEW_REPLAY_EVERY_MS,
  RESEND_MS,
  SLOW_LATENCY_MS,
} from './limits.ts';
import type {
  ClaimedEvent,
  ClaimResult,
  DeliveryOutcome,
  DeliveryTarget,
  SettleRequest,
  SettleResult,
} from './protocol.ts';
import { leaseSize, retryDelay } from './retry.ts';
import type { LaneChange, LaneRow, LeaseRow } from './sql.ts';

/** Random numbers below 2^48 name leases and parks: none is ever used again, so a stale message or call finds nothing. */
export function randomNumber(core: Core): number {
  return core.ports.random.bytes(6).reduce((number, byte) => number * 256 + byte, 0);
}

/** Leases: made, sent through the queue, claimed, settled, and taken back when nobody does. */
export class Leases {
  readonly #core: Core;
  readonly #deaths: Deaths;
  readonly #attempts: Attempts;
  readonly #cache = new LeaseCache();

  constructor(core: Core, deaths: Deaths, attempts: Attempts) {
    this.#core = core;
    this.#deaths = deaths;
    this.#attempts = attempts;
  }

  /** Leases events that have just been read, in as many leases as their size asks for. Only inside `tx`; send them after. */
  leaseNew(lane: LaneRow, events: LogEvent[]): number[] {
    const size = leaseSize(this.#document().delivery.timeoutMs);
    const groups: LogEvent[][] = [];
    let bytes = 0;
    for (const event of events) {
      const group = groups.at(-1);
      bytes += event.json.length;
      if (group && group.length < size && bytes <= LEASE_BYTES_MAX) group.push(event);
      else {
        groups.push([event]);
        bytes = event.json.length;
      }
    }
    return groups.map((group) => {
      const id = this.#add(
        lane.id,
        false,
        group.map((event) => event.sequence),
      );
      this.#cache.put(id, group);
      return id;
    });
  }

  /** Leases exceptions that are due. Only inside `tx`. */
  leaseRetries(lane: LaneRow, sequences: number[]): number {
    const id = this.#add(lane.id, true, sequences);
    this.#core.sql.setExceptionLease(lane.id, sequences, id);
    this.#core.sql.moveLane(lane.id, { in_flight: sequences.length, retrying: -sequences.length });
    return id;
  }

  #add(lane: number, retry: boolean, sequences: number[]): number {
    const id = randomNumber(this.#core);
    this.#core.sql.addLease({
      id,
      lane,
      retry: retry ? 1 : 0,
      sequences: [...sequences].sort((a, b) => a - b),
      due: this.#core.now() + FIRST_RESEND_MS,
    });
    return id;
  }

  /** Tells the queue about leases that are committed. A message that is lost is sent again when its lease is due. */
  send(leases: number[]): void {
    const { deliveries, retries, name } = this.#core.ports;
    const queue = this.#core.failing || this.#core.row?.slow ? retries : deliveries;
    for (const lease of leases) {
      this.#core.ports.background(
        queue.send({ v: 1, subscription: name, lease }).catch((error: unknown) => {
          this.#core.ports.log('warn', 'a lease could not be sent', {
            subscription: name,
            lease,
            error: String(error),
          });
        }),
      );
    }
  }

  /** The alarm's part: sends again what nobody claimed, takes back what was claimed and not settled. */
  handleDue(): void {
    const now = this.#core.now();
    const send: number[] = [];
    this.#core.tx(() => {
      for (const lease of this.#core.sql.leases()) {
        if (lease.due > now) continue;
        if (lease.token !== null) send.push(...this.#expire(lease));
        else if (this.#core.running) {
          this.#core.sql.setLease(lease.id, { sends: lease.sends + 1, due: now + RESEND_MS });
          send.push(lease.id);
        }
      }
    });
    this.send(send);
  }

  /** Everything unclaimed goes out now: the subscription runs again. Only inside `tx`. */
  resendAll(): number[] {
    const now = this.#core.now();
    const unclaimed = this.#core.sql.leases().filter((lease) => lease.token === null);
    for (const lease of unclaimed)
      this.#core.sql.setLease(lease.id, { sends: lease.sends + 1, due: now + FIRST_RESEND_MS });
    return unclaimed.map((lease) => lease.id);
  }

  /** A claim ran out. Its events go back; after three times singly; a single one that does it three times is dead. */
  #expire(lease: LeaseRow): number[] {
    const { sql } = this.#core;
    const sequences = sequencesOf(lease);
    if (lease.claims < CLAIMS_MAX) {
      sql.setLease(lease.id, { token: null, sends: lease.sends + 1, due: this.#core.now() + RESEND_MS });
      return [lease.id];
    }
    this.#drop(lease);
    if (sequences.length > 1) return sequences.map((sequence) => this.#again(lease, [sequence]));
    const lane = sql.lane(lease.lane);
    for (const sequence of lane ? sequences : []) {
      if (!lane) continue;
      const exception = sql.exception(lane.id, sequence);
      this.#deaths.die(lane, sequence, 'consumer', {
        attempts: exception?.attempts ?? 0,
        lastStatus: exception?.last_status ?? null,
        lastError: 'The queue consumer ended three times over this event without saying what became of it.',
        firstAttemptAt: exception?.first_attempt_at ?? null,
        event: exception?.event ?? null,
      });
      sql.moveLane(lane.id, { in_flight: -1 });
    }
    return [];
  }

  #drop(lease: LeaseRow): void {
    this.#core.sql.deleteLease(lease.id);
    this.#cache.delete(lease.id);
  }

  /** A new lease for some events of an old one. */
  #again(lease: LeaseRow, sequences: number[]): number {
    const id = this.#add(lease.lane, lease.retry === 1, sequences);
    if (lease.retry) this.#core.sql.setExceptionLease(lease.lane, sequences, id);
    return id;
  }

  /** Gives a lease to the first who asks: token, events and the present configuration. Anyone later gets `void`. */
  async claim(id: number): Promise<ClaimResult> {
    const before = this.#claimable(id);
    if (!before) return { outcome: 'void' };
    const lane = this.#core.sql.lane(before.lane);
    if (!lane) return { outcome: 'void' };
    const loaded = this.#cache.get(id) ?? (await this.#load(lane, before));

    // Everything may have changed meanwhile; from here on nothing else runs.
    const lease = this.#claimable(id);
    const present = this.#core.present;
    if (!lease || !present) return { outcome: 'void' };
    const wanted = new Set(sequencesOf(lease));
    const events = loaded.events.filter((event) => wanted.has(event.sequence));
    const gone = loaded.gone.filter((sequence) => wanted.has(sequence));
    const token = Array.from(this.#core.ports.random.bytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('');

    const { claimed, send } = this.#core.tx(() => {
      for (const sequence of gone) this.#expired(lane, lease, sequence);
      const held = events.map((event) => event.sequence);
      const rest = [...wanted].filter((sequence) => !held.includes(sequence) && !gone.includes(sequence));
      const send = rest.length > 0 ? [this.#again(lease, rest)] : [];
      if (held.length === 0) {
        this.#drop(lease);
        return { claimed: [], send };
      }
      const slots = this.#rateSlots(lane.id, held.length);
      this.#core.sql.setLease(id, {
        sequences: JSON.stringify(held),
        count: held.length,
        token,
        claims: lease.claims + 1,
        due: this.#core.now() + CLAIM_LIFE_MS,
        target_version: present.row.target_version,
      });
      const claimed = events.map((event, index) => this.#claimedEvent(lane, lease, event, slots?.[index] ?? null));
      return { claimed, send };
    });
    this.send(send);
    if (claimed.length === 0) return { outcome: 'void' };
    return {
      outcome: 'claimed',
      token,
      renewEveryMs: lane.replay === null ? RENEW_EVERY_MS : RENEW_REPLAY_EVERY_MS,
      subscription: this.#core.ports.name,
      events: claimed,
      target: this.target(),
    };
  }

  /** The lease, if it may be claimed now. */
  #claimable(id: number): LeaseRow | null {
    const lease = this.#core.sql.lease(id);
    return lease && lease.token === null && this.#core.running ? lease : null;
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

  /** Even spacing keeps the rate in every span; slots unused in time are lost, never saved up. */
  #rateSlots(laneId: number, count: number): number[] | null {
    const lane = this.#core.sql.lane(laneId);
    if (!lane || lane.rate_count === null || lane.rate_span === null) return null;
    const distance = lane.rate_span / lane.rate_count;
    const start = Math.max(
      this.#core.now(),
      Math.min(lane.rate_cursor, this.#core.now() + lane.rate_span + RATE_AHEAD_MS),
    );
    this.#core.sql.setLane(laneId, { rate_cursor: Math.ceil(start + count * distance) });
    return Array.from({ length: count }, (_, index) => Math.ceil(start + index * distance));
  }

  /** The events of a lease that is not in memory any more: from their exception rows, else from the log. */
  async #load(lane: LaneRow, lease: LeaseRow): Promise<{ events: LogEvent[]; gone: number[] }> {
    const sequences = sequencesOf(lease);
    const own = new Map<number, string>();
    for (const sequence of lease.retry ? sequences : []) {
      const event = this.#core.sql.exception(lane.id, sequence)?.event;
      if (event) own.set(sequence, event);
    }
    const asked = sequences.filter((sequence) => !own.has(sequence));
    const answer =
      asked.length > 0 ? await this.#core.ports.topicLog(lane.topic).eventsAt(asked) : { events: [], examined: 0 };
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
    this.#deaths.die(lane, sequence, 'expired', {
      attempts: exception?.attempts ?? 0,
      lastStatus: exception?.last_status ?? null,
      lastError: exception?.last_error ?? null,
      firstAttemptAt: exception?.first_attempt_at ?? null,
      event: null,
    });
    this.#core.sql.moveLane(lane.id, { in_flight: -1 });
  }

  /** Records what became of a lease's events. Idempotent, and fenced by the claim's token. */
  settle(request: SettleRequest): SettleResult {
    const { result, send } = this.#core.tx(() => this.#settle(request));
    this.send(send);
    return result;
  }

  #settle(request: SettleRequest): { result: SettleResult; send: number[] } {
    const { sql } = this.#core;
    const lease = sql.lease(request.lease);
    const lane = lease && sql.lane(lease.lane);
    if (!lease || !lane || lease.token !== request.token) return { result: { outcome: 'fenced' }, send: [] };
    const held = new Set(sequencesOf(lease));
    const outcomes = request.outcomes.filter(
      (outcome) => outcome.topic === lane.topic && held.delete(outcome.sequence),
    );
    const change: LaneChange = {};
    const released: number[] = [];
    for (const outcome of outcomes) {
      if (!this.#record(lane, lease, outcome, change)) released.push(outcome.sequence);
    }
    sql.moveLane(lane.id, change);
    const attempted = outcomes.filter((outcome) => outcome.kind !== 'released' && !released.includes(outcome.sequence));
    if (this.#core.present) this.#attempts.record(lane, attempted, this.#attemptNumber);
    this.#attemptNumber.clear();
    this.#updateHealth(lease, attempted);

    const remaining = [...held];
    if (remaining.length === 0) this.#drop(lease);
    else
      sql.setLease(lease.id, {
        sequences: JSON.stringify(remaining),
        count: remaining.length,
        claims: outcomes.length > 0 ? 0 : lease.claims,
        due: this.#core.now() + CLAIM_LIFE_MS,
      });
    const send = released.length > 0 ? [this.#again(lease, released)] : [];
    this.#deaths.endIfDone(lane.id);
    return { result: { outcome: 'settled', remaining: remaining.length }, send };
  }

  /** The number of each attempt of the settle at hand, for its record. */
  readonly #attemptNumber = new Map<number, number>();

  /** Applies one outcome; false if the event goes back without an attempt spent. */
  #record(lane: LaneRow, lease: LeaseRow, outcome: DeliveryOutcome, change: LaneChange): boolean {
    const { sql } = this.#core;
    if (outcome.kind === 'released') return false;
    const { sequence } = outcome;
    const exception = lease.retry ? sql.exception(lane.id, sequence) : null;
    const attempts = (exception?.attempts ?? 0) + 1;
    this.#attemptNumber.set(sequence, attempts);
    if (outcome.kind === 'delivered') {
      if (exception) sql.deleteException(lane.id, sequence);
      add(change, { in_flight: -1, delivered: 1 });
      this.#deaths.delivered(lane, sequence);
      return true;
    }

    const gone = outcome.status === 410 && lease.target_version === this.#core.row?.target_version;
    // Of several requests that are told 410 at once, the first disables; the others stay where they are.
    if (gone && this.#core.row?.disabled_reason != null) return false;
    add(change, { in_flight: -1, failed: 1 });
    const tries = (exception?.tries ?? 0) + 1;
    const delay = gone
      ? null
      : retryDelay(this.#document().retry, tries, outcome.retryAfterMs, this.#core.ports.random.fraction());
    const last = {
      lastStatus: outcome.status,
      lastError: outcome.error,
      firstAttemptAt: exception?.first_attempt_at ?? outcome.at,
    };
    if (delay === null) {
      this.#deaths.die(lane, sequence, gone ? 'gone' : 'exhausted', {
        attempts,
        ...last,
        event: exception?.event ?? null,
      });
      if (gone)
        this.#core.setRow({
          disabled_reason: 'The receiver answered 410 Gone.',
          updated_at: this.#core.now(),
          probe_at: null,
          streak: 0,
        });
      return true;
    }
    add(change, { retrying: 1 });
    sql.putException({
      lane: lane.id,
      sequence,
      attempts,
      tries,
      due: this.#core.now() + delay,
      lease: null,
      redriven: exception?.redriven ?? 0,
      event: exception?.event ?? null,
      first_attempt_at: last.firstAttemptAt,
      last_status: last.lastStatus,
      last_error: last.lastError,
    });
    return true;
  }

  #updateHealth(lease: LeaseRow, attempted: DeliveryOutcome[]): void {
    const row = this.#core.row;
    const document = this.#core.present?.document;
    if (!row || !document || row.disabled_reason !== null || attempted.length === 0) return;
    // A streak counts for the present url only.
    if (lease.target_version !== row.target_version) return;
    const next = health(row, attempted, {
      now: this.#core.now(),
      maxInFlight: document.maxInFlight,
      slowLatencyMs: SLOW_LATENCY_MS,
      probedLog: lease.retry === 0,
    });
    if (
      next.streak !== row.streak ||
      next.probe_at !== row.probe_at ||
      next.slow !== row.slow ||
      next.probe_delay !== row.probe_delay
    ) {
      this.#core.setRow(next);
    }
  }

  /** Takes one delivery out of whatever lease holds it; true if one did. Only inside `tx`. */
  takeBack(laneId: number, sequence: number): boolean {
    for (const lease of this.#core.sql.leasesOf(laneId)) {
      const sequences = sequencesOf(lease);
      if (!sequences.includes(sequence)) continue;
      const rest = sequences.filter((other) => other !== sequence);
      if (rest.length === 0) this.#drop(lease);
      else this.#core.sql.setLease(lease.id, { sequences: JSON.stringify(rest), count: rest.length });
      this.#core.sql.moveLane(laneId, { in_flight: -1 });
      return true;
    }
    return false;
  }

  /** The redriven letters among the leased events of a lane. */
  leasedRedriven(laneId: number): Set<number> {
    const sequences = this.#core.sql
      .leasesOf(laneId)
      .filter((lease) => lease.retry === 1)
      .flatMap(sequencesOf);
    return new Set(sequences.filter((sequence) => this.#core.sql.exception(laneId, sequence)?.redriven === 1));
  }

  /** Drops all leases of a lane; answers the sequences that were in them. Only inside `tx`. */
  dropAll(laneId: number): number[] {
    const leases = this.#core.sql.leasesOf(laneId);
    for (const lease of leases) this.#drop(lease);
    const sequences = leases.flatMap(sequencesOf);
    this.#core.sql.moveLane(laneId, { in_flight: -sequences.length });
    return sequences;
  }

  /** Where and how requests go at present. @throws if there is no subscription */
  target(): DeliveryTarget {
    const { delivery } = this.#document();
    const row = this.#core.row;
    const secrets = row?.secret ? [this.#core.open(row.secret)] : [];
    if (row?.previous_secret && (row.previous_expires_at ?? 0) > this.#core.now())
      secrets.push(this.#core.open(row.previous_secret));
    return { kind: 'webhook', url: delivery.url, timeoutMs: delivery.timeoutMs, headers: delivery.headers, secrets };
  }

  #document() {
    const present = this.#core.present;
    if (!present) throw new Error('The subscription does not exist.');
    return present.document;
  }
}

export function sequencesOf(lease: LeaseRow): number[] {
  return JSON.parse(lease.sequences) as number[];
}

function add(change: LaneChange, more: LaneChange): void {
  for (const [name, difference] of Object.entries(more) as [keyof LaneChange, number][]) {
    change[name] = (change[name] ?? 0) + difference;
  }
}
