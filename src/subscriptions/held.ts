import { type ClaimId, isSameToken } from './ack-ids.ts';
import { Acked } from './acked.ts';
import { AskedIds } from './asked-ids.ts';
import type { Core } from './core.ts';
import { ackDeadlineOf } from './delivery-kinds.ts';
import { beganLater, heldDue } from './due.ts';
import { bySequence, columnsOf, contentOf, type Leased } from './lease-content.ts';
import { HELD_MAX_MS } from './limits.ts';
import type { AckAnswer, AckRequest, AckResult, ExtendRequest, NackRequest } from './protocol-acks.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Settling } from './settling.ts';

/** What is held under one token. */
interface HeldLease {
  lane: LaneRow;
  lease: LeaseRow;
  entries: ReadonlyMap<number, Leased>;
}

/**
 * What has to be settled by ack ids: each delivery by itself, whatever else was handed out with it. They are held as one
 * lease until a part of it is to be held for longer; then it is two.
 */
export class Held {
  readonly #core: Core;
  readonly #settling: Settling;
  readonly #acked = new Acked();

  constructor(core: Core, settling: Settling) {
    this.#core = core;
    this.#settling = settling;
  }

  /** Acknowledging again what was acknowledged a moment ago changes nothing, and is answered alike. */
  ack({ ackIds }: AckRequest): AckResult {
    const ids = new AskedIds(ackIds);
    const result = this.#settle(
      ids,
      ({ lane, lease }, sequence, now) => delivered(lane, sequence, lease.held_since ?? now, now),
      (claim, sequence, now) =>
        this.#acked.has(claim, sequence) || this.#ackLate(claim, sequence, now) ? 'ok' : 'stale-ack-id',
    );
    for (const [claim, sequences] of ids.ok) this.#acked.add(claim, sequences);
    return result;
  }

  nack({ ackIds, delayMs, reason, dead }: NackRequest): AckResult {
    return this.#settle(
      new AskedIds(ackIds),
      ({ lane, lease }, sequence, now) => {
        const error = reason ?? (dead === null ? 'The consumer could not do it.' : 'The consumer refused it.');
        if (dead === 'invalid') return { kind: 'invalid', topic: lane.topic, sequence, error };
        const failed = notDone(lane, sequence, lease.held_since ?? now, now, { outcome: 'failed', error });
        return { ...failed, retryAfterMs: delayMs, ...(dead === null ? {} : { dead }) };
      },
      () => 'stale-ack-id',
    );
  }

  extend({ ackIds, byMs }: ExtendRequest): AckResult {
    const ids = new AskedIds(ackIds);
    return this.#inTx((now) => {
      this.#mendTimes(now);
      const until = now + byMs;
      const longer = new Map<LeaseRow, Leased[]>();
      const look = this.#lookUp();
      const answers = ids.answers((claim, sequence) => {
        const found = look(claim, sequence);
        const entry = found?.entries.get(sequence);
        if (found === null || entry === undefined) return 'stale-ack-id';
        if (until > (found.lease.held_since ?? now) + HELD_MAX_MS) return 'held-too-long';
        pushTo(longer, found.lease, entry);
        return 'ok';
      });
      for (const [lease, part] of longer)
        if (until > lease.due) this.#hold(lease, part, { due: until, held_for: byMs });
      return answers;
    });
  }

  /** Holds a part of a lease for longer than the rest of it. Only inside `tx`. */
  #hold(lease: LeaseRow, part: readonly Leased[], time: Pick<LeaseRow, 'due' | 'held_for'>): void {
    const { sql } = this.#core;
    if (part.length === lease.count) {
      sql.setLease(lease.id, time);
      return;
    }
    const sequences = part.map(({ sequence }) => sequence);
    const taken = new Set(sequences);
    const rest = contentOf(lease).filter(({ sequence }) => !taken.has(sequence));
    sql.setLease(lease.id, columnsOf(rest));
    const id = this.#core.randomNumber();
    const { lane, retry, token, held_since, target_version } = lease;
    sql.addLease({ id, lane, retry, ...columnsOf(part), ...time, batch: null, token, held_since, target_version });
    if (retry) sql.setExceptionLease(lane, sequences, id);
  }

  /** Of what is held when the clock is set back, the time begins anew: a redelivery is late by no more than that. Only inside `tx`. */
  #mendTimes(now: number): void {
    const { sql } = this.#core;
    if (beganLater(sql, now)) sql.clampHeld(now);
  }

  /** The alarm's part: the time for some is over. */
  handleDue(): void {
    const { sql } = this.#core;
    const now = this.#core.now();
    const due = heldDue(sql, now);
    if (due === null || due > now) return;
    this.#core.tx(() => {
      this.#mendTimes(now);
      for (const lease of sql.heldDue(now)) {
        const lane = sql.lane(lease.lane);
        if (lane === null) continue;
        const late = { outcome: 'timeout', error: 'It was not acknowledged in time.' } as const;
        const outcomes = contentOf(lease).map(({ sequence }) =>
          notDone(lane, sequence, lease.held_since ?? now, now, late),
        );
        this.#settling.settleHeld(lease, outcomes);
      }
    });
  }

  /** Settles what is held of these, each as `outcomeOf` says; of others `otherwise` says what is answered. */
  #settle(
    ids: AskedIds,
    outcomeOf: (found: HeldLease, sequence: number, now: number) => DeliveryOutcome,
    otherwise: (claim: ClaimId, sequence: number, now: number) => AckAnswer,
  ): AckResult {
    return this.#inTx((now) => {
      const outcomes = new Map<LeaseRow, DeliveryOutcome[]>();
      const look = this.#lookUp();
      const answers = ids.answers((claim, sequence) => {
        const found = look(claim, sequence);
        if (found === null) return otherwise(claim, sequence, now);
        pushTo(outcomes, found.lease, outcomeOf(found, sequence, now));
        return 'ok';
      });
      for (const [lease, own] of outcomes) this.#settling.settleHeld(lease, own);
      return answers;
    });
  }

  /** What is answered, unless nothing here has ack ids. */
  #inTx(answers: (now: number) => AckAnswer[]): AckResult {
    const { present } = this.#core;
    if (present === null) return { outcome: 'unknown-subscription' };
    const { delivery } = present.document;
    if (ackDeadlineOf(delivery) === null) return { outcome: 'not-acknowledged', kind: delivery.kind };
    return { outcome: 'settled', answers: this.#core.tx(() => answers(this.#core.now())) };
  }

  /** Finds what holds a delivery, as long as nothing is settled. Of a claim only those leases are read that were held under it. */
  #lookUp(): (claim: ClaimId, sequence: number) => HeldLease | null {
    const known = new Map<ClaimId, HeldLease[]>();
    return (claim, sequence) => {
      const leases = known.get(claim) ?? this.#heldBy(claim);
      known.set(claim, leases);
      return leases.find(({ entries }) => entries.has(sequence)) ?? null;
    };
  }

  #heldBy({ lane: laneId, token }: ClaimId): HeldLease[] {
    const { sql } = this.#core;
    const lane = sql.lane(laneId);
    const leases = lane === null ? [] : sql.leasesOf(laneId);
    return leases.flatMap((lease) => {
      if (lane === null || lease.held_since === null || !isSameToken(token, lease.token)) return [];
      return [{ lane, lease, entries: bySequence(lease) }];
    });
  }

  /** Done after all, and nobody else has it yet: false if somebody does, or it is not owed any more. Only inside `tx`. */
  #ackLate({ lane: laneId, token }: ClaimId, sequence: number, now: number): boolean {
    const lane = this.#core.sql.lane(laneId);
    const exception = lane && this.#core.sql.exception(laneId, sequence);
    if (!lane || !exception || exception.lease !== null || !isSameToken(token, exception.token)) return false;
    this.#settling.deliveredLate(lane, exception, delivered(lane, sequence, exception.first_attempt_at ?? now, now));
    return true;
  }
}

function pushTo<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function delivered({ topic }: LaneRow, sequence: number, since: number, now: number) {
  const latencyMs = Math.max(0, now - since);
  return { kind: 'delivered', topic, sequence, at: since, latencyMs, status: null, response: '' } as const;
}

function notDone(
  { topic }: LaneRow,
  sequence: number,
  since: number,
  now: number,
  what: { outcome: 'failed' | 'timeout'; error: string },
) {
  const latencyMs = Math.max(0, now - since);
  return {
    kind: 'failed',
    topic,
    sequence,
    at: since,
    latencyMs,
    status: null,
    response: '',
    retryAfterMs: null,
    ...what,
  } as const;
}
