import { RATE_AHEAD_MS } from '../subscriptions/limits.ts';

/** A rate slot: one request may start from the one moment to the other, in milliseconds since the epoch. */
export interface Slot {
  from: number;
  until: number;
}

/**
 * The rate slots of a lease. Each lets one request start, whichever is next, or is lost: what could not start in its time
 * must not start together with those behind it.
 */
export class Pace {
  readonly #slots: Slot[];
  /** When the last slot is over; null: there is no limit. */
  readonly end: number | null;

  /** @param starts the slots of what is to be started, in any order; null: it may start whenever */
  constructor(starts: readonly (number | null)[], slotLifeMs: number) {
    this.#slots = starts
      .filter((start) => start !== null)
      .sort((a, b) => a - b)
      .map((start) => ({ from: start, until: start + slotLifeMs }));
    this.end = this.#slots.at(-1)?.until ?? null;
  }

  /**
   * Takes the next slot that can still be used; null: none is left. One that lies further away than any is given was given
   * before the clock went back, and is lost too.
   */
  take(now: number): Slot | null {
    for (let slot = this.#slots.shift(); slot; slot = this.#slots.shift()) {
      if (canStart(slot, now)) return slot;
    }
    return null;
  }
}

/** May its request start now, or later? */
export function canStart(slot: Slot, now: number): boolean {
  return now <= slot.until && slot.from - now <= 2 * RATE_AHEAD_MS;
}
