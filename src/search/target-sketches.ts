import type { LayerMatrices } from "../projection/accumulator.js";
import type { SketchKernel } from "../trees/sketch-kernel.js";
import { squaredDistance } from "../trees/squared-distance.js";
import type { Tree, TreeCentroid } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { WorkerTarget } from "./embed-messages.js";
import { createLayerSketch, type LayerSketch } from "./layer-sketch.js";
import { toLayerMatch } from "./target-choice.js";

/** A target whose tree has a centroid, and the sketch of its layer. */
export interface TargetSketch {
  /** Place among the model's targets. */
  readonly target: number;
  readonly tree: Tree & { readonly centroid: TreeCentroid };
  readonly layer: LayerSketch;
  readonly tensorIndex: number;
  readonly roles: WorkerTarget["uses"];
  /** Targets that read the same rows share a sketch: the first of them feeds it. */
  readonly isFirst: boolean;
}

/** Begins a sketch for each dense layer that a calibrated expert reads. */
export function createTargetSketches(
  targets: readonly (WorkerTarget & { readonly tree: Tree | undefined })[],
  kernel: SketchKernel,
): TargetSketch[] {
  const begun = new Map<string, LayerSketch>();
  return targets.flatMap(({ uses, tree }, target): TargetSketch[] => {
    const weight = uses.find(({ role }) => role === "weight");
    if (tree?.centroid === undefined || weight === undefined) return [];
    const key = JSON.stringify(uses);
    const known = begun.get(key);
    const matrices: LayerMatrices = Object.fromEntries(uses.map(({ role, matrix }) => [role, matrix]));
    const layer = known ?? createLayerSketch(kernel, matrices);
    if (layer === undefined) return [];
    begun.set(key, layer);
    const { centroid } = tree;
    return [
      {
        target,
        tree: { ...tree, centroid },
        layer,
        tensorIndex: weight.tensorIndex,
        roles: uses,
        isFirst: known === undefined,
      },
    ];
  });
}

/** How a whole layer stands to a target's tree. */
export function toMatch({ tree, layer }: TargetSketch): TreeMatch {
  const { values } = layer.sketch;
  return toLayerMatch(tree, Math.sqrt(squaredDistance(values, tree.centroid.values, values.length)));
}
