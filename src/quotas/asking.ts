import type { Background, Log } from '../platform.ts';
import { within } from '../within.ts';
import type { Quota, QuotaApi, QuotaStanding } from './protocol.ts';

/** Longest a publish waits for its quota; after that it goes on without. */
export const QUOTA_WAIT_MS = 1_000;
/** A spent quota isn't asked for again for so long: what was given back meanwhile is seen after it. */
const SPENT_MS = 1_000;
/** Spent quotas remembered by an isolate. */
const SPENT_MAX = 1_000;

export interface AskingPorts {
  quota(keyId: string): QuotaApi;
  now(): number;
  background: Background;
  log: Log;
}

export type Asked =
  | ({ outcome: 'taken' | 'refused' } & QuotaStanding)
  /** The key alone sends more requests than can be counted. */
  | { outcome: 'overloaded' }
  /** The object can't be reached: publishing depends on no more parts than it must. */
  | { outcome: 'unknown' };

/** Asks the object of a key for what the key is about to publish; one for each isolate. */
export class Quotas {
  readonly #spent = new Map<string, { until: number; standing: QuotaStanding }>();

  async take(key: { id: string; name: string }, quota: Quota, count: number, ports: AskingPorts): Promise<Asked> {
    const spent = this.#spent.get(key.id);
    if (spent !== undefined && ports.now() < spent.until) return { outcome: 'refused', ...spent.standing };
    try {
      const result = await within(QUOTA_WAIT_MS, ports.quota(key.id).take({ v: 1, quota, count }));
      if (result.remaining === 0) this.#remember(key.id, result, ports.now());
      return result;
    } catch (error) {
      if (isOverloaded(error)) return { outcome: 'overloaded' };
      ports.log('warn', 'A quota could not be asked for: the request goes on without.', { key: key.name, error });
      return { outcome: 'unknown' };
    }
  }

  /** Beside the answer: what was taken in `window` was refused after all. */
  giveBack(key: { id: string; name: string }, window: number, count: number, ports: AskingPorts): void {
    const given = ports
      .quota(key.id)
      .giveBack({ v: 1, window, count })
      .catch((error: unknown) =>
        ports.log('warn', 'A quota could not be given back.', { key: key.name, count, error }),
      );
    ports.background(given);
  }

  #remember(id: string, { window, remaining, resetAt }: QuotaStanding, now: number): void {
    if (this.#spent.size >= SPENT_MAX) this.#spent.clear();
    this.#spent.set(id, { until: Math.min(resetAt, now + SPENT_MS), standing: { window, remaining, resetAt } });
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof Error && Object.getOwnPropertyDescriptor(error, 'overloaded')?.value === true;
}
