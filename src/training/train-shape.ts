import type { Objective } from "../experts/checkpoint.js";

/** Sizes of what is trained. */
export interface TrainShape {
  readonly objective: Objective;
  /** X of d_H × d_W, or its factors of this rank. */
  readonly layer: { readonly rows: number; readonly columns: number; readonly rank?: number };
  /** r_U. */
  readonly probes: number;
  /** r_V. */
  readonly projection: number;
  /** r_T. */
  readonly representation: number;
  /** Labels to choose from: candidates' texts for zero-shot, d_Y for classification. */
  readonly labels: number;
  /** d_text; zero-shot only. */
  readonly textWidth?: number;
  /** Zero-shot only: the loss is over cosines times a number that is learned too, as in CLIP. Default: raw cosines. */
  readonly temperature?: "learned";
}

/** Parameter of a learned temperature: the logarithm of what cosines are multiplied by in the loss. CLIP's name. */
export const logitScaleName = "logit_scale";

/** Extents of each parameter under the authors' names, in the order of their state dict. */
export type ParameterShapes = ReadonlyMap<string, readonly number[]>;

/** The parameters that an expert of these sizes has. */
export function toParameterShapes(shape: TrainShape): ParameterShapes {
  const { layer, probes, projection, representation, labels, textWidth = 0 } = shape;
  const head = shape.objective === "zeroshot" ? [representation, textWidth] : [labels, representation];
  const name = shape.objective === "zeroshot" ? "regression_head" : "classification_head";
  return new Map<string, readonly number[]>([
    ["probes.weight", [layer.columns, probes]],
    ["shared_probe_proj.weight", [projection, layer.rows]],
    ["per_probe_encoders.weight", [representation, probes * projection]],
    ["per_probe_encoders.bias", [representation]],
    [`${name}.weight`, head],
    [`${name}.bias`, head.slice(0, 1)],
    ...(shape.temperature === "learned" ? [[logitScaleName, [1]] as const] : []),
  ]);
}

/** Numbers in a tensor of this shape. */
export function countNumbers(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
