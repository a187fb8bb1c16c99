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

/** @throws the signal's reason, at once where it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** What a promise gives, or `late` after so many milliseconds. @throws what it throws, or the signal's reason */
export async function within<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | 'late'> {
  const inTime = new AbortController();
  const limit = sleep(ms, signal === undefined ? inTime.signal : AbortSignal.any([signal, inTime.signal]));
  try {
    return await Promise.race([promise, limit.then(() => 'late' as const)]);
  } finally {
    inTime.abort();
  }
}
