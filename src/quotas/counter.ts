import type { Background, Clock } from '../platform.ts';
import type { QuotaApi, TakeRequest, TakeResult } from './protocol.ts';

/** What a window has seen so far. */
export interface Used {
  /** When it began, milliseconds since the epoch. */
  window: number;
  used: number;
}

export interface CounterPorts {
  clock: Clock;
  background: Background;
  stored: {
    get(): Used | undefined;
    put(used: Used): void;
    clear(): Promise<void>;
  };
}

/**
 * Counts what one key publishes. It counts in memory and writes at most once a second, a second after the first event that
 * isn't written: so a quota costs a row a second at most, a crash forgets a second at most, and an object that is put away
 * for being idle has forgotten nothing. A window no longer than that is never written.
 */
export const WRITE_AFTER_MS = 1_000;

export class QuotaCounter implements QuotaApi {
  readonly #ports: CounterPorts;
  #used: Used;
  #writing = false;

  constructor(ports: CounterPorts) {
    this.#ports = ports;
    this.#used = ports.stored.get() ?? { window: 0, used: 0 };
  }

  async take({ quota, count }: TakeRequest): Promise<TakeResult> {
    const now = this.#ports.clock.now();
    const window = now - (now % quota.spanMs);
    // Another window, not a later one: a clock that was ahead must not hold the quota up until its time comes.
    if (this.#used.window !== window) this.#used = { window, used: 0 };
    const left = Math.max(0, quota.count - this.#used.used);
    const resetAt = window + quota.spanMs;
    if (count > left) return { outcome: 'refused', window, remaining: left, resetAt };
    this.#used.used += count;
    if (quota.spanMs > WRITE_AFTER_MS) this.#writeSoon();
    return { outcome: 'taken', window, remaining: left - count, resetAt };
  }

  async giveBack({ window, count }: { window: number; count: number }): Promise<void> {
    if (this.#used.window !== window) return;
    this.#used.used = Math.max(0, this.#used.used - count);
    this.#writeSoon();
  }

  async forget(): Promise<void> {
    this.#used = { window: 0, used: 0 };
    await this.#ports.stored.clear();
  }

  #writeSoon(): void {
    if (this.#writing) return;
    this.#writing = true;
    this.#ports.background(this.#write());
  }

  async #write(): Promise<void> {
    await this.#ports.clock.sleep(WRITE_AFTER_MS);
    this.#writing = false;
    if (this.#used.window !== 0) this.#ports.stored.put(this.#used);
  }
}
