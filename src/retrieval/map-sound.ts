import { toProbestreamError } from "../errors/plain-error.js";
import { ProbestreamError } from "../errors/probestream-error.js";

/**
 * Takes items one step further, each by itself: what `step` makes of it, or why it cannot. Items that failed before stay as
 * they are. What is thrown and is none of our errors, or a fault of ours, ends them all.
 */
export async function mapSound<A, B>(
  items: readonly (A | ProbestreamError)[],
  step: (item: A, index: number) => B | Promise<B>,
): Promise<(B | ProbestreamError)[]> {
  const results: (B | ProbestreamError)[] = [];
  for (const [index, item] of items.entries()) {
    if (item instanceof ProbestreamError) results.push(item);
    else results.push(await outcomeOf(() => step(item, index)));
  }
  return results;
}

/** What `work` gives, or the error of ours that it throws; faults are thrown on. */
export async function outcomeOf<T>(work: () => T | Promise<T>): Promise<T | ProbestreamError> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof ProbestreamError) || thrown.kind === "internal") throw thrown;
    return toProbestreamError(thrown);
  }
}
