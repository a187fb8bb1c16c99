import { type AckId, isSameToken, parseAckId } from './ack-ids.ts';
import type { Core } from './core.ts';
import { ackDeadlineOf } from './delivery-kinds.ts';
import { beganLater, heldDue } from './due.ts';
import { columnsOf, contentOf, type Leased } from './lease-content.ts';
import { ACKED_KEPT, HELD_MAX_MS } from './limits.ts';
import type { AckAnswer, AckRequest, AckResult, ExtendRequest, NackRequest } from './protocol-acks.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import type { Settling } from './settling.ts';

/** A delivery that is held by an id. */
interface Found {
  lane: LaneRow;
  lease: LeaseRow;
  entry: Leased;
}

/** What is answered, by id. */
type Answers = Map<string, AckAnswer>;

/**
 * What has to be settled by ack ids: each delivery by itself, whatever else was handed out with it. They are held as one
 * lease until a part of it is to be held for longer; then it is two.
 */
export class Held {
  readonly #core: Core;
  readonly #settling: Settling;
  /** Acknowledged of late, and before. */
  #acked = new Set<string>();
  #ackedBefore = new Set<string>();

  constructor(core: Core, settling: Settling) {
    this.#core = core;
    this.#settling = settling;
  }

  /** Acknowledging again what was acknowledged a moment ago changes nothing, and is answered alike. */
  ack({ ackIds }: AckRequest): AckResult {
    const result = this.#settle(
      ackIds,
      ({ lane, lease }, sequence, now) => delivered(lane, sequence, lease.held_since ?? now, now),
      (ackId, id, now) => (this.#wasAcked(ackId) || this.#ackLate(id, now) ? 'ok' : 'stale-ack-id'),
    );
    if (result.outcome === 'settled') this.#remember(ackIds, result.answers);
    return result;
  }

  nack({ ackIds, delayMs, reason, dead }: NackRequest): AckResult {
    return this.#settle(
      ackIds,
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
    return this.#each(ackIds, (ids, now) => {
      this.#mendTimes(now);
      const until = now + byMs;
      const longer = new Map<LeaseRow, Leased[]>();
      const look = this.#lookUp();
      const answerTo = (id: AckId): AckAnswer => {
        const found = look(id);
        if (found === null) return 'stale-ack-id';
        if (until > (found.lease.held_since ?? now) + HELD_MAX_MS) return 'held-too-long';
        pushTo(longer, found.lease, found.entry);
        return 'ok';
      };
      const answers: Answers = new Map();
      for (const [ackId, id] of ids) answers.set(ackId, answerTo(id));
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
    ackIds: readonly string[],
    outcomeOf: (found: Found, sequence: number, now: number) => DeliveryOutcome,
    otherwise: (ackId: string, id: AckId, now: number) => AckAnswer,
  ): AckResult {
    return this.#each(ackIds, (ids, now) => {
      const outcomes = new Map<LeaseRow, DeliveryOutcome[]>();
      const look = this.#lookUp();
      const answers: Answers = new Map();
      for (const [ackId, id] of ids) {
        const found = look(id);
        if (found !== null) pushTo(outcomes, found.lease, outcomeOf(found, id.sequence, now));
        answers.set(ackId, found === null ? otherwise(ackId, id, now) : 'ok');
      }
      for (const [lease, own] of outcomes) this.#settling.settleHeld(lease, own);
      return answers;
    });
  }

  /** One transaction over all ids that may be some, each once; answers for each that was asked about. */
  #each(ackIds: readonly string[], work: (ids: ReadonlyMap<string, AckId>, now: number) => Answers): AckResult {
    const { present } = this.#core;
    if (present === null) return { outcome: 'unknown-subscription' };
    const { delivery } = present.document;
    if (ackDeadlineOf(delivery) === null) return { outcome: 'not-acknowledged', kind: delivery.kind };
    const ids = new Map<string, AckId>();
    for (const ackId of ackIds) {
      const id = parseAckId(ackId);
      if (id !== null) ids.set(ackId, id);
    }
    const answers = this.#core.tx(() => work(ids, this.#core.now()));
    return { outcome: 'settled', answers: ackIds.map((ackId) => answers.get(ackId) ?? 'invalid-ack-id') };
  }

  /** Finds what an id holds, as long as nothing is settled. Of a token only those leases are read that were held under it. */
  #lookUp(): (id: AckId) => Found | null {
    const { sql } = this.#core;
    const known = new Map<string, Map<number, Found>>();
    const heldBy = (laneId: number, token: string): Map<number, Found> => {
      const name = `${laneId} ${token}`;
      const found = known.get(name) ?? new Map<number, Found>();
      if (known.has(name)) return found;
      known.set(name, found);
      const lane = sql.lane(laneId);
      for (const lease of lane === null ? [] : sql.leasesOf(laneId)) {
        if (lane === null || lease.held_since === null || !isSameToken(token, lease.token)) continue;
        for (const entry of contentOf(lease)) found.set(entry.sequence, { lane, lease, entry });
      }
      return found;
    };
    return ({ lane, sequence, token }) => heldBy(lane, token).get(sequence) ?? null;
  }

  /** Done after all, and nobody else has it yet: false if somebody does, or it is not owed any more. Only inside `tx`. */
  #ackLate({ lane: laneId, sequence, token }: AckId, now: number): boolean {
    const lane = this.#core.sql.lane(laneId);
    const exception = lane && this.#core.sql.exception(laneId, sequence);
    if (!lane || !exception || exception.lease !== null || !isSameToken(token, exception.token)) return false;
    this.#settling.deliveredLate(lane, exception, delivered(lane, sequence, exception.first_attempt_at ?? now, now));
    return true;
  }

  /** In memory only: after a restart one that is told again is stale. */
  #remember(ackIds: readonly string[], answers: readonly AckAnswer[]): void {
    for (const [index, ackId] of ackIds.entries()) if (answers[index] === 'ok') this.#acked.add(ackId);
    if (this.#acked.size < ACKED_KEPT) return;
    this.#ackedBefore = this.#acked;
    this.#acked = new Set();
  }

  #wasAcked(ackId: string): boolean {
    return this.#acked.has(ackId) || this.#ackedBefore.has(ackId);
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
