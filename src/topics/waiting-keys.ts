import { WAITING_KEY_CHARS_MAX } from './limits.ts';
import type { SegmentKeysRow } from './rows.ts';
import type { Statements } from './sql.ts';

/**
 * The keys that are not in the postings yet (key-index.ts): read once from the segments when somebody first asks, then as
 * they come. Where they are more than may be in memory, the rest is looked through each time.
 */
export class WaitingKeys {
  readonly #sql: Statements;
  readonly #charsMax: number;
  readonly #sequences = new Map<string, number[]>();
  /** In memory are the keys of the sequences behind `#after`, up to `#through`. */
  #after = 0;
  #through = 0;
  #chars = 0;

  constructor(sql: Statements, charsMax = WAITING_KEY_CHARS_MAX) {
    this.#sql = sql;
    this.#charsMax = charsMax;
  }

  /** Forgets what memory holds of the tables. */
  forget(): void {
    this.#sequences.clear();
    this.#after = 0;
    this.#through = 0;
    this.#chars = 0;
  }

  /**
   * Of each key the sequences from its `from` to its `to`, ascending, `max` of them at most. All lie behind `keyedThrough`;
   * whatever lies there is looked at up to `lastSequence`.
   */
  sequencesOf(
    reads: readonly { key: string; from: number; to: number }[],
    keyedThrough: number,
    lastSequence: number,
    max: number,
  ): number[][] {
    this.#extend(keyedThrough, lastSequence);
    const found = reads.map(({ key, from, to }) => {
      const known = this.#sequences.get(key) ?? [];
      const start = placeOf(known, from);
      return known.slice(start, start + max).filter((sequence) => sequence <= to);
    });
    for (const [key, sequence] of entriesAfter(this.#sql, this.#through, lastSequence)) {
      for (const [index, read] of reads.entries()) {
        const own = found[index] ?? [];
        const inside = read.key === key && sequence >= read.from && sequence <= read.to;
        if (inside && own.length < max) own.push(sequence);
      }
    }
    return found;
  }

  #extend(keyedThrough: number, lastSequence: number): void {
    if (this.#after !== keyedThrough) {
      this.forget();
      this.#after = keyedThrough;
      this.#through = keyedThrough;
    }
    while (this.#through < lastSequence && this.#chars < this.#charsMax) {
      const segments = this.#sql.keysAfter(this.#through, lastSequence);
      for (const segment of segments) {
        if (this.#chars >= this.#charsMax) return;
        for (const [key, sequence] of entriesOf(segment)) {
          const known = this.#sequences.get(key);
          if (known === undefined) this.#sequences.set(key, [sequence]);
          else known.push(sequence);
        }
        this.#chars += segment.keys.length;
        this.#through = segment.first + segment.count - 1;
      }
      // Behind the last of them none has a key.
      if (segments.length === 0) this.#through = lastSequence;
    }
  }
}

/** The index of the first of ascending numbers that is not smaller; their count where all are. */
function placeOf(numbers: readonly number[], least: number): number {
  let low = 0;
  for (let high = numbers.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? least) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keys and their sequences of the segments behind a sequence, ascending. */
function* entriesAfter(sql: Statements, after: number, to: number): Generator<[key: string, sequence: number]> {
  for (let through = after; through < to; ) {
    const segments = sql.keysAfter(through, to);
    for (const segment of segments) yield* entriesOf(segment);
    const last = segments.at(-1);
    if (last === undefined) return;
    through = last.first + last.count - 1;
  }
}

function* entriesOf({ first, keys }: SegmentKeysRow): Generator<[key: string, sequence: number]> {
  const own: (string | null)[] = JSON.parse(keys);
  for (const [index, key] of own.entries()) if (key !== null) yield [key, first + index];
}
