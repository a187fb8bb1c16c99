/** Calls to Durable Objects that one request makes at the same time. */
export const CALLS_AT_ONCE = 16;

/** The results of `work` in the order of `items`, at most `CALLS_AT_ONCE` running at a time. Fails with the first failure. */
export async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Map<number, R>();
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results.set(index, await work(item));
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE, items.length) }, worker));
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}
