import { LaneRows } from './lane-rows.ts';
import { LeaseRows } from './lease-rows.ts';

/** What was found, behind a field of its own because a look may find nothing. */
interface Found<T> {
  value: T;
}

/** Answers remembered to one question at most: whoever asks about more rows than this asks SQLite again. */
const ANSWERS_MAX = 1_000;

/**
 * Remembers what was found in some tables until something in them is written: every transaction asks the same few
 * questions, and most are asked again before anything has changed.
 */
export class Memory {
  #writes = 0;

  /** Passes the outcome of a statement on that wrote something. */
  changed<T>(outcome: T): T {
    this.#writes += 1;
    return outcome;
  }

  /** `look`, which looks again only after a change. */
  remembered<Key extends [] | [unknown], T>(look: (...key: Key) => T): (...key: Key) => T {
    const answers = new Map<unknown, Found<T>>();
    let writes = this.#writes;
    return (...key) => {
      if (writes !== this.#writes || answers.size >= ANSWERS_MAX) answers.clear();
      writes = this.#writes;
      const known = answers.get(key[0]);
      if (known !== undefined) return known.value;
      const value = look(...key);
      answers.set(key[0], { value });
      return value;
    };
  }
}

/** What the statements of a Subscription remember, by what makes them forget it. */
export class Memories {
  /** What is owed to D1 and to the logs. */
  readonly outbox = new Memory();
  /** Lanes but for counters and live lanes' cursors: which there are, which have something to read. */
  readonly lanes = new Memory();
  readonly retrying = new Memory();
  readonly leases = new Memory();
  readonly exceptions = new Memory();
  readonly holds = new Memory();
  readonly laneRows = new LaneRows();
  readonly leaseRows = new LeaseRows();
  /** How many letters D1 has to be told of, at most: counted once, and those that were written since. */
  unsentAtMost = Number.POSITIVE_INFINITY;

  /** After a rollback nothing that is remembered may be true. */
  forget(): void {
    const all = [this.outbox, this.lanes, this.retrying, this.leases, this.exceptions, this.holds];
    for (const memory of all) memory.changed(null);
    this.laneRows.clear();
    this.leaseRows.clear();
    this.unsentAtMost = Number.POSITIVE_INFINITY;
  }
}
