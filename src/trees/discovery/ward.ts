import type { PairTable } from "./pair-table.js";
import { yieldTo } from "./yield-to.js";

/**
 * What agglomeration did: nodes 0 to n − 1 are the points, node n + k is what merge k made. Merges stand in the order of
 * their heights, so a node is made of earlier ones.
 */
export interface Dendrogram {
  /** n, the number of points. */
  readonly count: number;
  /** n − 1 nodes that were merged, each with that of `right` at the same place. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /**
   * Twice the growth of the sum of squares within clusters: 2·|A||B|/(|A| + |B|)·‖a − b‖² for the means a and b, which of
   * two points is their squared distance.
   */
  readonly height: Float64Array;
}

/** Merges between two looks at the signal: at 10,000 points some 50 ms. */
const mergesAtOnce = 64;

/**
 * Ward's hierarchical clustering by chains of nearest neighbours, exact.
 *
 * Time O(n²): about 3n chain steps and n updates, each over the clusters that are left. Memory: 40 bytes per point; the
 * distances are used up.
 *
 * @param distances squared Euclidean distances of n points; overwritten. They are updated in
 * the float32 that they come in, which changes heights by about 1e-6 of themselves.
 * @throws the signal's reason.
 * @see Ward, Hierarchical grouping to optimize an objective function, 1963; Müllner, Modern hierarchical, agglomerative
 * clustering algorithms, 2011, https://arxiv.org/abs/1109.2378, figure 3 for the chain and figure 1 for the update.
 */
export async function clusterByWard(distances: PairTable, signal?: AbortSignal): Promise<Dendrogram> {
  const { count } = distances;
  const merges = Math.max(0, count - 1);
  const [first, second] = [new Int32Array(merges), new Int32Array(merges)];
  const height = new Float64Array(merges);
  const sizes = new Float64Array(count).fill(1);
  const alive = new AliveList(count);
  const chain: number[] = [];
  const isInChain = new Uint8Array(count);
  for (let merge = 0; merge < merges; merge++) {
    if (merge % mergesAtOnce === 0) await yieldTo(signal);
    if (chain.length === 0) chain.push(alive.items[0] as number);
    for (;;) {
      const tip = chain[chain.length - 1] as number;
      isInChain[tip] = 1;
      const before = chain[chain.length - 2];
      const [nearest, distance] = findNearest(distances, alive, isInChain, tip, before);
      if (nearest !== before) {
        chain.push(nearest);
        continue;
      }
      chain.length -= 2;
      isInChain[tip] = 0;
      isInChain[nearest] = 0;
      first[merge] = tip;
      second[merge] = nearest;
      height[merge] = distance;
      mergeInto(distances, alive, sizes, tip, nearest, distance);
      break;
    }
  }
  return toDendrogram(count, first, second, height);
}

/** The clusters that are left, by their slots, in ascending order: the matrix is walked along its memory. */
class AliveList {
  readonly items: Int32Array;
  length: number;

  constructor(count: number) {
    this.items = Int32Array.from({ length: count }, (_, index) => index);
    this.length = count;
  }

  remove(item: number): void {
    const place = this.items.indexOf(item);
    this.items.copyWithin(place, place + 1, this.length--);
  }
}

/** The nearest cluster to `tip` and its distance; of equally near ones `preferred`, or the chain would not end. */
function findNearest(
  distances: PairTable,
  { items, length }: AliveList,
  isInChain: Uint8Array,
  tip: number,
  preferred: number | undefined,
): [number, number] {
  let best = preferred ?? -1;
  let least = preferred === undefined ? Number.POSITIVE_INFINITY : distances.get(tip, preferred);
  for (let place = 0; place < length; place++) {
    const other = items[place] as number;
    // Clusters further down the chain, the tip included, are never nearer but by rounding, which could close a circle.
    if (isInChain[other] === 1) continue;
    const distance = distances.get(tip, other);
    if (distance < least) {
      least = distance;
      best = other;
    }
  }
  return [best, least];
}

/** Lance and Williams: `kept` stands for both from now on. */
function mergeInto(
  distances: PairTable,
  alive: AliveList,
  sizes: Float64Array,
  gone: number,
  kept: number,
  between: number,
): void {
  alive.remove(gone);
  const [sizeGone, sizeKept] = [sizes[gone] as number, sizes[kept] as number];
  for (let place = 0; place < alive.length; place++) {
    const other = alive.items[place] as number;
    if (other === kept) continue;
    const size = sizes[other] as number;
    const at = distances.at(kept, other);
    const sum =
      (size + sizeGone) * distances.get(gone, other) +
      (size + sizeKept) * (distances.values[at] as number) -
      size * between;
    distances.values[at] = sum / (size + sizeGone + sizeKept);
  }
  sizes[kept] = sizeGone + sizeKept;
}

/** Sorts merges, which chains find in another order, and names nodes instead of slots. */
function toDendrogram(count: number, first: Int32Array, second: Int32Array, height: Float64Array): Dendrogram {
  const order = Int32Array.from(height.keys()).sort((a, b) => (height[a] as number) - (height[b] as number) || a - b);
  const parents = Int32Array.from({ length: 2 * count }, (_, node) => node);
  const findTop = (node: number): number => {
    let top = node;
    while (parents[top] !== top) {
      parents[top] = parents[parents[top] as number] as number;
      top = parents[top] as number;
    }
    return top;
  };
  const [left, right] = [new Int32Array(order.length), new Int32Array(order.length)];
  for (const [merge, found] of order.entries()) {
    const sides = [findTop(first[found] as number), findTop(second[found] as number)].sort((a, b) => a - b);
    [left[merge], right[merge]] = sides as [number, number];
    for (const side of sides) parents[side] = count + merge;
  }
  return { count, left, right, height: Float64Array.from(order, (found) => height[found] as number) };
}
