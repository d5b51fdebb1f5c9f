/**
 * Lets others have the thread in a long computation, so that Ctrl-C is heard.
 *
 * @throws the signal's reason.
 */
export async function yieldTo(signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}
