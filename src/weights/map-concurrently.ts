/**
 * Maps items in parallel, at most `limit` at once, keeping their order. After the first failure no further item is
 * begun; the failure is thrown once those under way have ended, so that nothing runs on behind the caller's back.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  let failed = false;
  const work = async (): Promise<void> => {
    // One iterator for all workers: each takes the next item that none has taken.
    for (const [i, item] of rest) {
      try {
        results[i] = await map(item);
      } catch (error) {
        failed = true;
        throw error;
      }
      if (failed) return;
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, work));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return results;
}
