import { type ClaimId, readAckIds } from './ack-ids.ts';
import type { AckAnswer } from './protocol-acks.ts';

/** Ack ids that somebody asks about, in his order, and what is said of them: of each once, however often it is among them. */
export class AskedIds {
  readonly #ackIds: readonly string[];
  readonly #told = new Map<ClaimId, Map<number, AckAnswer>>();

  constructor(ackIds: readonly string[]) {
    this.#ackIds = ackIds;
  }

  /** What is answered to each. */
  answers(answering: (claim: ClaimId, sequence: number) => AckAnswer): AckAnswer[] {
    return readAckIds(this.#ackIds).map((id) => {
      if (id === null) return 'invalid-ack-id';
      const { claim, sequence } = id;
      const told = this.#toldOf(claim);
      const answer = told.get(sequence) ?? answering(claim, sequence);
      told.set(sequence, answer);
      return answer;
    });
  }

  #toldOf(claim: ClaimId): Map<number, AckAnswer> {
    const told = this.#told.get(claim) ?? new Map<number, AckAnswer>();
    if (told.size === 0) this.#told.set(claim, told);
    return told;
  }

  /** Of each claim the sequences that were answered with ok. */
  get ok(): [claim: ClaimId, sequences: number[]][] {
    return Array.from(this.#told, ([claim, told]) => [
      claim,
      [...told].flatMap(([sequence, answer]) => (answer === 'ok' ? [sequence] : [])),
    ]);
  }
}
