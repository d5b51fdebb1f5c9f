/** How long arithmetic may hold the thread at a time, in milliseconds. */
const turnMs = 10;

/**
 * Lets others have the thread every 10 ms of a long computation. Call the function it gives between steps.
 *
 * @throws the signal's reason, from that function.
 */
export function createPacer(signal: AbortSignal | undefined): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < turnMs) return;
    signal?.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    last = performance.now();
  };
}
