import type { LayerSpec } from "../weights/layer.js";

/** ProbeX: Z = V·X·U, one running sum; ReLU; one linear encoder. */
export interface ProbexArchitecture {
  readonly kind: "probex";
  /** r_U. */
  readonly probeCount: number;
  /** r_V. */
  readonly projectionWidth: number;
}

/** How an expert turns a layer into the responses that its encoder reads; `kind` tells the architectures apart. */
export type ExpertArchitecture = ProbexArchitecture;

/**
 * Kind and version of each architecture's accumulator, as the contract has them: what projects a layer, and what that sums up
 * to. A change of either is another version.
 */
const accumulators = { probex: "probex/1" } as const satisfies Record<ExpertArchitecture["kind"], string>;

/** The accumulators that this version knows. */
export const accumulatorIds: readonly string[] = Object.values(accumulators);

/** Which accumulator projects for an expert. */
export function toAccumulatorId({ kind }: ExpertArchitecture): string {
  return accumulators[kind];
}

/** Accumulators keep two sums, the one that is read and the one that is written, and hand out a copy as their state. */
const copiesPerSum = 3;

/**
 * Bytes that one accumulator of such an expert keeps while a layer streams through, with one copy of its state on the
 * way to the store: 12·r_V·r_U for ProbeX, or 12·rank·(r_V + r_U) where the layer is a LoRA of that rank.
 */
export function accumulatorBytes(architecture: ExpertArchitecture, loraRank: number | undefined): number {
  const { probeCount, projectionWidth } = architecture;
  const numbers = loraRank === undefined ? probeCount * projectionWidth : loraRank * (probeCount + projectionWidth);
  return copiesPerSum * Float32Array.BYTES_PER_ELEMENT * numbers;
}

/**
 * Bytes that an expert's parameters take at their peak while they are made resident on onnxruntime, the backend that
 * takes most. All of them are in memory; M is loaded first, then U and V. A matrix that becomes a constant of a graph
 * is there three times more, encoded, read and packed, and one that is turned once more: P + 4·M, and then
 * P + M + V + 3·U, or P + M + 4·V where the layer is stored transposed. A LoRA layer's V is turned twice, here and by the
 * backend: P + M + 2·V + 3·U.
 *
 * Measured in MB, computed in brackets: 43.5 (42.0) for M of 8.4; 337.5 (335.9) for M of 67.1; with M of 8.4 besides,
 * 89 (86) for V of 33.6, 154 (152) for U of 33.6, and 220 (218) for both.
 */
export function loadingBytes(expert: {
  readonly architecture: ExpertArchitecture;
  readonly layer: Pick<LayerSpec, "kind" | "layout" | "shape">;
  readonly representationWidth: number;
  readonly parameterBytes: number;
}): number {
  const { architecture, layer, representationWidth, parameterBytes } = expert;
  const { probeCount, projectionWidth } = architecture;
  const bytes = Float32Array.BYTES_PER_ELEMENT;
  const u = bytes * layer.shape.columns * probeCount;
  const v = bytes * projectionWidth * layer.shape.rows;
  const m = bytes * representationWidth * probeCount * projectionWidth;
  const dense = layer.layout === "transposed" ? 4 * v : v + 3 * u;
  return parameterBytes + Math.max(4 * m, m + (layer.kind === "lora" ? 2 * v + 3 * u : dense));
}
