import { HELD_MAX_MS } from '../events/handing-limits.ts';
import { type ClaimId, isSameToken } from './ack-ids.ts';
import { Acked } from './acked.ts';
import { AskedIds } from './asked-ids.ts';
import type { Core } from './core.ts';
import { ackDeadlineOf } from './delivery-kinds.ts';
import { beganLater, heldDue } from './due.ts';
import type { Late } from './late.ts';
import { bySequence, columnsOf, type Leased } from './lease-content.ts';
import type { AckAnswer, AckRequest, AckResult, ExtendRequest, NackRequest } from './protocol-acks.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Settling } from './settling.ts';
import { done, notDone } from './told-outcomes.ts';

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
  readonly #late: Late;
  readonly #acked = new Acked();

  constructor(core: Core, settling: Settling, late: Late) {
    this.#core = core;
    this.#settling = settling;
    this.#late = late;
  }

  /**
   * Acknowledging again what was acknowledged a moment ago changes nothing, and is answered alike: by the same id, or by that
   * of another attempt of the same consumer's.
   */
  ack({ ackIds }: AckRequest): AckResult {
    const ids = new AskedIds(ackIds);
    /** By the claims of other attempts. */
    const alike = new Map<ClaimId, number[]>();
    const note = (lane: number, sequence: number) => {
      for (const claim of this.#late.claimsOf(lane, sequence)) pushTo(alike, claim, sequence);
    };
    const result = this.#inTx((now) => {
      const late = new Map<number, number[]>();
      const answers = this.#settle(
        ids,
        ({ lane, lease }, sequence) => {
          if (lease.retry) note(lane.id, sequence);
          return done(lane, sequence, lease.held_since ?? now, now);
        },
        (claim, sequence) => {
          if (this.#acked.has(claim, sequence)) return 'ok';
          if (!this.#late.counts(claim, sequence)) return 'stale-ack-id';
          note(claim.lane, sequence);
          pushTo(late, claim.lane, sequence);
          return 'ok';
        },
      );
      for (const [id, sequences] of late) {
        const lane = this.#core.sql.lane(id);
        if (lane !== null) this.#late.settle(lane, new Set(sequences));
      }
      return answers;
    });
    for (const [claim, sequences] of [...ids.ok, ...alike]) this.#acked.add(claim, sequences);
    return result;
  }

  nack({ ackIds, delayMs, reason, dead }: NackRequest): AckResult {
    return this.#inTx((now) =>
      this.#settle(
        new AskedIds(ackIds),
        ({ lane, lease }, sequence) => {
          const error = reason ?? (dead === null ? 'The consumer could not do it.' : 'The consumer refused it.');
          if (dead === 'invalid') return { kind: 'invalid', topic: lane.topic, sequence, error };
          const failed = notDone(lane, sequence, lease.held_since ?? now, now, { outcome: 'failed', error });
          return { ...failed, retryAfterMs: delayMs, ...(dead === null ? {} : { dead }) };
        },
        () => 'stale-ack-id',
      ),
    );
  }

  extend({ ackIds, byMs }: ExtendRequest): AckResult {
    const ids = new AskedIds(ackIds);
    return this.#inTx((now) => {
      this.#mendTimes(now);
      const until = now + byMs;
      const longer = new Map<HeldLease, Leased[]>();
      const look = this.#lookUp();
      const answers = ids.answers((claim, sequence) => {
        const found = look(claim, sequence);
        const entry = found?.entries.get(sequence);
        if (found === null || entry === undefined) return 'stale-ack-id';
        if (until > (found.lease.held_since ?? now) + HELD_MAX_MS) return 'held-too-long';
        pushTo(longer, found, entry);
        return 'ok';
      });
      for (const [held, part] of longer)
        if (until > held.lease.due) this.#hold(held, part, { due: until, held_for: byMs });
      return answers;
    });
  }

  /** Holds a part of a lease for longer than the rest of it. Only inside `tx`. */
  #hold({ lease, entries }: HeldLease, part: readonly Leased[], time: Pick<LeaseRow, 'due' | 'held_for'>): void {
    const { sql } = this.#core;
    if (part.length === lease.count) {
      sql.setLease(lease.id, time);
      return;
    }
    const sequences = part.map(({ sequence }) => sequence);
    const taken = new Set(sequences);
    const rest = [...entries.values()].filter(({ sequence }) => !taken.has(sequence));
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
        const entries = bySequence(lease);
        const outcomes = Array.from(entries.keys(), (sequence) =>
          notDone(lane, sequence, lease.held_since ?? now, now, late),
        );
        this.#settling.settleHeld(lease, entries, outcomes);
      }
    });
  }

  /**
   * Settles what is held of these, each as `outcomeOf` says; of others `otherwise` says what is answered. Nothing is settled
   * before all are answered. Only inside `tx`.
   */
  #settle(
    ids: AskedIds,
    outcomeOf: (found: HeldLease, sequence: number) => DeliveryOutcome,
    otherwise: (claim: ClaimId, sequence: number) => AckAnswer,
  ): AckAnswer[] {
    const outcomes = new Map<HeldLease, DeliveryOutcome[]>();
    const look = this.#lookUp();
    const answers = ids.answers((claim, sequence) => {
      const found = look(claim, sequence);
      if (found === null) return otherwise(claim, sequence);
      pushTo(outcomes, found, outcomeOf(found, sequence));
      return 'ok';
    });
    for (const [{ lease, entries }, own] of outcomes) this.#settling.settleHeld(lease, entries, own);
    return answers;
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
      let leases = known.get(claim);
      if (leases === undefined) {
        leases = this.#heldBy(claim);
        known.set(claim, leases);
      }
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
}

function pushTo<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
