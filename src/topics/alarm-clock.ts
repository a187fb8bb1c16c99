import type { Clock, ObjectStorage } from '../platform.ts';

/** An alarm that is later than this has been lost, whatever the storage says of it. */
const LATE_MS = 1_000;

/**
 * The object's one alarm. It may be earlier than needed, never later: `need` writes only where the alarm that is known to
 * be set is later. What is not known, after a start or a failure, is worked out anew from `earliest`.
 */
export class AlarmClock {
  readonly #storage: ObjectStorage;
  readonly #clock: Clock;
  /** The earliest due time over all kinds of work; null: none. */
  readonly #earliest: () => number | null;
  /** Null: none is set. Undefined: not known. */
  #at: number | null | undefined;
  /** What the alarm that fired last was set to. */
  #firedFor = 0;

  constructor(storage: ObjectStorage, clock: Clock, earliest: () => number | null) {
    this.#storage = storage;
    this.#clock = clock;
    this.#earliest = earliest;
  }

  /** Makes sure that the alarm fires at `at` or before. Part of the transaction it is called in. */
  need(at: number): void {
    if (this.#at === undefined) {
      const earliest = this.#earliest();
      this.#set(earliest === null ? at : Math.min(at, earliest));
    } else if (this.#at === null || this.#at > at || this.#at < this.#clock.now() - LATE_MS) {
      this.#set(at);
    }
  }

  /** Arms for the earliest work there is, if there is any. */
  arm(): void {
    const earliest = this.#earliest();
    if (earliest !== null) {
      this.need(earliest);
    }
  }

  /** The alarm has fired: none is set now. */
  fired(): void {
    this.#firedFor = this.#at ?? this.#clock.now();
    this.#at = null;
  }

  /** After a transaction failed, or where the alarm may have been lost. */
  forget(): void {
    this.#at = undefined;
  }

  #set(due: number): void {
    // workerd loses an alarm that a handler sets to the very time it was fired for, or to an earlier one.
    const now = this.#clock.now();
    const at = Math.max(due, now + 1, this.#firedFor > now + LATE_MS ? 0 : this.#firedFor + 1);
    this.#at = at;
    // Inside a transaction it commits and rolls back with the rows; the promise tells nothing more that matters here.
    this.#storage.setAlarm(at).catch(() => this.forget());
  }
}
