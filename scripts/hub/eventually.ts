const POLL_EVERY_MS = 50;

/**
 * Waits until `condition` gives something other than false, null or undefined, and gives that.
 * An error of `condition` counts as "not yet".
 *
 * @throws after `withinMs`, with what was waited for and the last error.
 */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  withinMs = 30_000,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = Date.now() + withinMs;
  let last: unknown = null;
  for (;;) {
    try {
      const value = await condition();
      if (isThere(value)) return value;
      last = null;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`Not within ${withinMs} ms: ${what}${last === null ? '' : ` (${String(last)})`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
  }
}

function isThere<T>(value: T): value is Exclude<T, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
