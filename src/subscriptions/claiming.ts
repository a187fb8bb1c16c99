import { orderingKey } from '../events/ordering-key.ts';
import type { LogEvent } from '../topics/protocol.ts';
import { ackIdOf, TOKEN_BYTES } from './ack-ids.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { ackDeadlineOf, eventsPerRequest, isBatch } from './delivery-kinds.ts';
import { bySequence, columnsOf, type Leased, sequencesOf } from './lease-content.ts';
import type { Leases } from './leases.ts';
import { BATCH_BYTES_MAX, CLAIM_LIFE_MS, RENEW_EVERY_MS, RENEW_REPLAY_EVERY_MS } from './limits.ts';
import { type Loaded, Loading } from './loading.ts';
import type { Order } from './order.ts';
import type { PulledDelivery } from './protocol-acks.ts';
import type { ClaimedEvent, ClaimResult } from './protocol-claims.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Secrets } from './secrets.ts';
import { presentTarget } from './target.ts';
import type { Given, Throttle } from './throttle.ts';
import type { Withdrawing } from './withdrawing.ts';

/** How much of a lease somebody asks for. */
export interface Wanted {
  events: number;
  bytes: number;
  /** He has nothing yet: one event may have more bytes. */
  isFirst: boolean;
}

interface ClaimingParts {
  leases: Leases;
  deaths: Deaths;
  order: Order;
  secrets: Secrets;
  throttle: Throttle;
  withdrawing: Withdrawing;
}

/** Hands leases out: the first who asks gets the events, a token and the present configuration. */
export class Claiming {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #order: Order;
  readonly #secrets: Secrets;
  readonly #throttle: Throttle;
  readonly #withdrawing: Withdrawing;
  readonly #loading: Loading;

