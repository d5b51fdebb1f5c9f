import type { Dendrogram } from "./ward.js";

/** What a merge of two clusters, A and B, says of them; all numbers are free of units. */
export interface WeighedMerge {
  /** Points of the smaller side. */
  readonly least: number;
  /**
   * ‖a − b‖² / (‖a‖² + ‖b‖²) for the sides' means: about 1 where they have nothing in common, as weights of the same shape
   * from different beginnings; much less where both are fine-tunes of one base.
   */
  readonly unlikeness: number;
  /** ‖a − b‖² / (variance in A + variance in B): how far apart they are beside how wide they are. */
  readonly separation: number;
  /** ‖a − b‖² / variance of all points: how far apart they are beside how wide all are. */
  readonly share: number;
  /** The merge's height over the highest one inside either side; Infinity for a merge of two points. */
  readonly rise: number;
}

/**
 * Weighs the merges of a dendrogram, in their order.
 *
 * Every mean and variance follows from the heights: no point is looked at again. Time and memory O(n).
 *
 * @param squares ‖x‖² of each point, about the origin that unlikeness is meant for.
 */
export function weighMerges({ count, left, right, height }: Dendrogram, squares: ArrayLike<number>): WeighedMerge[] {
  const nodes = count + height.length;
  const sizes = new Float64Array(nodes).fill(1, 0, count);
  // Sums over a node's points: of squared distances from their mean, and of ‖x‖².
  const scatters = new Float64Array(nodes);
  const totals = Float64Array.from({ length: nodes }, (_, node) => (node < count ? (squares[node] as number) : 0));
  const highest = new Float64Array(nodes);
  const variance = height.reduce((sum, own) => sum + own / 2, 0) / count;
  return Array.from(height, (own, merge): WeighedMerge => {
    const [a, b, node] = [left[merge] as number, right[merge] as number, count + merge];
    const sides = [a, b].map((side) => {
      const size = sizes[side] as number;
      const own = (scatters[side] as number) / size;
      return { size, variance: own, square: Math.max(0, (totals[side] as number) / size - own) };
    });
    const [{ size: m, variance: v, square: p }, { size: n, variance: w, square: q }] = sides as [Side, Side];
    const gap = (own * (m + n)) / (2 * m * n);
    sizes[node] = m + n;
    scatters[node] = (scatters[a] as number) + (scatters[b] as number) + own / 2;
    totals[node] = (totals[a] as number) + (totals[b] as number);
    const below = Math.max(highest[a] as number, highest[b] as number);
    highest[node] = Math.max(own, below);
    return {
      least: Math.min(m, n),
      unlikeness: divide(gap, p + q),
      separation: divide(gap, v + w),
      share: divide(gap, variance),
      rise: divide(own, below),
    };
  });
}

interface Side {
  readonly size: number;
  readonly variance: number;
  /** ‖mean‖². */
  readonly square: number;
}

/** Nothing beside nothing is nothing. */
function divide(a: number, b: number): number {
  return a === 0 ? 0 : a / b;
}
