import { KEY_CHARS_AT_ONCE, KEYS_A_PIECE } from './limits.ts';
import type { LogState } from './log-state.ts';
import type { MetaRow } from './rows.ts';
import type { Statements } from './sql.ts';
import { WaitingKeys } from './waiting-keys.ts';

/** A key and the sequences of events that have it, ascending. */
export interface Posting {
  key: string;
  sequences: number[];
}

/** What is on its way into the table. */
interface Round {
  pieces: Posting[][];
  /** The sequences behind `after` up to `through` are among them. */
  after: number;
  through: number;
}

/** Keys looked at to find out how they are spread. */
const SAMPLES = 256;

/**
 * The table of which sequences have which key: of each key a row for many of them. Keys wait in their segments until there are
 * tens of thousands; then they go into the table by ranges of keys, one range a commit: a table sorted by key changes in as
 * many places as it is given keys, so that each place should be given as many as may be at once.
 */
export class KeyIndex {
  readonly #sql: Statements;
  readonly #state: LogState;
  readonly #waitingMax: number;
  readonly #waiting: WaitingKeys;
  #round: Round | null = null;
  /** A round that memory does not know of may have left rows behind `keyed_through`: it ended with its object, or was rolled back. */
  #hasLeftovers = true;

  constructor(sql: Statements, state: LogState, waitingMax: number) {
    this.#sql = sql;
    this.#state = state;
    this.#waitingMax = waitingMax;
    this.#waiting = new WaitingKeys(sql);
  }

  /** Does a bounded piece of what there is to do. Part of an append's transaction; answers the columns of `meta` that changed. */
  work(lastSequence: number): Partial<MetaRow> {
    const { keyed_through, removed_through } = this.#state.meta();
    if (this.#round === null) {
      if (lastSequence - keyed_through < this.#waitingMax) return {};
      this.#round = this.#gather(keyed_through, lastSequence);
    }
    const { pieces, after, through } = this.#round;
    // Of a deleted topic nothing is to come.
    const piece = laterThan(removed_through, pieces.pop() ?? []);
    // Looked for only then: that would read as many pages as writing does.
    if (this.#hasLeftovers) this.#sql.deletePostingsBehind(after, piece);
    this.#sql.addPostings(piece);
    if (pieces.length > 0) return {};
    this.#round = null;
    this.#hasLeftovers = false;
    const columns = { keyed_through: through };
    this.#sql.setMeta(columns);
    return columns;
  }

  /**
   * Of each key the sequences in its range, ascending, `max` of them at most: from the table, and from what waits to go
   * there. What it costs does not depend on how many events other keys have.
   */
  sequencesOf(reads: readonly { key: string; from: number; to: number }[], max: number): number[][] {
    const { keyed_through } = this.#state.meta();
    const waiting = this.#waiting.sequencesOf(
      reads.map(({ key, from, to }) => ({ key, from: Math.max(from, keyed_through + 1), to })),
      keyed_through,
      this.#state.lastSequence,
      max,
    );
    return reads.map(({ key, from, to }, index) => {
      const sequences =
        from > keyed_through ? [] : this.#sql.postedSequences(key, from, Math.min(to, keyed_through), max);
      return [...sequences, ...(waiting[index] ?? [])].slice(0, max);
    });
  }

  /** Forgets what memory holds of the tables. */
  forget(): void {
    this.#round = null;
    this.#hasLeftovers = true;
    this.#waiting.forget();
  }

  /** The keys that wait, or as many of them as may be in memory. */
  #gather(after: number, lastSequence: number): Round {
    const postings = new Map<string, Posting>();
    let chars = 0;
    let through = after;
    while (through < lastSequence && chars < KEY_CHARS_AT_ONCE) {
      const segments = this.#sql.keysAfter(through, lastSequence);
      for (const { first, count, keys } of segments) {
        if (chars >= KEY_CHARS_AT_ONCE) break;
        chars += keys.length;
        const own: (string | null)[] = JSON.parse(keys);
        for (const [index, key] of own.entries()) {
          if (key === null) continue;
          const posting = postings.get(key);
          if (posting === undefined) postings.set(key, { key, sequences: [first + index] });
          else posting.sequences.push(first + index);
        }
        through = first + count - 1;
      }
      // Behind the last of them none has a key.
      if (segments.length === 0) through = lastSequence;
    }
    return { pieces: piecesOf([...postings.values()]), after, through };
  }
}

function laterThan(sequence: number, postings: readonly Posting[]): readonly Posting[] {
  if (sequence === 0) return postings;
  const later = postings.map(({ key, sequences }) => ({ key, sequences: sequences.filter((own) => own > sequence) }));
  return later.filter(({ sequences }) => sequences.length > 0);
}

/** Cuts postings, of each key one, by ranges of keys, in about as many pieces as they need; never more than twice as large as meant. */
export function piecesOf(postings: readonly Posting[]): Posting[][] {
  const borders = bordersOf(postings, Math.ceil(postings.length / KEYS_A_PIECE));
  const ranges: Posting[][] = Array.from({ length: borders.length + 1 }, () => []);
  for (const posting of postings) ranges[rangeOf(posting.key, borders)]?.push(posting);
  return ranges.flatMap((range) => {
    const parts = Math.max(1, Math.floor(range.length / KEYS_A_PIECE));
    const size = Math.ceil(range.length / parts);
    return Array.from({ length: parts }, (_, part) => range.slice(part * size, (part + 1) * size));
  });
}

/** Keys that cut the postings into so many ranges of about the same size, judged by some of them. */
function bordersOf(postings: readonly Posting[], ranges: number): string[] {
  const step = Math.max(1, Math.floor(postings.length / SAMPLES));
  const samples = postings.filter((_, index) => index % step === 0).map(({ key }) => key);
  samples.sort();
  const borders = Array.from({ length: ranges - 1 }, (_, index) =>
    samples.at(Math.floor(((index + 1) * samples.length) / ranges)),
  );
  return [...new Set(borders.filter((border) => border !== undefined))];
}

/** How many of the sorted borders are not greater than the key. */
function rangeOf(key: string, borders: readonly string[]): number {
  let low = 0;
  for (let high = borders.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((borders[middle] ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