  constructor(core: Core, { leases, deaths, order, secrets, throttle, withdrawing }: ClaimingParts) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#order = order;
    this.#secrets = secrets;
    this.#throttle = throttle;
    this.#withdrawing = withdrawing;
    this.#loading = new Loading(core, leases);
  }

  /** `void` where there is nothing to be had: claimed already, dropped, paused, of a log that does not answer. */
  async claim(id: number): Promise<ClaimResult> {
    const before = this.#claimable(id);
    const lane = before && this.#core.sql.lane(before.lane);
    if (!before || !lane) return { outcome: 'void' };
    const loaded = this.#leases.cache.get(id) ?? (await this.#loading.load(lane, before));
    // Everything may have changed meanwhile; from here on nothing else runs.
    return loaded === null ? { outcome: 'void' } : this.#give(id, loaded);
  }

  /** Claims a lease at once, if its events are in memory. */
  claimLoaded(id: number): ClaimResult {
    const loaded = this.#leases.cache.get(id);
    return loaded === null ? { outcome: 'void' } : this.#give(id, loaded);
  }

  #give(id: number, loaded: Loaded): ClaimResult {
    const lease = this.#claimable(id);
    const lane = lease && this.#core.sql.lane(lease.lane);
    if (!lease || !lane) return { outcome: 'void' };
    const token = this.#core.token(TOKEN_BYTES);
    const target = presentTarget(this.#core, this.#secrets);
    if (target.kind === 'pull') return { outcome: 'void' };
    const { claimed, slotLifeMs, send } = this.#core.tx(() =>
      this.#claim(lane, lease, bySequence(lease), loaded, token, null),
    );
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

  /**
   * Hands a lease, or as much of it as is wanted, out to whoever pulls.
   *
   * @param wanted how much that is, asked for once it can be handed out; null: nobody wants it any more
   * @param give takes the deliveries, in the same turn: whoever wanted them is still there
   * @returns the leases of what is left over: the same if nothing of it fits
   */
  async hold(id: number, wanted: () => Wanted | null, give: (deliveries: PulledDelivery[]) => void): Promise<number[]> {
    const before = this.#claimable(id);
    const lane = before && this.#core.sql.lane(before.lane);
    if (!before || !lane) return [];
    const loaded = this.#leases.cache.get(id) ?? (await this.#loading.load(lane, before));
    if (loaded === null) return [];
    const lease = this.#claimable(id);
    const most = lease && this.#core.isPulled ? wanted() : null;
    if (!lease || most === null) return [];
    const content = bySequence(lease);
    const picked = asked(loaded.events, content, most);
    if (loaded.events.length > 0 && picked.length === 0) return [id];
    const token = this.#core.token(TOKEN_BYTES);
    const { claimed, send } = this.#core.tx(() => this.#claim(lane, lease, content, loaded, token, picked));
    give(claimed.flatMap(pulledOf));
    this.#leases.cache.delete(id);
    for (const left of send) this.#keepLoaded(left, loaded);
    return send;
  }

  /** What is left over of a lease need not be read again, if all of it was. */
  #keepLoaded(id: number, loaded: Loaded): void {
    const lease = this.#core.sql.lease(id);
    const sequences = new Set(lease === null ? [] : sequencesOf(lease));
    const events = loaded.events.filter(({ sequence }) => sequences.has(sequence));
    if (events.length === sequences.size) this.#leases.cache.put(id, events);
  }

  /** The lease, if it may be claimed now. */
  #claimable(id: number): LeaseRow | null {
    const lease = this.#core.sql.lease(id);
    return lease && lease.token === null && this.#core.running ? lease : null;
  }

  /**
   * What was loaded is given out; what did not fit goes into another lease, what is gone dies.
   *
   * @param wanted what the lease holds; what is left over stays in it
   * @param picked what is wanted of it; null: as much as fits
   */
  #claim(
    lane: LaneRow,
    lease: LeaseRow,
    wanted: Map<number, Leased>,
    loaded: Loaded,
    token: string,
    picked: readonly LogEvent[] | null,
  ): { claimed: ClaimedEvent[]; slotLifeMs: number; send: number[] } {
    const { sql } = this.#core;
    const gone = loaded.gone.filter((sequence) => wanted.delete(sequence));
    if (gone.length > 0 && lane.replay !== null) {
      this.#withdrawing.endReplay(lane, 'failed', 'The topic let go of the events.');
      return { claimed: [], slotLifeMs: 0, send: [] };
    }
    for (const sequence of gone) this.#expired(lane, lease, sequence);
    const content = new Map<LogEvent, Leased>();
    const keys = new Set<string>();
    const ackDeadlineMs = ackDeadlineOf(this.#core.document.delivery);
    for (const event of picked ?? this.#fitting(lease, loaded.events, wanted)) {
      const entry = wanted.get(event.sequence);
      if (entry === undefined) continue;
      const turn = this.#turnOf(lane, lease, event, entry);
      if (turn === null) {
        if (entry.key !== null) keys.add(entry.key);
        continue;
      }
      // Where each is settled by itself nobody sees to it that those of one key go one after the other.
      if (ackDeadlineMs !== null && turn.key !== null && keys.has(turn.key)) continue;
      if (turn.key !== null) keys.add(turn.key);
      content.set(event, turn);
      wanted.delete(event.sequence);
    }
    // What is wanted of a key goes one after the other; that less is wanted than there is puts nothing behind anything.
    const isBehind = (key: string) => picked === null || keys.has(key);
    // Before what has no slot yet goes back: a cursor that steps back steps over all that was passed after.
    const send = wanted.size > 0 ? this.#leases.giveBack(lease, [...wanted.values()], isBehind) : [];
    const { events, given } = this.#inTime(lane, lease, content);
    if (events.length === 0) {
      this.#leases.drop(lease);
      this.#deaths.endIfDone(lane.id);
      return { claimed: [], slotLifeMs: 0, send };
    }
    const now = this.#core.now();
    // Most leases are claimed as they are; only of retries a key may have become known.
    const isWhole = events.length === lease.count && lease.retry === 0;
    sql.setLease(lease.id, {
      ...(isWhole ? {} : columnsOf(events.flatMap((event) => content.get(event) ?? []))),
      token,
      claims: lease.claims + 1,
      due: now + (ackDeadlineMs ?? CLAIM_LIFE_MS),
      held_since: ackDeadlineMs === null ? null : now,
      held_for: ackDeadlineMs,
      target_version: this.#core.row?.target_version ?? 0,
      batch: this.#isBatch ? (lease.batch ?? lease.id) : null,
      paced: given === null ? 0 : 1,
    });
    const claimed = events.map((event, index) => {
      const key = content.get(event)?.key ?? null;
      const notBefore = given && this.#slotOf(given, index);
      return this.#claimedEvent(lane, lease, event, key, notBefore, ackDeadlineMs === null ? null : token);
    });
    return { claimed, slotLifeMs: given?.lifeMs ?? 0, send };
  }

  get #isBatch(): boolean {
    return isBatch(this.#core.document.delivery);
  }

  /** What goes into one request, where a lease is one: of one key. A batch that was sent before keeps its members. */
  #fitting(lease: LeaseRow, events: LogEvent[], content: ReadonlyMap<number, Leased>): LogEvent[] {
    if (!this.#isBatch || lease.batch !== null) return events;
    const keyOf = ({ sequence }: LogEvent) => content.get(sequence)?.key ?? null;
    const [first] = events;
    const alike = events.filter((event) => first !== undefined && keyOf(event) === keyOf(first));
    let bytes = 0;
    return alike.slice(0, eventsPerRequest(this.#core.document.delivery)).filter(({ json }, index) => {
      bytes += json.length;
      return index === 0 || bytes <= BATCH_BYTES_MAX;
    });
  }

  /**
   * Whose turn an event is. The key of one that failed while there was no order is not known before it is read; null: it is
   * under way elsewhere, or has others to be tried again first, and this one has to wait for that.
   */
  #turnOf(lane: LaneRow, lease: LeaseRow, event: LogEvent, entry: Leased): Leased | null {
    if (this.#core.ordering !== 'key' || !lease.retry || entry.key !== null) return entry;
    const key = orderingKey(event.json);
    if (key === null) return entry;
    const isFirst = this.#core.sql.setExceptionKey(lane.id, event.sequence, key);
    entry.key = key;
    return isFirst && !this.#order.keysUnderWayBeside(lane.topic, lease.id).has(key) ? entry : null;
  }

  /** Gives rate slots. Those whose slot lies too far ahead wait for it as exceptions: a lease is no place to wait. */
  #inTime(
    lane: LaneRow,
    lease: LeaseRow,
    content: ReadonlyMap<LogEvent, Leased>,
  ): { events: LogEvent[]; given: Given | null } {
    const events = [...content.keys()];
    const given = this.#throttle.give(
      lane.id,
      this.#core.now(),
      this.#isBatch ? Math.min(1, events.length) : events.length,
    );
    if (given === null) return { events, given };
    const near = this.#isBatch && given.near > 0 ? events.length : given.near;
    const late = events.slice(near).map((event, index) => ({ event, slot: this.#slotOf(given, near + index) }));
    if (late.length > 0) this.#tooLate(lease, late, content);
    return { events: events.slice(0, near), given };
  }

  /** A batch is one request, and takes one slot. */
  #slotOf({ slots }: Given, index: number): number {
    return slots[this.#isBatch ? 0 : index] ?? this.#core.now();
  }

  /** New events in order go back to where they wait for their turn; whatever else waits for its slot. */
  #tooLate(lease: LeaseRow, late: { event: LogEvent; slot: number }[], content: ReadonlyMap<LogEvent, Leased>): void {
    const entries = late.flatMap(({ event, slot }) => {
      const entry = content.get(event);
      return entry === undefined ? [] : [{ ...entry, due: slot - this.#throttle.aheadMs }];
    });
    const inOrder = ({ key }: Leased) => !lease.retry && lease.batch === null && key !== null;
    this.#leases.giveBack(lease, entries.filter(inOrder), () => true);
    this.#leases.postpone(
      lease,
      entries.filter((entry) => !inOrder(entry)),
    );
  }

  /** @param token by which it is held; null: whoever claimed it settles */
  #claimedEvent(
    lane: LaneRow,
    lease: LeaseRow,
    event: LogEvent,
    key: string | null,
    notBefore: number | null,
    token: string | null,
  ): ClaimedEvent {
    const exception = lease.retry ? this.#core.sql.exception(lane.id, event.sequence) : null;
    const claimed: ClaimedEvent = {
      topic: lane.topic,
      sequence: event.sequence,
      json: event.json,
      attempt: (exception?.attempts ?? 0) + 1,
      replay: lane.replay,
      redriven: exception?.redriven === 1,
      key,
      notBefore,
    };
    if (token !== null) claimed.ackId = ackIdOf({ lane: lane.id, sequence: event.sequence, token });
    return claimed;
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
}

function pulledOf({ sequence, json, attempt, replay, redriven, ackId }: ClaimedEvent): PulledDelivery[] {
  return ackId === undefined ? [] : [{ sequence, json, attempt, replay, redriven, ackId }];
}

/** The first of each key that the lease holds, as far as they are wanted. */
function asked(events: readonly LogEvent[], content: ReadonlyMap<number, Leased>, most: Wanted): LogEvent[] {
  const keys = new Set<string>();
  let bytes = 0;
  const first = events.filter(({ sequence }) => {
    const key = content.get(sequence)?.key ?? null;
    return key === null || (!keys.has(key) && keys.add(key));
  });
  return first.slice(0, most.events).filter(({ json }, index) => {
    bytes += json.length;
    return (index === 0 && most.isFirst) || bytes <= most.bytes;
  });
}
