/** What was found, behind a field of its own because a look may find nothing. */
export interface Found<T> {
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
