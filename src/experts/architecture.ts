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
