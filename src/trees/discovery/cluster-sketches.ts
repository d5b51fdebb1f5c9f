import { Random } from "../../linalg/random.js";
import { cutMerges, type Groups } from "./cut-merges.js";
import { placeAtNearest } from "./place-at-nearest.js";
import { centre, toSquare, toSquaredDistances, type VectorTable } from "./squared-distances.js";
import { clusterByWard, type Dendrogram } from "./ward.js";
import { type WeighedMerge, weighMerges } from "./weigh-merges.js";

/** A dendrogram of some models of a table. */
export interface Clustering {
  /** Their indices, in the order of the dendrogram's points. */
  readonly chosen: Int32Array;
  readonly dendrogram: Dendrogram;
  /** Its merges, weighed about the origin of the table. */
  readonly merges: readonly WeighedMerge[];
}

/** Decides which models are sampled. */
const seed = 2410_13569;

/**
 * Clusters models by their sketches: all that are given, or where they are more than `most` a seeded sample of so many.
 *
 * Memory: 4 bytes per pair, 288 MB for 12,000 models, and their sketches once more. Time O(n²).
 */
export async function clusterSketches(
  sketches: VectorTable,
  models: Int32Array,
  most: number,
  signal?: AbortSignal,
): Promise<Clustering> {
  const chosen = takeSample(models, most);
  const distances = await toSquaredDistances(centre(sketches, chosen), { signal });
  const dendrogram = await clusterByWard(distances, signal);
  const merges = weighMerges(
    dendrogram,
    Float64Array.from(chosen, (model) => toSquare(sketches, model)),
  );
  return { chosen, dendrogram, merges };
}

/**
 * Cuts a clustering into groups, and puts the models that were not in its sample where they belong.
 *
 * @param anywhere whether a model joins the nearest group however far away it is; else only if it lies within it.
 * @returns one label per model of `models`, -1 for those that lie within no group.
 */
export async function groupModels(
  sketches: VectorTable,
  models: Int32Array,
  { chosen, dendrogram }: Clustering,
  cuts: Iterable<number>,
  anywhere: boolean,
  signal?: AbortSignal,
): Promise<Groups> {
  const found = cutMerges(dendrogram, cuts);
  if (chosen.length === models.length) return found;
  const sampled = new Map([...chosen].map((model, at) => [model, found.labels[at] as number]));
  const labels = Int32Array.from(models, (model) => sampled.get(model) ?? -1);
  return { labels: await placeAtNearest(sketches, models, labels, anywhere, signal), parents: found.parents };
}

function takeSample(models: Int32Array, most: number): Int32Array {
  if (models.length <= most) return models;
  const order = new Random(seed).order(models.length).subarray(0, most).sort();
  return Int32Array.from(order, (at) => models[at] as number);
}
