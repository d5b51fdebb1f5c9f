import { toTreeKey } from "../trees/tree-file.js";
import type { WorkerTarget } from "./embed-messages.js";
import type { EmbeddingPlan } from "./plan-embedding.js";

/**
 * The targets of a plan, as a worker needs to know them.
 *
 * @param sketches per target the kind of sketch that it asks for, empty for none.
 */
export function toWorkerTargets({ targets }: EmbeddingPlan, sketches: readonly string[] = []): WorkerTarget[] {
  return targets.map(({ expert, uses }, target) => ({
    spaceId: expert.spaceId,
    treeKey: toTreeKey(expert.extra),
    uses,
    sketch: sketches[target] || undefined,
  }));
}
