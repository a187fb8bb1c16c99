/**
 * What an expression may still spend. Nothing can interrupt one, and a Worker's clock stands still while it computes, so
 * that its work is counted, and it is stopped where it would do more.
 */
export class Meter {
  #left: number;

  constructor(units: number) {
    this.#left = units;
  }

  /** @throws TooCostly, and from then on at each call */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw new TooCostly();
  }

  get left(): number {
    return this.#left;
  }

  get overspent(): boolean {
    return this.#left < 0;
  }
}

export class TooCostly extends Error {
  constructor() {
    super(TOO_COSTLY);
    this.name = 'TooCostly';
  }
}

export const TOO_COSTLY = 'it does too much work on this event';

/** Characters that cost as much as one node. */
const CHARACTERS_A_UNIT = 64;

export function costOfText(text: string): number {
  return Math.ceil(text.length / CHARACTERS_A_UNIT);
}
