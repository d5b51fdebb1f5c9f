import type { LayerMatrices } from "../projection/accumulator.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { WorkerTarget } from "./embed-messages.js";
import { createFactorMoments } from "./factor-moments.js";
import { createLayerSketch } from "./layer-sketch.js";
import { layerSketchKinds } from "./layer-sketch-kind.js";
import { type Gauge, isWeight, toGaugeKey } from "./target-gauges.js";

/**
 * Begins the sketches that targets ask for, where their trees are not at hand: targets that read the same rows share one.
 *
 * @returns per target; undefined for one that asks for none, or for one of a kind that this version does not make.
 */
export function createSketchGauges(
  targets: readonly Pick<WorkerTarget, "uses" | "sketch">[],
  kernel: SketchKernel,
): (Gauge | undefined)[] {
  const shared = new Map<string, Gauge>();
  return targets.map(({ uses, sketch }) => {
    const weights = uses.filter(isWeight);
    const key = toGaugeKey(uses);
    const known = shared.get(key);
    if (sketch === undefined || known !== undefined) return sketch === undefined ? undefined : known;
    const matrices: LayerMatrices = Object.fromEntries(weights.map(({ role, matrix }) => [role, matrix]));
    const made =
      sketch === layerSketchKinds.dense
        ? createLayerSketch(kernel, matrices)
        : sketch === layerSketchKinds.lora
          ? createFactorMoments(kernel, matrices)
          : undefined;
    if (made === undefined) return undefined;
    const gauge: Gauge = { ...made, uses: weights };
    shared.set(key, gauge);
    return gauge;
  });
}
