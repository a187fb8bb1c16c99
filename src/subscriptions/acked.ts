import type { ClaimId } from './ack-ids.ts';
import { ACKED_KEPT } from './limits.ts';

/**
 * What was acknowledged of late, so that telling it again is answered alike. In memory only: after a restart one that is told
 * again is stale.
 */
export class Acked {
  /** Sequences by claim: the latest, and those before. */
  #latest = new Map<string, Set<number>>();
  #before = new Map<string, Set<number>>();
  #count = 0;

  add(claim: ClaimId, sequences: readonly number[]): void {
    if (sequences.length === 0) return;
    const name = nameOf(claim);
    const known = this.#latest.get(name) ?? new Set();
    this.#latest.set(name, known);
    const before = known.size;
    for (const sequence of sequences) known.add(sequence);
    this.#count += known.size - before;
    if (this.#count < ACKED_KEPT) return;
    this.#before = this.#latest;
    this.#latest = new Map();
    this.#count = 0;
  }

  has(claim: ClaimId, sequence: number): boolean {
    const name = nameOf(claim);
    return [this.#latest, this.#before].some((acked) => acked.get(name)?.has(sequence));
  }
}

function nameOf({ lane, token }: ClaimId): string {
  return `${lane} ${token}`;
}
