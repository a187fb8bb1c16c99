import type { Clock, ObjectStorage } from '../platform.ts';
import { ALARM_FALLBACK_MS, ALARM_LATE_MS, STALLED_MS } from './limits.ts';

/** A Subscription's one alarm. It may ring too early, when there is nothing to do; never too late. Only memory: the storage has it. */
export class Alarm {
  readonly #storage: ObjectStorage;
  readonly #clock: Clock;
  /** When it is set; null: not known to be set. */
  #at: number | null = null;
  /** It is being handled: it is set once, at the end. */
  #isRinging = false;
  /** Not sooner than this: the last one failed, or the platform loses one that is set for the moment of the last. */
  #notBefore = 0;

  constructor(storage: ObjectStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Sets it where it isn't set early enough already. Part of the transaction that it is called in, if there is one. */
  arm(nextDue: () => number | null): void {
    if (this.#isRinging) return;
    const next = nextDue();
    if (next === null) return;
    const now = this.#clock.now();
    // One further away than it is ever made for was made before the clock jumped back.
    const notBefore = this.#notBefore > now + ALARM_FALLBACK_MS ? 0 : this.#notBefore;
    const due = Math.max(next, now + 1, notBefore);
    // One that should have rung a while ago was lost.
    const isSet = this.#at !== null && this.#at > now - ALARM_LATE_MS;
    if (isSet && (this.#at ?? 0) <= due) return;
    void this.#storage.setAlarm(due);
    this.#at = due;
  }

  /** Should it have rung long ago? */
  get isLost(): boolean {
    return this.#at !== null && this.#at < this.#clock.now() - STALLED_MS;
  }

  /** Whatever is believed about it may be what is wrong. */
  forget(): void {
    this.#at = null;
  }

  /** It rings: none is set now, nor before `rang`. */
  rings(): void {
    // The platform loses an alarm that is set, while one is handled, for its moment or an earlier one.
    this.#notBefore = Math.min(this.#at ?? 0, this.#clock.now()) + 1;
    this.#at = null;
    this.#isRinging = true;
  }

  /** It was handled; where that failed the next one comes no sooner than in 5 s. */
  rang(failed: boolean): void {
    this.#isRinging = false;
    if (failed) this.#notBefore = this.#clock.now() + ALARM_FALLBACK_MS;
  }

  /** Sets it though nothing says for when. @throws if storage fails */
  fallBack(): Promise<void> {
    return this.#storage.setAlarm(this.#clock.now() + ALARM_FALLBACK_MS);
  }
}
