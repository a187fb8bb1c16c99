/** How long to wait between tries: twice as long each time, up to a bound, and by chance up to half less. */

export interface RetryOptions {
  /** Further tries after the first; 0 for none. 8 by default: about half a minute. */
  retries?: number;
  /** The first wait at most, milliseconds. 200 by default. */
  firstMs?: number;
  /** Any wait at most, milliseconds; also the longest `Retry-After` that is waited for. 10,000 by default. */
  maxMs?: number;
}

export class Backoff {
  readonly retries: number;
  readonly maxMs: number;
  readonly #firstMs: number;

  constructor({ retries = 8, firstMs = 200, maxMs = 10_000 }: RetryOptions = {}) {
    this.retries = retries;
    this.maxMs = maxMs;
    this.#firstMs = firstMs;
  }

  /** Milliseconds before the try number `tries` + 1 (`tries` of them have failed), and not before the hub wants it. */
  delayMs(tries: number, retryAfterMs: number | null): number {
    const atMost = Math.min(this.maxMs, this.#firstMs * 2 ** (tries - 1));
    return Math.max(atMost * (0.5 + Math.random() / 2), retryAfterMs ?? 0);
  }
}

/**
 * What a promise gives, or `late` after so many milliseconds; null: however long it takes.
 *
 * @throws what it throws, or the signal's reason
 */
export function within<T>(promise: Promise<T>, ms: number | null, signal?: AbortSignal): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const end = () => {
      if (timer !== null) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = () => {
      end();
      reject(signal?.reason);
    };
    const late = () => {
      end();
      resolve('late');
    };
    const timer = ms === null ? null : setTimeout(late, ms);
    // Heard of in any case: what fails later must not be a rejection that nobody handles.
    promise.finally(end).then(resolve, reject);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort);
  });
}

/** @throws the signal's reason, at once where it is aborted. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await within(new Promise<never>(() => undefined), ms, signal);
}
