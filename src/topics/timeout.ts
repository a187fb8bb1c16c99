import type { Clock } from '../platform.ts';

/**
 * The promise's value, if it comes in time.
 *
 * @throws after `ms` without one; a value that comes later is ignored.
 */
export async function withTimeout<T>(clock: Clock, promise: Promise<T>, ms: number, what: string): Promise<T> {
  const late = clock.sleep(ms).then((): never => {
    throw new Error(`${what} had no answer for ${ms} ms.`);
  });
  // Whichever loses the race may still fail, unheard.
  late.catch(() => {});
  promise.catch(() => {});
  return Promise.race([promise, late]);
}
