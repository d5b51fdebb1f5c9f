/**
 * How far apart two models are at one layer, from the singular values of its difference:
 * - `l2`: its Frobenius norm, the paper's distance of full fine-tunes;
 * - `bulk`: the same without the larger half of the singular values. What fine-tunes share, or undo of one another, as the
 *   way towards a common optimum, lies in few directions and makes siblings look close and grandchildren closer to the base;
 *   what each run adds by its own random batches lies in all of them and is handed down;
 * - `rank`: how many are not 0, the paper's distance of LoRA families. Each further LoRA adds its rank. Only for weights
 *   that were merged and stored as float32; rounding to 16 bits makes every difference of full rank.
 */
export type DistanceMeasure = "l2" | "bulk" | "rank";

/**
 * Singular values below this share of the largest are taken as 0. Between the two lie about four orders of magnitude: merging
 * in float32 leaves some 1e-6, LoRAs trained for a few hundred steps reach down to some 1e-2.
 */
export const DEFAULT_RANK_TOLERANCE = 1e-4;

/** A norm of the difference, see {@link DistanceMeasure}. */
export function toDifferenceNorm(singularValues: Float64Array, measure: DistanceMeasure): number {
  if (measure === "rank") return toNumericalRank(singularValues);
  const from = measure === "bulk" ? Math.floor(singularValues.length / 2) : 0;
  let squares = 0;
  for (let i = from; i < singularValues.length; i++) squares += (singularValues[i] as number) ** 2;
  return Math.sqrt(squares);
}

/**
 * How many singular values are more than a share of the largest.
 *
 * @param singularValues largest first.
 */
export function toNumericalRank(singularValues: Float64Array, tolerance = DEFAULT_RANK_TOLERANCE): number {
  const least = (singularValues[0] ?? 0) * tolerance;
  return singularValues.reduce((rank, value) => rank + (value > least ? 1 : 0), 0);
}
