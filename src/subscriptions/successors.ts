import { settledWithin } from '../topics/timeout.ts';
import type { Claiming } from './claiming.ts';
import type { Core } from './core.ts';
import type { Lanes } from './lanes.ts';
import { NEXT_LEASE_MAX_MS } from './limits.ts';
import type { NextLease } from './protocol-claims.ts';

type Waiting = PromiseWithResolvers<NextLease | null>;

/**
 * Those who have settled a lease and would go on with the next, in the order in which they came: under load they are spared a
 * message of the queue and a call for each lease. Only memory: a lease that nobody waits for is sent.
 */
export class Successors {
  readonly #core: Core;
  readonly #claiming: Claiming;
  readonly #lanes: Lanes;
  readonly #waiting: Waiting[] = [];

  constructor(core: Core, claiming: Claiming, lanes: Lanes) {
    this.#core = core;
    this.#claiming = claiming;
    this.#lanes = lanes;
  }

  /** The next lease that `start` brings, claimed; null if there is none to be had at once. */
  async next(start: () => void): Promise<NextLease | null> {
    const waiting: Waiting = Promise.withResolvers();
    this.#waiting.push(waiting);
    start();
    await settledWithin(this.#core.ports.clock, waiting.promise, NEXT_LEASE_MAX_MS);
    this.#end(waiting, null);
    return waiting.promise;
  }

  /** Claims a lease for whoever has waited longest; false if nobody waits, or it can't be claimed at once. */
  take(lease: number): boolean {
    const [first] = this.#waiting;
    if (first === undefined) return false;
    const claim = this.#claiming.claimLoaded(lease);
    if (claim.outcome === 'claimed') this.#end(first, { lease, claim });
    return claim.outcome === 'claimed';
  }

  /** Nobody is to wait for what will not come. */
  answerInVain(): void {
    if (!this.#lanes.areAtRest) return;
    for (const waiting of [...this.#waiting]) this.#end(waiting, null);
  }

  #end(waiting: Waiting, next: NextLease | null): void {
    const index = this.#waiting.indexOf(waiting);
    if (index >= 0) this.#waiting.splice(index, 1);
    waiting.resolve(next);
  }
}
