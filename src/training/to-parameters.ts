import type { Checkpoint } from "../experts/checkpoint.js";
import type { LayerSet } from "./datasets/layer-set.js";
import type { TrainShape } from "./train-shape.js";

/** An expert's parameters as training has them. */
export interface ShapedParameters {
  readonly shape: TrainShape;
  /** By the authors' names. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

/**
 * Takes a loaded expert for one that was just trained, to score a set of layers with it.
 *
 * @param labels candidates: how many seen labels there are for zero-shot.
 */
export function toParameters(
  { objective, u, v, encoder, head }: Checkpoint,
  { layer }: LayerSet,
  labels: number,
): ShapedParameters {
  const headName = objective === "zeroshot" ? "regression_head" : "classification_head";
  const shape: TrainShape = {
    objective,
    layer,
    probes: u.columns,
    projection: v.rows,
    representation: encoder.weight.rows,
    labels: objective === "zeroshot" ? labels : head.weight.rows,
    ...(objective === "zeroshot" && { textWidth: head.weight.columns }),
  };
  const parameters = new Map([
    ["probes.weight", u.values],
    ["shared_probe_proj.weight", v.values],
    ["per_probe_encoders.weight", encoder.weight.values],
    ["per_probe_encoders.bias", encoder.bias],
    [`${headName}.weight`, head.weight.values],
    [`${headName}.bias`, head.bias],
  ]);
  return { shape, parameters };
}
