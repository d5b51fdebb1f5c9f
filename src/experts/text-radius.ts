/** So many of some texts lie nearer to another of them than a radius, which has an allowance of a tenth. */
const [within, allowance] = [0.95, 1.1];

/**
 * How far from some texts another one may lie to be of their kind.
 *
 * @param distances of each to the nearest other one, 1 − cosine.
 * @returns at most 1; 0 without distances.
 */
export function toTextRadius(distances: readonly number[]): number {
  return Math.min(1, allowance * quantile(distances, within));
}

/** The value that a share of some are below. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
