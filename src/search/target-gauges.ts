import type { RowBlock } from "../compute/compute-backend.js";
import type { LayerMatrices, StatePart } from "../projection/accumulator.js";
import { toMomentsDistance } from "../trees/fit-moments.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import { squaredDistance } from "../trees/squared-distance.js";
import type { CentredTree, Tree, TreeCentroid } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { TensorRole } from "../weights/layer.js";
import type { WorkerTarget } from "./embed-messages.js";
import { createFactorMoments, type FactorMoments } from "./factor-moments.js";
import { createLayerSketch, type LayerSketch } from "./layer-sketch.js";
import { toLayerMatch } from "./target-choice.js";

/** What tells how a layer stands to trees: targets that read the same rows share one. */
export interface Gauge {
  readonly uses: WorkerTarget["uses"];
  add(role: TensorRole, block: RowBlock): void;
  state(): StatePart[];
  /** `rows` of the weight were in by then. */
  restore(parts: readonly StatePart[], rows: number): void;
  /** The sketch of the whole layer: no weights. */
  total(): StatePart;
  /** Takes a {@link total} that was made elsewhere; throws as `assertSketch`. */
  adopt(part: StatePart): void;
}

/** A target whose expert knows its tree by what weights tell. */
export interface TargetGauge {
  /** Place among the model's targets. */
  readonly target: number;
  readonly gauge: Gauge;
  /** Of dense layers: what a choice looks at on the way. */
  readonly dense?: { readonly layer: LayerSketch; readonly tree: CentredTree };
  /** How the whole layer stands to the tree. */
  match(): TreeMatch;
}

type GaugedTarget = WorkerTarget & { readonly tree: Tree | undefined };

/** Targets with the same key share a gauge. */
export function toGaugeKey(uses: WorkerTarget["uses"]): string {
  return JSON.stringify(uses.filter(isWeight));
}

/** Whether alpha is read as well makes no difference to the directions. */
export function isWeight({ role }: WorkerTarget["uses"][number]): boolean {
  return role !== "lora-alpha";
}

/** Begins gauges for the targets whose trees have what it takes. */
export function createTargetGauges(targets: readonly GaugedTarget[], kernel: SketchKernel): TargetGauge[] {
  const layers = new Map<string, { gauge: Gauge; layer: LayerSketch }>();
  const factors = new Map<string, { gauge: Gauge; moments: FactorMoments }>();
  return targets.flatMap(({ uses, tree }, target): TargetGauge[] => {
    if (tree === undefined) return [];
    const weights = uses.filter(isWeight);
    const key = toGaugeKey(uses);
    const matrices: LayerMatrices = Object.fromEntries(weights.map(({ role, matrix }) => [role, matrix]));
    const { centroid, moments } = tree;
    if (centroid !== undefined) {
      const shared =
        layers.get(key) ??
        begin(createLayerSketch(kernel, matrices), (layer) => ({ gauge: { ...layer, uses: weights }, layer }));
      if (shared === undefined) return [];
      layers.set(key, shared);
      const { gauge, layer } = shared;
      const own = { ...tree, centroid };
      return [
        { target, gauge, dense: { layer, tree: own }, match: () => toLayerMatch(own, distanceOf(layer, centroid)) },
      ];
    }
    if (moments === undefined) return [];
    const shared =
      factors.get(key) ??
      begin(createFactorMoments(kernel, matrices), (own) => ({ gauge: { ...own, uses: weights }, moments: own }));
    if (shared === undefined) return [];
    factors.set(key, shared);
    return [{ target, gauge: shared.gauge, match: () => toMomentsMatch(tree, moments, shared.moments) }];
  });
}

function begin<A, B>(made: A | undefined, wrap: (made: A) => B): B | undefined {
  return made === undefined ? undefined : wrap(made);
}

function distanceOf({ sketch: { values } }: LayerSketch, centroid: TreeCentroid): number {
  return Math.sqrt(squaredDistance(values, centroid.values, values.length));
}

function toMomentsMatch(
  { name, parent }: Tree,
  { values, reach }: NonNullable<Tree["moments"]>,
  own: FactorMoments,
): TreeMatch {
  const distance = toMomentsDistance(own.sketch(), values);
  return {
    tree: name,
    ...(parent !== undefined && { parent }),
    basis: "moments",
    distance,
    radius: reach,
    isAccepted: distance <= reach,
  };
}
