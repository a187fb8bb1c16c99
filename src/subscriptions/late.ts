import { type ClaimId, isSameToken } from './ack-ids.ts';
import type { Attempted, Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { isOneConsumers } from './delivery-kinds.ts';
import type { Delivery } from './document.ts';
import type { Receiver } from './receiver.ts';
import type { LaneRow, LeaseRow } from './rows.ts';
import { tokensOf, withToken } from './tokens.ts';
import { done } from './told-outcomes.ts';
import type { Withdrawing } from './withdrawing.ts';

interface LateParts {
  withdrawing: Withdrawing;
  deaths: Deaths;
  attempts: Attempts;
  receiver: Receiver;
}

/** What is done after its time for that was over, as long as it is owed: what was done need not be done twice. */
export class Late {
  readonly #core: Core;
  readonly #parts: LateParts;

  constructor(core: Core, parts: LateParts) {
    this.#core = core;
    this.#parts = parts;
  }

  /** May it still be said by this id that it is done? Of several consumers only while none of them has it. */
  counts({ lane, token }: ClaimId, sequence: number): boolean {
    const exception = this.#core.sql.exception(lane, sequence);
    if (exception === null) return false;
    const isOpen = exception.lease === null || isOneConsumers(this.#core.document.delivery);
    return isOpen && tokensOf(exception.tokens).some((known) => isSameToken(token, known));
  }

  /** By which claims a consumer who has all attempts at a delivery got it, as long as it is not settled. */
  claimsOf(lane: number, sequence: number): ClaimId[] {
    const { sql } = this.#core;
    const exception = isOneConsumers(this.#core.document.delivery) ? sql.exception(lane, sequence) : null;
    if (exception === null) return [];
    const holder = exception.lease === null ? null : (sql.lease(exception.lease)?.token ?? null);
    const tokens = [...tokensOf(exception.tokens), ...(holder === null ? [] : [holder])];
    return tokens.map((token) => ({ lane, token }));
  }

  /**
   * Records deliveries as done, wherever they are by now: waiting for the next attempt, or in a lease, whose claimer may be at
   * it. Each attempt was counted when its time ran out; the last of them stands for whichever it was. What is settled is left
   * alone. Only inside `tx`.
   */
  settle(lane: LaneRow, sequences: ReadonlySet<number>): void {
    const { sql } = this.#core;
    const owed = [...sequences].flatMap((sequence) => sql.exception(lane.id, sequence) ?? []);
    if (owed.length === 0) return;
    const { withdrawing, deaths, attempts, receiver } = this.#parts;
    const now = this.#core.now();
    const leased = owed.filter(({ lease }) => lease !== null).map(({ sequence }) => sequence);
    if (leased.length > 0) withdrawing.takeBack(lane.id, new Set(leased));
    for (const { sequence } of owed) sql.deleteException(lane.id, sequence);
    sql.moveLane(lane.id, { retrying: leased.length - owed.length, delivered: owed.length });
    for (const { sequence, attempts: number } of owed)
      if (sql.hasLetters(lane.topic, sequence, sequence)) deaths.delivered(lane, sequence, number);
    const made = owed.map(({ sequence, attempts: number, first_attempt_at }) => ({
      outcome: done(lane, sequence, first_attempt_at ?? now, now),
      number,
    }));
    attempts.record(lane, made, null);
    // No other consumer's attempts are remembered.
    const target_version = this.#core.row?.target_version ?? 0;
    const outcomes = made.map(({ outcome }) => outcome);
    receiver.learnHeld({ retry: 1, target_version }, outcomes);
    if (lane.replay !== null) deaths.endIfDone(lane.id);
    this.#core.progressAt = now;
  }
}

/** The tokens by which it may still be said of a delivery that it is done, after an attempt at it that failed. */
export function tokensAfter(
  delivery: Delivery,
  before: string | null,
  { token, held_since }: Pick<LeaseRow, 'token' | 'held_since'>,
  { outcome }: Extract<Attempted, { kind: 'failed' }>,
): string | null {
  const own = held_since === null ? null : token;
  if (isOneConsumers(delivery)) return own === null ? before : withToken(before, own);
  // Whoever gave it back has not done it.
  return outcome === 'timeout' ? own : null;
}
