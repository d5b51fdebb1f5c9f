/** A radius is a tenth more than what a share of distances keep within. */
const allowance = 1.1;

/**
 * How far from some texts another one may lie to be of their kind.
 *
 * @param distances of each to the nearest other one, 1 − cosine.
 * @param within share of the texts that are nearer than the radius without its allowance of a tenth.
 * @returns at most 1; 0 without distances.
 */
export function toTextRadius(distances: readonly number[], within: number): number {
  return Math.min(1, allowance * quantile(distances, within));
}

/** The value that a share of some are below. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
