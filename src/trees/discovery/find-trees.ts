import { chooseNestedMerges, chooseTreeMerges, leastNested } from "./choose-tree-count.js";
import { type Clustering, clusterSketches, groupModels } from "./cluster-sketches.js";
import type { Groups } from "./cut-merges.js";
import type { VectorTable } from "./squared-distances.js";

/** What sketches of models are of. */
export type SketchKind = "dense" | "lora";

/** How models of one signature are clustered. */
export interface ClusterSettings {
  readonly kind: SketchKind;
  /** Models whose distances are held at once. Of more a sample is clustered and the others are placed. */
  readonly mostAtOnce: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Models that a tree must have to be told from others. Of weights each one shows its base; of a LoRA's moments only the
 * mean of several does, for in each single one what it learned outweighs what it started from.
 */
export function leastModelsOf(kind: SketchKind): number {
  return kind === "dense" ? 1 : 10;
}

/**
 * Finds the trees among the models of one signature.
 *
 * Where there are more models than `mostAtOnce`, a seeded sample of so many is clustered; each of the others joins the
 * nearest tree if it lies within it, and what is left over is clustered again in the same way.
 *
 * @param first clustering of all models.
 * @param cuts merges of the first clustering that are left out; without it the data decides.
 * @returns each model's tree, numbered from 0.
 */
export async function findTrees(
  sketches: VectorTable,
  { kind, mostAtOnce, signal }: ClusterSettings,
  first: Clustering,
  cuts?: readonly number[],
): Promise<Int32Array> {
  const labels = new Int32Array(sketches.count).fill(-1);
  let left = Int32Array.from(labels.keys());
  for (let trees = 0; left.length > 0; ) {
    const clustering = trees === 0 ? first : await clusterSketches(sketches, left, mostAtOnce, signal);
    const own = cuts ?? chooseTreeMerges(clustering.merges, leastModelsOf(kind));
    const found = await groupModels(sketches, left, clustering, own, cuts !== undefined, signal);
    for (const [at, label] of found.labels.entries()) if (label !== -1) labels[left[at] as number] = trees + label;
    trees += found.parents.length;
    left = left.filter((model) => labels[model] === -1);
  }
  return labels;
}

/** Finds trees nested in a tree: groups of its models with a clear gap around them. */
export async function findNestedTrees(
  sketches: VectorTable,
  models: Int32Array,
  { kind, mostAtOnce, signal }: ClusterSettings,
): Promise<Groups> {
  if (models.length < 2 * leastNested) return { labels: new Int32Array(models.length), parents: Int32Array.of(-1) };
  const clustering = await clusterSketches(sketches, models, mostAtOnce, signal);
  const cuts = chooseNestedMerges(clustering.merges, leastModelsOf(kind));
  return groupModels(sketches, models, clustering, cuts, true, signal);
}
