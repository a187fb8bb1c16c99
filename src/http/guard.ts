/** What a PUT is guarded with by `If-Match`: nothing, being there at all (`*`), or an etag (without its quotes). */
export type Guard = 'none' | 'exists' | { etag: string };

/** Somebody changes the resource between the look at it and the change, so often. */
const LOOKS_MAX = 5;

/**
 * Makes a change under its guard. The objects know etags alone: for `*` the one of this moment is sent.
 *
 * @param current the resource's etag; null if there is none
 * @returns null where the guard says no
 */
export async function putGuarded<R extends { outcome: string }>(
  guard: Guard,
  current: () => Promise<string | null>,
  put: (ifMatch: string | null) => Promise<R>,
): Promise<Exclude<R, { outcome: 'precondition-failed' }> | null> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const ifMatch = guard === 'none' ? null : guard === 'exists' ? await current() : guard.etag;
    if (guard === 'exists' && ifMatch === null) return null;
    const result = await put(ifMatch);
    if (isDone(result)) return result;
    if (guard !== 'exists') return null;
  }
  return null;
}

function isDone<R extends { outcome: string }>(result: R): result is Exclude<R, { outcome: 'precondition-failed' }> {
  return result.outcome !== 'precondition-failed';
}
