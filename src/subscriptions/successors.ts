import { settledWithin } from '../topics/timeout.ts';
import type { Claiming } from './claiming.ts';
import type { Core } from './core.ts';
import type { Lanes } from './lanes.ts';
import { NEXT_LEASE_MAX_MS } from './limits.ts';
import type { NextLease, SettleRequest } from './protocol-claims.ts';

/** Which claim was settled. */
type Settled = Pick<SettleRequest, 'lease' | 'token'>;

interface Waiting {
  after: Settled;
  given: PromiseWithResolvers<NextLease | null>;
}

/**
 * Those who have settled a lease and would go on with the next, in the order in which they came: with a backlog they are spared
 * a message of the queue and a claim for each lease. Only memory: a lease that nobody waits for is sent.
 */
export class Successors {
  readonly #core: Core;
  readonly #claiming: Claiming;
  readonly #lanes: Lanes;
  #waiting: Waiting[] = [];
  /** What was given and is still claimed as it was, by the token of what was settled before: its answer may have been lost. */
  readonly #given = new Map<string, { after: number; next: NextLease }>();

  constructor(core: Core, claiming: Claiming, lanes: Lanes) {
    this.#core = core;
    this.#claiming = claiming;
    this.#lanes = lanes;
  }

  /** What whoever settled this was given, if he asks again before anything became of it. */
  givenAfter({ lease, token }: Settled): NextLease | null {
    const given = this.#given.get(token);
    return given?.after === lease && this.#isClaimed(given.next) ? given.next : null;
  }

  /** The next lease that `start` brings, claimed; null if there is none to be had at once. */
  async next(after: Settled, start: () => void): Promise<NextLease | null> {
    const waiting: Waiting = { after, given: Promise.withResolvers() };
    this.#waiting.push(waiting);
    start();
    await settledWithin(this.#core.ports.clock, waiting.given.promise, NEXT_LEASE_MAX_MS);
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    waiting.given.resolve(null);
    return waiting.given.promise;
  }

  /** Claims a lease for whoever has waited longest. False: it is still there for others. */
  take(lease: number): boolean {
    const first = this.#waiting.shift();
    if (first === undefined) return false;
    try {
      const claim = this.#claiming.claimLoaded(lease);
      if (claim.outcome === 'claimed') {
        this.#give(first, { lease, claim });
        return true;
      }
    } catch (error) {
      this.#core.warn('a lease could not be passed on', { lease, error: String(error) });
    }
    this.#waiting.unshift(first);
    return this.#core.sql.lease(lease) === null;
  }

  /** After each look at what can be started: what is settled is kept no longer, and nobody is to wait for what will not come. */
  look(): void {
    for (const [token, { next }] of this.#given) if (!this.#isClaimed(next)) this.#given.delete(token);
    if (this.#lanes.areReading) return;
    for (const { given } of this.#waiting.splice(0)) given.resolve(null);
  }

  #give({ after, given }: Waiting, next: NextLease): void {
    this.#given.set(after.token, { after: after.lease, next });
    given.resolve(next);
  }

  #isClaimed({ lease, claim }: NextLease): boolean {
    return this.#core.sql.lease(lease)?.token === claim.token;
  }
}
