import type { Clock } from '../platform.ts';

/** The first look at whether a promise has settled, in milliseconds; each next one after twice the time. */
const FIRST_LOOK_MS = 50;

/**
 * Waits until a promise settles, however, but no longer than `ms`: true if it did. It sleeps for as long as it has waited
 * already, so what settles soon leaves no long timer behind, which would keep the object in memory; and it counts what it
 * slept, so a clock that jumps changes nothing.
 */
export async function settledWithin(clock: Clock, promise: Promise<unknown>, ms: number): Promise<boolean> {
  let settled = false;
  const end = () => {
    settled = true;
  };
  const ended = promise.then(end, end);
  for (let waited = 0; !settled && waited < ms; ) {
    const slice = Math.min(Math.max(waited, FIRST_LOOK_MS), ms - waited);
    await Promise.race([ended, clock.sleep(slice)]);
    waited += slice;
  }
  return settled;
}

/**
 * The promise's value, if it comes in time.
 *
 * @throws after `ms` without one; a value that comes later is ignored.
 */
export async function withTimeout<T>(clock: Clock, promise: Promise<T>, ms: number, what: string): Promise<T> {
  if (await settledWithin(clock, promise, ms)) {
    return promise;
  }
  throw new Error(`${what} had no answer for ${ms} ms.`);
}
